import TaskLogPlugin

/// Stands for a plugin on a live worker, and notes what it reports.
final class ShadowWorkerPlugin<Noted: WorkerPlugin>: WorkerPlugin, RecorderInternal {
  private let plugin = Noted()
  private let notes: ReportRecorder?

  /// Notes nothing.
  init() { notes = nil }

  init(_ type: Noted.Type, _ notes: ReportRecorder) { self.notes = notes }

  var name: String { "\(plugin.name) (verified)" }

  func setup(worker: Worker) async throws { try await plugin.setup(worker: worker) }

  func teardown(worker: Worker) async throws {
    defer { notes?.end(plugin) }
    try await plugin.teardown(worker: worker)
  }

  func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args
  ) throws {
    defer { notes?.called(plugin) }
    try plugin.transition(
      key: key, start: start, finish: finish, stimulusID: stimulusID, args: args)
  }
}
