import TaskLogPlugin

/// Counts the tasks that were run to memory: the example of Dask's documentation.
public final class Counter: SchedulerPlugin {
  public private(set) var counter = 0
  private let prefix: String?

  public init() {
    prefix = nil
  }

  public init(options: [String: String]) throws {
    for name in options.keys.sorted() where name != "prefix" {
      throw PluginError.unknownOption(name, plugin: "counter")
    }
    prefix = options["prefix"]
  }

  public var name: String { "counter" }

  public func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args
  ) {
    guard start == .processing, finish == .memory else { return }
    if let prefix, !key.prefix.sameBytes(as: prefix) { return }
    counter += 1
  }

  public func restart(scheduler: Scheduler) {
    counter = 0
  }

  public func report() -> Value { .object(["counter": .int(Int64(counter))]) }
}

extension Counter: Checkpointing {
  public func checkpoint() -> Value { .int(Int64(counter)) }

  public func restore(_ checkpoint: Value) throws {
    guard let count = checkpoint.int.flatMap(Int.init(exactly:)) else {
      throw CheckpointError.unknown
    }
    counter = count
  }
}
