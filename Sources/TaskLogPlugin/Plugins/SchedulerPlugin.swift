/// Code that is called at every event of a scheduler: Dask's `SchedulerPlugin`.
///
///     final class Counter: SchedulerPlugin {
///       var counter = 0
///
///       func transition(
///         key: Key, start: State, finish: State, stimulusID: String, args: Args
///       ) {
///         if start == .processing, finish == .memory { counter += 1 }
///       }
///
///       func restart(scheduler: Scheduler) { counter = 0 }
///     }
///
/// `start`, `beforeClose` and `close` are async; all other hooks run synchronously, in the
/// scheduler's isolation, in the order of registration. A hook that throws is reported and does not
/// affect the other plugins. Every hook has a default that does nothing.
public protocol SchedulerPlugin: Plugin {
  /// The scheduler starts, or the plugin is added to a running one. Keep `scheduler` to read its
  /// tasks and workers in the other hooks.
  nonisolated(nonsending) func start(scheduler: Scheduler) async throws

  /// Called before anything of the scheduler is shut down.
  nonisolated(nonsending) func beforeClose() async throws

  /// The scheduler closes; its workers have been asked to shut down before.
  nonisolated(nonsending) func close() async throws

  /// New tasks enter the scheduler.
  ///
  /// - Parameters:
  ///   - scheduler: the scheduler that the plugin was added to.
  ///   - client: the id of the client that sent the graph.
  ///   - keys: the keys that the client wants to hold.
  ///   - tasks: all keys of the graph.
  ///   - annotations: `{annotation: {key: value}}`.
  ///   - priority: the assigned priority of each task.
  ///   - stimulusID: the outside event that caused this.
  ///   - args: the other args of the hook.
  func updateGraph(
    scheduler: Scheduler, client: String, keys: [Key], tasks: [Key], annotations: Value,
    priority: OrderedMap<Key, Priority>, stimulusID: String, args: Args) throws

  /// The scheduler restarts: all tasks have been forgotten.
  func restart(scheduler: Scheduler) throws

  /// A task has changed its state.
  ///
  /// - Parameters:
  ///   - key: the task.
  ///   - start: the state before.
  ///   - finish: the actual state after.
  ///   - stimulusID: the outside event that caused this.
  ///   - args: the args of the transition: the worker, `nbytes`, `typename`, `startstops`,
  ///     `exception_text` and so on, under Dask's names.
  func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args) throws

  /// A worker has joined.
  func addWorker(scheduler: Scheduler, worker: String) throws

  /// A worker has left; its tasks have been moved before.
  func removeWorker(scheduler: Scheduler, worker: String, stimulusID: String) throws

  func addClient(scheduler: Scheduler, client: String) throws
  func removeClient(scheduler: Scheduler, client: String) throws

  /// Returns the workers among these that may be removed.
  func validWorkersDownscaling(
    scheduler: Scheduler, workers: [WorkerInfo]
  ) throws -> [WorkerInfo]

  /// A message was logged under a topic.
  func logEvent(topic: String, message: Value) throws
}

extension SchedulerPlugin {
  public nonisolated(nonsending) func start(scheduler: Scheduler) async throws {}
  public nonisolated(nonsending) func beforeClose() async throws {}
  public nonisolated(nonsending) func close() async throws {}
  public func updateGraph(
    scheduler: Scheduler, client: String, keys: [Key], tasks: [Key], annotations: Value,
    priority: OrderedMap<Key, Priority>, stimulusID: String, args: Args
  ) throws {}
  public func restart(scheduler: Scheduler) throws {}
  public func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args
  ) throws {}
  public func addWorker(scheduler: Scheduler, worker: String) throws {}
  public func removeWorker(scheduler: Scheduler, worker: String, stimulusID: String) throws {}
  public func addClient(scheduler: Scheduler, client: String) throws {}
  public func removeClient(scheduler: Scheduler, client: String) throws {}
  public func validWorkersDownscaling(
    scheduler: Scheduler, workers: [WorkerInfo]
  ) throws -> [WorkerInfo] { workers }
  public func logEvent(topic: String, message: Value) throws {}
}

extension SchedulerPlugin {
  /// Calls the synchronous hook of an event; live and replay both use this.
  ///
  /// Async hooks and the recorder's marks are not called.
  public func call(_ event: Event, scheduler: Scheduler) throws {
    switch event.hook {
    case .transition:
      guard let key = event.key, let start = event.start, let finish = event.finish else { return }
      try transition(
        key: key, start: start, finish: finish, stimulusID: event.stimulusID ?? "",
        args: event.args)
    case .updateGraph: try callUpdateGraph(event, scheduler)
    case .restart: try restart(scheduler: scheduler)
    case .addWorker: try addWorker(scheduler: scheduler, worker: event.worker ?? "")
    case .removeWorker:
      try removeWorker(
        scheduler: scheduler, worker: event.worker ?? "", stimulusID: event.stimulusID ?? "")
    case .addClient:
      try addClient(scheduler: scheduler, client: event.args["client"]?.string ?? "")
    case .removeClient:
      try removeClient(scheduler: scheduler, client: event.args["client"]?.string ?? "")
    case .logEvent:
      let args = event.args.content
      try logEvent(topic: args["topic"]?.string ?? "", message: args["message"] ?? .null)
    case .validWorkersDownscaling:
      let workers = (event.args["workers"]?.elements ?? []).compactMap { address in
        address.string.flatMap { scheduler.workers[$0] }
      }
      _ = try validWorkersDownscaling(scheduler: scheduler, workers: workers)
    default: break
    }
  }

  private func callUpdateGraph(_ event: Event, _ scheduler: Scheduler) throws {
    let call =
      event.args.encoded.flatMap { UpdateGraphCall(fast: $0) }
      ?? UpdateGraphCall(event.args.content)
    try updateGraph(
      scheduler: scheduler, client: call.client ?? "", keys: call.keys, tasks: call.tasks,
      annotations: call.annotations ?? .dict([]), priority: call.priority,
      stimulusID: event.stimulusID ?? "", args: Args(call.rest))
  }
}
