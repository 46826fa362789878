import TaskLogPlugin

/// Looks up a task at each transition, so that the state is rebuilt.
final class Looking: SchedulerPlugin {
  var erred = 0
  private var scheduler: Scheduler?

  func start(scheduler: Scheduler) { self.scheduler = scheduler }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    if scheduler?.state.tasks[key]?.state == .erred { erred += 1 }
  }
}
