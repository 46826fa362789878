import TaskLogPlugin

/// The worker plugins of a cluster, and the workers that get an instance of each.
actor WorkerPluginRegistry {
  private var workers: [WorkerServer] = []
  /// Reports of the plugins of workers that have left.
  private var finalReports: [(name: String, worker: String, report: Value)] = []
  private var plugins = OrderedMap<String, @Sendable () throws -> any WorkerPlugin>()
  private let logger: ClusterLogger

  init(_ logger: ClusterLogger) {
    self.logger = logger
  }

  func add(_ worker: WorkerServer) async {
    workers.append(worker)
    for (name, make) in plugins { await add(name, to: worker, make) }
  }

  func register(_ name: String?, _ make: @escaping @Sendable () throws -> any WorkerPlugin) async {
    // Only an instance has the name; this instance goes to the first worker.
    let first: any WorkerPlugin
    do {
      first = try make()
    } catch {
      return logger.error("cannot create plugin '\(name ?? "")': \(error)")
    }
    let name = name ?? first.name
    if first.idempotent, plugins.contains(name) { return }
    plugins[name] = make
    guard let worker = workers.first else { return }
    let others = workers.dropFirst()
    await worker.add(first, name: name)
    for worker in others { await add(name, to: worker, make) }
  }

  /// An instance that cannot be created is logged like a plugin that throws.
  private func add(
    _ name: String, to worker: WorkerServer, _ make: @Sendable () throws -> any WorkerPlugin
  ) async {
    let plugin: any WorkerPlugin
    do {
      plugin = try make()
    } catch {
      return logger.error(
        "cannot create plugin '\(name)' for worker \(worker.facts.address): \(error)")
    }
    await worker.add(plugin, name: name)
  }

  /// - Throws: `ClusterError.unknownPlugin`.
  func unregister(_ name: String) async throws {
    guard plugins.removeValue(forKey: name) != nil else { throw ClusterError.unknownPlugin(name) }
    for worker in workers { await worker.removePlugin(name) }
  }

  func reports() async -> [(name: String, worker: String, report: Value)] {
    var all = finalReports
    for worker in workers {
      for (name, report) in await worker.reports() {
        all.append((name, worker.facts.address, report))
      }
    }
    var names: [String] = []
    for entry in all where !names.contains(entry.name) { names.append(entry.name) }
    return names.flatMap { name in all.filter { $0.name == name } }
  }

  /// Closes a worker that leaves before the others.
  func close(_ worker: WorkerServer) async {
    guard workers.contains(where: { $0 === worker }) else { return await worker.close() }
    forget(worker)
    await worker.close()
    for (name, report) in await worker.reports() {
      finalReports.append((name, worker.facts.address, report))
    }
  }

  /// Removes a worker that has died; its plugins have no reports.
  func forget(_ worker: WorkerServer) {
    workers.removeAll { $0 === worker }
  }

  func closeWorkers() async {
    for worker in workers { await worker.close() }
    workers.removeAll()
  }
}
