import TaskLogPlugin

/// What a task does: Dask's `run_spec`. The cores pass it on without looking into it.
final class TaskSpec: Sendable {
  /// The results that it needs, in the order of its parameters.
  let inputs: [Key]
  let run: Run
  /// Where it was submitted.
  let location: String

  init(inputs: [Key], run: Run, location: String) {
    self.inputs = inputs
    self.run = run
    self.location = location
  }

  enum Run: Sendable {
    /// On a thread of the worker.
    case sync(@Sendable ([any Sendable]) throws -> Outcome)
    /// As a task of Swift's.
    case async(@Sendable ([any Sendable]) async throws -> Outcome)
  }
}

/// What can be told about the results of a task before there are any.
struct OutcomeType<Output: Sendable>: Sendable {
  let type = _typeName(Output.self, qualified: true)
  let typeName = _typeName(Output.self, qualified: false)
  /// The size of every result, when the type alone determines it.
  let nbytes: Int64?

  init() {
    let isPlain =
      _isPOD(Output.self) && !(Output.self is any ByteCounted.Type)
      && !(Output.self is any Collection.Type)
    nbytes = isPlain ? Int64(MemoryLayout<Output>.stride) : nil
  }
}

/// A result with what is told about it.
struct Outcome: Sendable {
  var value: any Sendable
  var nbytes: Int64
  var type: String
  var typeName: String

  init<Output: Sendable>(_ value: Output, _ type: OutcomeType<Output>) {
    self.value = value
    nbytes = type.nbytes ?? byteCount(of: value)
    self.type = type.type
    typeName = type.typeName
  }
}
