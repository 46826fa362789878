import TaskLogPlugin

/// What a transition was asked for with.
struct Request {
  var stimulusID: String
  /// Nanoseconds since 1970 UTC.
  var time: Int64
  /// Facts that the core cannot know, under Dask's names; they go to the plugins as they are.
  var args: Args = .none
  /// Facts that plugins look up rather than are told.
  var snapshot: Snapshot = .none
  /// How long a task has run that secedes.
  var seconds: Double?
}

/// A violated assumption of a core: a fault of the engine, never of its user.
struct InternalError: Error, CustomStringConvertible {
  var description: String
}
