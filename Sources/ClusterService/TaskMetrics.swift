import CoreMetrics
import TaskLogPlugin

/// Reports the number of tasks in each state to a metrics backend, as gauges `tasklog_tasks` with
/// the dimension `state`: `await cluster.scheduler.addPlugin(TaskMetrics())`.
public final class TaskMetrics: SchedulerPlugin {
  private var scheduler: Scheduler?
  private var gauges: [State: Gauge] = [:]
  private let label: String

  public convenience init() {
    self.init(label: "tasklog_tasks")
  }

  public init(label: String) {
    self.label = label
  }

  public nonisolated(nonsending) func start(scheduler: Scheduler) async throws {
    self.scheduler = scheduler
  }

  public func updateGraph(
    scheduler: Scheduler, client: String, keys: [Key], tasks: [Key], annotations: Value,
    priority: OrderedMap<Key, Priority>, stimulusID: String, args: Args
  ) {
    update(.released)
  }

  public func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args
  ) {
    update(start)
    if finish != start { update(finish) }
  }

  private func update(_ state: State) {
    guard state != .forgotten, let scheduler else { return }
    let gauge = gauges[state] ?? Gauge(label: label, dimensions: [("state", state.name)])
    gauges[state] = gauge
    gauge.record(scheduler.state.taskCount(state))
  }

  public func report() -> Value { .dict([]) }
}
