import TaskLogPlugin

/// Runs a plugin on a live scheduler and records its reports.
///
/// The plugin only observes: its actions on the scheduler have no effect, as in a replay, and its
/// results are ignored.
final class ShadowSchedulerPlugin<Base: SchedulerPlugin>: SchedulerPlugin, RecorderInternal {
  private let plugin = Base()
  private let recorder: ReportRecorder?
  private var scheduler: Scheduler?

  /// Records nothing.
  init() { recorder = nil }

  init(_ type: Base.Type, _ recorder: ReportRecorder) { self.recorder = recorder }

  var name: String { "\(plugin.name) (verified)" }

  private func watch(_ call: (Base) throws -> Void) rethrows {
    defer { recorder?.called(plugin) }
    try call(plugin)
  }

  private func watched(_ scheduler: Scheduler) -> Scheduler {
    if let existing = self.scheduler { return existing }
    let watched = Scheduler(id: scheduler.id) { scheduler.state }
    self.scheduler = watched
    return watched
  }

  func start(scheduler: Scheduler) async throws {
    try await plugin.start(scheduler: watched(scheduler))
  }

  func beforeClose() async throws { try await plugin.beforeClose() }

  func close() async throws {
    defer { recorder?.end(plugin) }
    try await plugin.close()
  }

  func updateGraph(
    scheduler: Scheduler, client: String, keys: [Key], tasks: [Key], annotations: Value,
    priority: OrderedMap<Key, Priority>, stimulusID: String, args: Args
  ) throws {
    try watch {
      try $0.updateGraph(
        scheduler: watched(scheduler), client: client, keys: keys, tasks: tasks,
        annotations: annotations, priority: priority, stimulusID: stimulusID, args: args)
    }
  }

  func restart(scheduler: Scheduler) throws {
    try watch { try $0.restart(scheduler: watched(scheduler)) }
  }

  func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args
  ) throws {
    try watch {
      try $0.transition(key: key, start: start, finish: finish, stimulusID: stimulusID, args: args)
    }
  }

  func addWorker(scheduler: Scheduler, worker: String) throws {
    try watch { try $0.addWorker(scheduler: watched(scheduler), worker: worker) }
  }

  func removeWorker(scheduler: Scheduler, worker: String, stimulusID: String) throws {
    try watch {
      try $0.removeWorker(scheduler: watched(scheduler), worker: worker, stimulusID: stimulusID)
    }
  }

  func addClient(scheduler: Scheduler, client: String) throws {
    try watch { try $0.addClient(scheduler: watched(scheduler), client: client) }
  }

  func removeClient(scheduler: Scheduler, client: String) throws {
    try watch { try $0.removeClient(scheduler: watched(scheduler), client: client) }
  }

  func validWorkersDownscaling(
    scheduler: Scheduler, workers: [WorkerInfo]
  ) throws -> [WorkerInfo] {
    recorder?.calledAhead()
    _ = try plugin.validWorkersDownscaling(scheduler: watched(scheduler), workers: workers)
    return workers
  }

  func logEvent(topic: String, message: Value) throws {
    try watch { try $0.logEvent(topic: topic, message: message) }
  }
}
