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
      isDone = host.handleError(error, of: name, "start")
    }
    // Registered only after it has started, since events continue meanwhile.
    host.add(plugin, name: name, idempotent: plugin.idempotent, isDone: isDone)
  }

  /// Removes a plugin by name; returns `false` if there is none. Dask's `Scheduler.remove_plugin`.
  @discardableResult
  public func removePlugin(_ name: String) -> Bool {
    drain()
    return host.remove(name) != nil
  }

  /// Accesses a plugin by type: `withPlugin(Counter.self) { $0.counter }`. Returns `nil` if there
  /// is none.
  public func withPlugin<P: SchedulerPlugin, Result: Sendable>(
    _ type: P.Type, _ body: (P) throws -> Result
  ) rethrows -> Result? {
    drain()
    for (_, plugin) in host.plugins {
      if let plugin = plugin as? P { return try body(plugin) }
    }
    return nil
  }

  /// The reports of the plugins, in registration order.
  public func reports() -> [(name: String, report: Value)] {
    drain()
    return host.reporting.map { ($0.name, $0.plugin.report()) }
  }

  func knownWorkers() -> [WorkerInfo] {
    drain()
    return core.state.workers.values
  }

  /// The workers that remain after each plugin has filtered them in turn.
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
