import Glibc
import Logging
import TaskLogPlugin

/// A scheduler, workers and a client in this process: Dask's `LocalCluster(processes=False)`.
///
///     let cluster = try await LocalCluster(workers: 2, recorder: Recorder(log: "tasklog.db"))
///     let answer = cluster.client.submit("answer") { 6 * 7 }
///     print(try await answer.result())
///     await cluster.close()
public final class LocalCluster: Sendable {
  public let scheduler: SchedulerServer
  public let client: Client
  private let registry: WorkerPluginRegistry
  private let peers: Peers
  private let recorder: (any RecordingPlugin)?
  private let threadsPerWorker: Int
  private let resources: [Resource]
  private let logger: ClusterLogger
  /// Counts the names of workers. Names are never reused, so that an address identifies one worker.
  private let nameCount = Lock(0)
  private let closing = Lock<Task<Void, Never>?>(nil)

  /// Starts a cluster.
  ///
  /// - Parameters:
  ///   - workers: the number of workers; by default one per processor.
  ///   - threadsPerWorker: how many tasks a worker runs at a time.
  ///   - allowedFailures: how many workers may die while running a task before it becomes erred.
  ///   - workerSaturation: how many root tasks of a large group are sent to a worker, as a factor
  ///     of its threads; the others are queued at the scheduler, so that the dependents of the
  ///     first run before them. Infinite to send all at once.
  ///   - workStealing: whether idle workers take tasks from overloaded ones.
  ///   - stealingInterval: the delay between tasks becoming unevenly distributed and stealing.
  ///   - noWorkersTimeout: how long tasks wait for a worker that may run them before they become
  ///     erred; unlimited by default.
  ///   - resources: the resources of each worker, which tasks reserve.
  ///   - logger: receives the joining and leaving of workers, and errors of plugins; by default
  ///     errors are printed to standard error.
  ///   - recorder: records the scheduler and all workers.
  ///   - preloads: run before everything else, in this order: Dask's preloads.
  ///   - plugins: scheduler plugins registered at the start.
  /// - Throws: `ClusterError.noThread`, or the error of a preload's initializer.
  public init(
    workers: Int? = nil, threadsPerWorker: Int = 1, allowedFailures: Int = 3,
    workerSaturation: Double = 1.1, workStealing: Bool = true,
    stealingInterval: Duration = .milliseconds(100), noWorkersTimeout: Duration? = nil,
    resources: KeyValuePairs<String, Double> = [:], logger: Logger? = nil,
    recorder: (any RecordingPlugin)? = nil, preloads: [PreloadSpec] = [],
    plugins: sending [any SchedulerPlugin] = []
  ) async throws {
    var preloaded: [any Plugin] = []
    for preload in preloads { preloaded.append(try preload.type.init(options: preload.options)) }
    let count = max(1, workers ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    let scheduler = SchedulerServer(
      address: "inproc://localhost/\(getpid())",
      options: SchedulerCore.Options(
        allowedFailures: allowedFailures, workerSaturation: workerSaturation,
        workStealing: workStealing),
      timing: SchedulerServer.Timing(stealing: stealingInterval, noWorkers: noWorkersTimeout),
      logger: ClusterLogger(logger: logger),
      recorder: recorder)
    self.scheduler = scheduler
    self.recorder = recorder
    let peers = Peers()
    self.peers = peers
    self.threadsPerWorker = max(1, threadsPerWorker)
    self.logger = ClusterLogger(logger: logger)
    self.resources = resources.map { Resource($0.key, $0.value) }
    let registry = WorkerPluginRegistry(ClusterLogger(logger: logger))
    self.registry = registry
    client = Client(scheduler: scheduler, registry: registry)
    await scheduler.start(plugins, preloads: preloaded) { worker in
      _ = peers.remove(worker.facts.address)
      Task { await registry.close(worker) }
    }
    for preload in preloads {
      guard let type = preload.type as? any WorkerPlugin.Type else { continue }
      await registry.register(nil) { try type.init(options: preload.options) }
    }
    for _ in 0..<count { try await addWorker() }
    await scheduler.add(client)
  }

  // MARK: - Workers

  /// The addresses of the workers, in the order of joining.
  public var workers: [String] {
    get async { await scheduler.workerAddresses() }
  }

  /// Starts one more worker and returns its address.
  ///
  /// - Parameter resources: the resources of the worker; by default the same as the others.
  /// - Throws: `ClusterError.noThread`.
  @discardableResult
  public func addWorker(
    threads: Int? = nil, resources: KeyValuePairs<String, Double>? = nil
  ) async throws -> String {
    try await addWorker(
      threads ?? threadsPerWorker,
      resources?.map { Resource($0.key, $0.value) } ?? self.resources)
  }

  private func addWorker(_ threads: Int, _ resources: [Resource]) async throws -> String {
    let name = nameCount.withLock { nameCount in
      defer { nameCount += 1 }
      return nameCount
    }
    let worker = try WorkerServer(
      name: name, nthreads: max(1, threads), resources: resources, scheduler: scheduler,
      client: client, peers: peers, logger: logger, recorder: recorder)
    await worker.start()
    peers.add(worker)
    await registry.add(worker)
    await scheduler.add(worker)
    return worker.facts.address
  }

  /// Shuts a worker down: its plugins are torn down, its running tasks run elsewhere, and results
  /// that only it held are recomputed. Use `retireWorkers` to move its results first.
  ///
  /// - Throws: `ClusterError.unknownWorker`.
  public func removeWorker(_ address: String) async throws {
    guard let worker = peers.remove(address) else { throw ClusterError.unknownWorker(address) }
    await registry.close(worker)
    await scheduler.remove(address, expected: true)
  }

  /// Simulates the death of a worker's process: neither its plugins nor the scheduler hear from it
  /// again. The tasks that it was processing become suspicious.
  ///
  /// - Throws: `ClusterError.unknownWorker`.
  public func killWorker(_ address: String) async throws {
    guard let worker = peers.remove(address) else { throw ClusterError.unknownWorker(address) }
    await worker.die()
    await registry.forget(worker)
    await scheduler.remove(address, expected: false)
  }

  /// Removes workers once their results have been moved to others: Dask's `retire_workers`.
  ///
  /// - Returns: the workers that were removed; a worker whose results no other can receive stays.
  @discardableResult
  public func retireWorkers(_ addresses: [String]) async -> [String] {
    let scheduler = scheduler
    let gone = await withTaskGroup(of: String?.self) { group in
      for address in addresses {
        group.addTask { await scheduler.retire(address) ? address : nil }
      }
      var gone: Set<String> = []
      for await address in group { if let address { gone.insert(address) } }
      return gone
    }
    return addresses.filter(gone.contains)
  }

  /// Forgets all tasks and restarts the workers: Dask's `Client.restart`. Live futures fail with
  /// `ClusterError.cancelled`.
  ///
  /// - Throws: `ClusterError.noThread`.
  public func restart() async throws {
    let old = peers.all.sorted { $0.facts.address < $1.facts.address }
    await scheduler.restart()
    for worker in old {
      _ = peers.remove(worker.facts.address)
      await registry.close(worker)
    }
    for worker in old { _ = try await addWorker(worker.facts.nthreads, worker.facts.resources) }
  }

  // MARK: - Shutdown

  /// The reports of all worker plugins: by plugin, then by worker in the order of joining.
  public func workerReports() async -> [(name: String, worker: String, report: Value)] {
    await registry.reports()
  }

  /// Shuts everything down: clients, workers, the scheduler, and last the recorder, which writes
  /// its remaining events. Pending futures fail; running tasks are not awaited. A second call only
  /// waits for the first.
  public func close() async {
    let task = closing.withLock { closing in
      let task = closing ?? Task { await self.shutDown() }
      closing = task
      return task
    }
    await task.value
    // The task retains the cluster.
    closing.withLock { $0 = Task {} }
  }

  private func shutDown() async {
    await scheduler.beforeClose()
    await client.close()
    await registry.closeWorkers()
    await scheduler.close()
    peers.removeAll()
    await recorder?.finish()
  }
}
