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
  /// Names of workers are given once; an address is never another worker's later.
  private let born = Lock(0)
  private let closing = Lock<Task<Void, Never>?>(nil)

  /// Starts a cluster.
  ///
  /// - Parameters:
  ///   - workers: how many workers; by default one for each processor.
  ///   - threadsPerWorker: how many tasks each of them runs at a time.
  ///   - allowedFailures: how many workers may die with a task before it errs.
  ///   - workerSaturation: how many of a large group of root tasks a worker is sent, as a factor of
  ///     its threads; the others wait at the scheduler, so that what follows from the first comes
  ///     before them. Infinite when all are to be sent at once.
  ///   - workStealing: idle workers take tasks from those that have too many.
  ///   - stealingInterval: how long after tasks have become unequally spread they do.
  ///   - noWorkersTimeout: how long tasks wait for a worker that may run them before they err; for
  ///     ever by default.
  ///   - resources: what each worker has for tasks to take up.
  ///   - logger: is told when workers come and go, and of errors of plugins; by default errors go to
  ///     the standard error.
  ///   - recorder: records the scheduler and all workers.
  ///   - preloads: run before everything else, in their order: Dask's preloads.
  ///   - plugins: scheduler plugins that are there from the start.
  /// - Throws: `ClusterError.noThread`, or what the initializer of something preloaded throws.
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
  /// - Parameter resources: what it has for tasks to take up; by default the same as the others.
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
    let name = born.withLock { born in
      defer { born += 1 }
      return born
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

  /// Shuts a worker down: plugins on it are torn down, what it ran is run elsewhere, what only it
  /// held is computed again. Use `retireWorkers` to have its results moved before.
  ///
  /// - Throws: `ClusterError.unknownWorker`.
  public func removeWorker(_ address: String) async throws {
    guard let worker = peers.remove(address) else { throw ClusterError.unknownWorker(address) }
    await registry.close(worker)
    await scheduler.remove(address, expected: true)
  }

  /// Lets a worker die as when its process is killed: neither its plugins nor the scheduler readConfirms
  /// from it any more. The tasks that it had become suspicious.
  ///
  /// - Throws: `ClusterError.unknownWorker`.
  public func killWorker(_ address: String) async throws {
    guard let worker = peers.remove(address) else { throw ClusterError.unknownWorker(address) }
    await worker.die()
    await registry.forget(worker)
    await scheduler.remove(address, expected: false)
  }

  /// Sends workers away once their results are with others: Dask's `retire_workers`.
  ///
  /// - Returns: those that are gone; one whose results nobody can take over stays.
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

  /// Forgets all tasks and starts as many workers anew: Dask's `Client.restart`. Futures that are
  /// held fail with `ClusterError.cancelled`.
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

  // MARK: - The end

  /// What each worker plugin has to say: by plugin, then by worker in the order of joining.
  public func workerReports() async -> [(name: String, worker: String, report: Value)] {
    await registry.reports()
  }

  /// Shuts everything down: clients, workers, the scheduler, and at last the recorder, which writes
  /// out what is left. Futures that are pending fail; tasks that run are not waited for. Closing
  /// once more does nothing but wait for it.
  public func close() async {
    let task = closing.withLock { closing in
      let task = closing ?? Task { await self.shutDown() }
      closing = task
      return task
    }
    await task.value
    // The task holds the cluster.
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
