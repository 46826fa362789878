import TaskLogPlugin

/// Notes each task that ends in `error` on its worker: the example of Dask's documentation, which
/// looks the exception up in `worker.tasks[key]`.
public final class ErrorLogger: WorkerPlugin {
  public private(set) var messages: [String] = []
  private var worker: Worker?

  public init() {}

  public var name: String { "errors" }

  public func setup(worker: Worker) {
    self.worker = worker
  }

  public func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args
  ) {
    guard finish == .error else { return }
    let exception = worker?.tasks[key]?.exceptionText ?? "unknown"
    messages.append("Task '\(key)' has failed with exception: \(exception)")
  }

  public func report() -> Value {
    .list(messages.map(Value.string))
  }
}
