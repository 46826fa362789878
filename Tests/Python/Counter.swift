import TaskLogPlugin

/// The counter of Dask's documentation: https://distributed.dask.org/en/stable/plugins.html
final class Counter: SchedulerPlugin {
  var counter = 0

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    if start == .processing, finish == .memory { counter += 1 }
  }

  func restart(scheduler: Scheduler) { counter = 0 }
}
