import CoreMetrics
import TaskLogPlugin

/// Tells a metrics backend how many tasks are in each state, as gauges `tasklog_tasks` with the
/// dimension `state`: `await cluster.scheduler.addPlugin(TaskMetrics())`.
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
    tell(.released)
  }

  public func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args
  ) {
    tell(start)
    if finish != start { tell(finish) }
  }

  private func tell(_ state: State) {
    guard state != .forgotten, let scheduler else { return }
    let gauge = gauges[state] ?? Gauge(label: label, dimensions: [("state", state.name)])
    gauges[state] = gauge
    gauge.record(scheduler.state.taskCount(state))
  }

  public func report() -> Value { .dict([]) }
}
