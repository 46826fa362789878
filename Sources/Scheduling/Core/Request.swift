import TaskLogPlugin

/// The context of a requested transition.
struct TransitionContext {
  var stimulusID: String
  /// Nanoseconds since 1970 UTC.
  var time: Int64
  /// Data from outside the core, under Dask's names; passed to plugins unchanged.
  var args: Args = .none
  /// Data that plugins look up instead of receiving as args.
  var snapshot: Snapshot = .none
  /// How many seconds a seceding task has run.
  var seconds: Double?
}

/// A violated assumption of a core: a bug of the engine, never a user error.
struct InternalError: Error, CustomStringConvertible {
  var description: String
}
