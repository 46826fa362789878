import TaskLogPlugin

/// Runs a plugin on a live worker and records its reports.
final class ShadowWorkerPlugin<Base: WorkerPlugin>: WorkerPlugin, RecorderInternal {
  private let plugin = Base()
  private let recorder: ReportRecorder?

  /// Records nothing.
  init() { recorder = nil }

  init(_ type: Base.Type, _ recorder: ReportRecorder) { self.recorder = recorder }

  var name: String { "\(plugin.name) (verified)" }

  func setup(worker: Worker) async throws { try await plugin.setup(worker: worker) }

  func teardown(worker: Worker) async throws {
    defer { recorder?.end(plugin) }
    try await plugin.teardown(worker: worker)
  }

  func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args
  ) throws {
    defer { recorder?.called(plugin) }
    try plugin.transition(
      key: key, start: start, finish: finish, stimulusID: stimulusID, args: args)
  }
}
