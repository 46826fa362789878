/// Code that is called at every event of a worker: Dask's `WorkerPlugin`.
///
/// Each worker has its own instance. `setup` and `teardown` are async; `transition` runs
/// synchronously, in the worker's isolation, in the order of registration.
public protocol WorkerPlugin: Plugin {
  /// The plugin is attached to a worker. Keep `worker` to read its tasks in `transition`.
  nonisolated(nonsending) func setup(worker: Worker) async throws

  /// The worker closes, or the plugin is removed.
  nonisolated(nonsending) func teardown(worker: Worker) async throws

  /// A task has changed its state on this worker. As in Dask, `args` is empty for most transitions:
  /// sizes, times and exceptions are in `worker.tasks[key]`.
  func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args) throws
}

extension WorkerPlugin {
  public nonisolated(nonsending) func setup(worker: Worker) async throws {}
  public nonisolated(nonsending) func teardown(worker: Worker) async throws {}
  public func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args
  ) throws {}

  /// Calls the synchronous hook of an event; live and replay both use this.
  public func call(_ event: Event) throws {
    guard event.hook == .transition, let key = event.key, let start = event.start,
      let finish = event.finish
    else { return }
    try transition(
      key: key, start: start, finish: finish, stimulusID: event.stimulusID ?? "", args: event.args)
  }
}
