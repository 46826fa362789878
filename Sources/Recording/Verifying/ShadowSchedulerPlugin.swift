import TaskLogPlugin

/// Stands for a plugin on a live scheduler, and notes what it reports.
///
/// The plugin within watches only: what it does to the scheduler does nothing, as in a replay, and
/// its answers are not given.
final class ShadowSchedulerPlugin<Noted: SchedulerPlugin>: SchedulerPlugin, RecorderInternal {
  private let plugin = Noted()
  private let notes: ReportRecorder?
  private var scheduler: Scheduler?

  /// Notes nothing.
  init() { notes = nil }

  init(_ type: Noted.Type, _ notes: ReportRecorder) { self.notes = notes }

  var name: String { "\(plugin.name) (verified)" }

  private func watch(_ call: (Noted) throws -> Void) rethrows {
    defer { notes?.called(plugin) }
    try call(plugin)
  }

  private func watched(_ scheduler: Scheduler) -> Scheduler {
    if let known = self.scheduler { return known }
    let watched = Scheduler(id: scheduler.id) { scheduler.state }
    self.scheduler = watched
    return watched
  }

  func start(scheduler: Scheduler) async throws {
    try await plugin.start(scheduler: watched(scheduler))
  }

  func beforeClose() async throws { try await plugin.beforeClose() }

  func close() async throws {
    defer { notes?.end(plugin) }
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
    notes?.calledAhead()
    _ = try plugin.validWorkersDownscaling(scheduler: watched(scheduler), workers: workers)
    return workers
  }

  func logEvent(topic: String, message: Value) throws {
    try watch { try $0.logEvent(topic: topic, message: message) }
  }
}
