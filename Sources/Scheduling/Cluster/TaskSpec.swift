import TaskLogPlugin

/// What a task runs: Dask's `run_spec`. The cores pass it on as an opaque value.
final class TaskSpec: Sendable {
  /// The keys of its inputs, in the order of its parameters.
  let inputs: [Key]
  let run: Run
  /// The source location of the submission.
  let location: String

  init(inputs: [Key], run: Run, location: String) {
    self.inputs = inputs
    self.run = run
    self.location = location
  }

  enum Run: Sendable {
    /// On a thread of the worker.
    case sync(@Sendable ([any Sendable]) throws -> Outcome)
    /// As a Swift task.
    case async(@Sendable ([any Sendable]) async throws -> Outcome)
  }
}

/// What is known about the results of a task before it runs.
struct OutcomeType<Output: Sendable>: Sendable {
  let type = _typeName(Output.self, qualified: true)
  let typeName = _typeName(Output.self, qualified: false)
  /// The size of every result in bytes, if the type alone determines it.
  let nbytes: Int64?

  init() {
    let isPlain =
      _isPOD(Output.self) && !(Output.self is any ByteCounted.Type)
      && !(Output.self is any Collection.Type)
    nbytes = isPlain ? Int64(MemoryLayout<Output>.stride) : nil
  }
}

/// A result with its size and type.
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
