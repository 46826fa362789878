import Glibc
import TaskLogPlugin

/// A worker of a cluster: the actor around `WorkerCore`, which holds its results, threads and
/// plugins.
actor WorkerServer: Driven {
  nonisolated let facts: WorkerSnapshot

  indirect enum Message: Sendable {
    case stimulus(WorkerStimulus, stimulusID: String)
    case executed(ExecuteSuccess, value: any Sendable)
    case failed(ExecuteFailure)
    case rescheduled(Key)
    case seceded(Key, computeSeconds: Double)
    case gathered(worker: String, values: [(Key, Held)], start: Double, stop: Double)
  }

  /// A result held by this worker.
  struct Held: Sendable {
    var value: any Sendable
    var nbytes: Int64
  }

  /// Shared with the worker's threads: the thread that has run a task processes the consequences.
  private nonisolated let executor = TurnExecutor()
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  private nonisolated let inbox = Inbox<Message>()
  private let channel: (any EventChannel)?
  private let recorder: (any RecordingPlugin)?
  private weak let scheduler: SchedulerServer?
  /// The client with which tasks submit other tasks.
  weak let client: Client?
  private let peers: Peers
  let logger: ClusterLogger
  let threads: ThreadPool
  var core: WorkerCore!
  private let host: PluginHost<any WorkerPlugin>
  private var worker: Worker!
  var held = OrderedMap<Key, Held>()
  private var stimulusCount = 0
  /// Distinguishes stimulus IDs of this worker from those of others.
  private let idSuffix: String
  /// Once set, incoming messages are ignored.
  private var isClosed = false

  /// - Throws: `ClusterError.noThread`.
  init(
    name: Int, nthreads: Int, resources: [Resource], scheduler: SchedulerServer, client: Client,
    peers: Peers, logger: ClusterLogger, recorder: (any RecordingPlugin)?
  ) throws {
    let address = "\(scheduler.address)/\(name)"
    facts = WorkerSnapshot(
      address: address, name: .int(Int64(name)), serverID: makeID("Worker"), nthreads: nthreads,
      pid: Int64(getpid()), host: "localhost", resources: resources)
    self.scheduler = scheduler
    self.client = client
    self.peers = peers
    threads = try ThreadPool(count: nthreads)
    self.recorder = recorder
    channel = recorder?.channel(
      for: Source(kind: .worker, id: facts.serverID, address: address, name: facts.name))
    self.logger = logger
    host = PluginHost("worker \(address)", logger, channel) { try $0.call($1) }
    idSuffix = "-w\(facts.name)."
  }

  deinit {
    threads.close()
  }

  // MARK: - Life cycle

  func start() async {
    let host = host
    let core = WorkerCore(facts: facts) { host.dispatch($0) }
    self.core = core
    worker = Worker(id: facts.serverID, address: facts.address, name: facts.name) { core.state }
    core.start(facts, time: Time.now())
    guard let channel else { return }
    for plugin in recorder?.workerPlugins(recording: channel) ?? [] {
      await setUp(plugin, name: plugin.name)
    }
  }

  func close() async {
    guard !isClosed else { return }
    drain()
    // Before its plugins are torn down: hooks called during the teardown come after it.
    core.stop(time: Time.now())
    for (name, plugin) in host.active {
      do {
        try await plugin.teardown(worker: worker)
      } catch {
        host.handleError(error, of: name, "teardown")
      }
    }
    drain()
    isClosed = true
    releaseAll()
  }

  /// The worker dies: it notifies neither the scheduler nor its plugins.
  func die() {
    isClosed = true
    releaseAll()
  }

  /// Ends the threads and drops results and task functions, which may retain the cluster.
  private func releaseAll() {
    threads.close()
    held.removeAll()
    for (_, task) in core.state.tasks { task.runSpec = nil }
  }

  // MARK: - Plugins

  func add(_ plugin: sending any WorkerPlugin, name: String) async {
    drain()
    guard !isClosed, host.admits(name: name, idempotent: plugin.idempotent) else { return }
    await removePlugin(name)
    await setUp(plugin, name: name)
  }

  private func setUp(_ plugin: any WorkerPlugin, name: String) async {
    var isDone = false
    do {
      try await plugin.setup(worker: worker)
    } catch {
      isDone = host.handleError(error, of: name, "setup")
    }
    // Registered only after it is set up, since events continue meanwhile.
    host.add(plugin, name: name, idempotent: plugin.idempotent, isDone: isDone)
  }

  func removePlugin(_ name: String) async {
    drain()
    guard let plugin = host.remove(name) else { return }
    do {
      try await plugin.teardown(worker: worker)
    } catch {
      host.handleError(error, of: name, "teardown")
    }
  }

  func reports() -> [(name: String, report: Value)] {
    drain()
    return host.reporting.map { ($0.name, $0.plugin.report()) }
  }

  // MARK: - Results

  /// The results held by this worker for these keys; missing ones are omitted.
  func values(_ keys: [Key]) -> [(Key, Held)] {
    drain()
    return keys.compactMap { key in held[key].map { (key, $0) } }
  }

  /// Stores scattered data; returns those of the keys that are in memory afterwards.
  func scatter(_ data: [Scattered]) -> [Key] {
    drain()
    guard !isClosed else { return [] }
    let accepted = data.filter { core.accepts($0.key) }
    for one in accepted {
      held[one.key] = Held(value: one.outcome.value, nbytes: one.outcome.nbytes)
    }
    handle(.updateData(accepted.map(\.data)), stimulusID("scatter"))
    return data.map(\.key).filter { core.state.tasks[$0]?.state == .memory }
  }

  // MARK: - Messages

  nonisolated func send(_ message: Message) {
    if inbox.put(message) { Driver.call(self) }
  }

  /// Several messages, in order.
  nonisolated func send(_ messages: [Message]) {
    if inbox.put(messages) { Driver.call(self) }
  }

  nonisolated func wake() {
    Task { await self.work() }
  }

  nonisolated func drive() {
    executor.takeTurn {
      self.assumeIsolated { worker in
        while worker.drain() {}
      }
    }
  }

  private func work() async {
    while drain() { await Task.yield() }
  }

  @discardableResult
  private func drain() -> Bool {
    let messages = inbox.take()
    guard !isClosed else { return !messages.isEmpty }
    for message in messages {
      switch message {
      case .stimulus(let stimulus, let stimulusID):
        handle(stimulus, stimulusID)
      case .executed(let success, let value):
        held[success.key] = Held(value: value, nbytes: success.nbytes)
        handle(.executeSuccess(success), stimulusID("task-finished"))
      case .failed(let failure):
        handle(.executeFailure(failure), stimulusID("task-erred"))
      case .rescheduled(let key): handle(.reschedule(key), stimulusID("reschedule"))
      case .seceded(let key, let seconds):
        handle(.secede(key, computeSeconds: seconds), stimulusID("secede"))
      case .gathered(let worker, let values, let start, let stop):
        for (key, value) in values { held[key] = value }
        let nbytes = values.map { ($0.0, $0.1.nbytes) }
        handle(
          .gatherSuccess(worker: worker, nbytes: nbytes, start: start, stop: stop),
          stimulusID("gather-dep-success"))
      }
    }
    return !messages.isEmpty
  }

  private func handle(_ stimulus: WorkerStimulus, _ stimulusID: String) {
    do {
      let instructions = try core.handle(stimulus, stimulusID: stimulusID, time: Time.now())
      for instruction in instructions { perform(instruction) }
    } catch {
      logger.error("internal error, please report it: \(error)")
    }
  }

  private func perform(_ instruction: WorkerInstruction) {
    switch instruction {
    case .execute(let key, let taskRunID): execute(key, taskRunID)
    case .gather(let worker, let keys):
      let peer = peers[worker]
      Task { [weak self] in
        let start = Time.seconds()
        let values = await peer?.values(keys) ?? []
        self?.send(.gathered(worker: worker, values: values, start: start, stop: Time.seconds()))
      }
    case .drop(let key): held[key] = nil
    case .taskFinished(let message, let stimulusID):
      scheduler?.send(.stimulus(.taskFinished(message), stimulusID: stimulusID))
    case .taskErred(let message, let stimulusID):
      scheduler?.send(.stimulus(.taskErred(message), stimulusID: stimulusID))
    case .addKeys(let keys, let stimulusID):
      scheduler?.send(
        .stimulus(.addKeys(worker: facts.address, keys: keys), stimulusID: stimulusID))
    case .requestRefreshWhoHas(let keys, let stimulusID):
      let request = SchedulerStimulus.requestRefreshWhoHas(worker: facts.address, keys: keys)
      scheduler?.send(.stimulus(request, stimulusID: stimulusID))
    case .reschedule(let key, let stimulusID):
      scheduler?.send(
        .stimulus(.reschedule(worker: facts.address, key: key), stimulusID: stimulusID))
    case .longRunning(let message, let stimulusID):
      scheduler?.send(.stimulus(.longRunning(message), stimulusID: stimulusID))
    case .stealResponse(let key, let state, let stimulusID):
      let response = SchedulerStimulus.stealResponse(
        worker: facts.address, key: key, state: state, stimulusID: stimulusID)
      scheduler?.send(.stimulus(response, stimulusID: stimulusID))
    }
  }

  private func stimulusID(_ name: String) -> String {
    stimulusCount += 1
    return name + idSuffix + String(stimulusCount)
  }
}
