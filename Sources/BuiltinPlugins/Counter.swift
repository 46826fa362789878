import TaskLogPlugin

/// Counts the tasks that were run to memory: the example of Dask's documentation.
public final class Counter: SchedulerPlugin {
  public private(set) var counter = 0

  public init() {}

  public var name: String { "counter" }

  public func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args
  ) {
    if start == .processing, finish == .memory { counter += 1 }
  }

  public func restart(scheduler: Scheduler) {
    counter = 0
  }
}
