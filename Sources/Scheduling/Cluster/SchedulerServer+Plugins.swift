import TaskLogPlugin

/// The plugins of the scheduler.
extension SchedulerServer {
  /// Adds a plugin; its `start` is awaited. Dask's `Scheduler.add_plugin`.
  ///
  /// A second plugin of the same name replaces the first, unless it is idempotent: then it is
  /// ignored.
  public func addPlugin(_ plugin: sending any SchedulerPlugin) async {
    drain()
    await add(plugin)
  }

  func add(_ plugin: any SchedulerPlugin) async {
    let name = plugin.name
    guard host.admits(name: name, idempotent: plugin.idempotent) else { return }
    var isDone = false
    do {
      try await plugin.start(scheduler: scheduler)
    } catch {
      isDone = host.note(error, of: name, "start")
    }
    // Not before it has started: events go on while it does.
    host.add(plugin, name: name, idempotent: plugin.idempotent, isDone: isDone)
  }

  /// Removes a plugin by its name; false when there is none. Dask's `Scheduler.remove_plugin`.
  @discardableResult
  public func removePlugin(_ name: String) -> Bool {
    drain()
    return host.remove(name) != nil
  }

  /// Reads something back from a plugin: `withPlugin(Counter.self) { $0.counter }`.
  public func withPlugin<P: SchedulerPlugin, Result: Sendable>(
    _ type: P.Type, _ body: (P) throws -> Result
  ) rethrows -> Result? {
    drain()
    for (_, plugin) in host.plugins {
      if let plugin = plugin as? P { return try body(plugin) }
    }
    return nil
  }

  /// What each plugin has to say, in the order of registration.
  public func reports() -> [(name: String, report: Value)] {
    drain()
    return host.reporting.map { ($0.name, $0.plugin.report()) }
  }

  func knownWorkers() -> [WorkerInfo] {
    drain()
    return core.state.workers.values
  }

  /// What the plugins leave of these, each asked in turn.
  func downscalable(_ workers: [WorkerInfo]) -> [WorkerInfo] {
    guard !host.isEmpty else { return workers }
    var answer = workers
    let scheduler: Scheduler = scheduler
    host.call(named: "validWorkersDownscaling") {
      answer = try $0.validWorkersDownscaling(scheduler: scheduler, workers: answer)
    }
    func list(_ workers: [WorkerInfo]) -> Value { .list(workers.map { .string($0.address) }) }
    host.record(
      Event(
        .validWorkersDownscaling, time: Time.now(),
        args: Args(named: [.init("workers", list(workers)), .init("answer", list(answer))])))
    return answer
  }
}
