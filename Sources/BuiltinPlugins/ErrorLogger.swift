import TaskLogPlugin

/// Records each task that ends in `error` on its worker: the example of Dask's documentation, which
/// looks up the exception in `worker.tasks[key]`.
public final class ErrorLogger: WorkerPlugin {
  public private(set) var messages: [String] = []
  private var more = 0
  private let limit: Int
  private var worker: Worker?

  public init() {
    limit = .max
  }

  public init(options: [String: String]) throws {
    for name in options.keys.sorted() where name != "limit" {
      throw PluginError.unknownOption(name, plugin: "errors")
    }
    guard let text = options["limit"] else {
      limit = .max
      return
    }
    guard let count = Int(text), count >= 0 else {
      throw PluginError.badOption("limit", value: text, expected: "a number")
    }
    limit = count
  }

  public var name: String { "errors" }

  public func setup(worker: Worker) {
    self.worker = worker
  }

  public func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args
  ) {
    guard finish == .error else { return }
    guard messages.count < limit else {
      more += 1
      return
    }
    let exception = worker?.tasks[key]?.exceptionText ?? "unknown"
    messages.append("Task '\(key)' has failed with exception: \(exception)")
  }

  public func report() -> Value {
    let lines = more == 0 ? messages : messages + ["and \(more) more"]
    return .list(lines.map(Value.string))
  }
}

extension ErrorLogger: Checkpointing {
  public func checkpoint() -> Value {
    .object(["messages": .list(messages.map(Value.string)), "more": .int(Int64(more))])
  }

  public func restore(_ checkpoint: Value) throws {
    guard let texts = checkpoint["messages"]?.elements,
      let more = checkpoint["more"]?.int.flatMap(Int.init(exactly:))
    else { throw CheckpointError.unknown }
    messages = texts.compactMap(\.string)
    self.more = more
  }
}
