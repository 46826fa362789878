import TaskLogPlugin

/// The scheduler of a cluster: the actor around `SchedulerCore`, which hosts the scheduler plugins.
public actor SchedulerServer: Driven {
  /// The ID of the source.
  public nonisolated let id: String
  public nonisolated let address: String

  indirect enum Message: Sendable {
    case stimulus(SchedulerStimulus, stimulusID: String)
    /// `number` counts the messages of the client.
    case graph(NewGraph, number: Int, stimulusID: String)
  }

  /// Shared with the threads of workers: the thread that has run a task processes the consequences.
  private nonisolated let executor = TurnExecutor()
  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  private nonisolated let inbox = Inbox<Message>()
  private let channel: (any EventChannel)?
  private let recorder: (any RecordingPlugin)?
  var core: SchedulerCore!
  var host: PluginHost<any SchedulerPlugin>!
  var scheduler: Scheduler!
  /// The preloads, to be torn down at the end.
  var preloads: [any Preload] = []
  /// Plugins that a hook has added and that are not yet started.
  var added: [any SchedulerPlugin] = []

  var workers = OrderedMap<String, WorkerServer>()
  var clients = OrderedMap<String, Client>()
  /// The number of the last graph received from each client.
  private var graphNumbers = OrderedMap<String, Int>()
  /// Messages to each worker, sent together once a stimulus has been handled.
  private var outgoing = OrderedMap<String, [WorkerServer.Message]>()
  private var stimulusCount = 0
  /// Once set, incoming messages are ignored.
  private(set) var isClosed = false
  private let options: SchedulerCore.Options
  let timing: Timing
  let logger: ClusterLogger
  /// Continuations that wait until no task remains to be run.
  var awaitingIdle: [CheckedContinuation<Void, Never>] = []
  /// The timers that are running.
  var armed: Set<String> = []
  /// Counts scattered values, to assign them to workers round-robin.
  var turn = 0
  /// Workers that are being retired, with the continuations that wait for it.
  var retiring: [String: [CheckedContinuation<Bool, Never>]] = [:]
  /// Called with a worker that the scheduler has removed.
  private var onDismissal: (@Sendable (WorkerServer) -> Void)?

  init(
    address: String, options: SchedulerCore.Options, timing: Timing, logger: ClusterLogger,
    recorder: (any RecordingPlugin)?
  ) {
    self.logger = logger
    self.options = options
    self.timing = timing
    id = makeID("Scheduler")
    self.address = address
    self.recorder = recorder
    channel = recorder?.channel(for: Source(kind: .scheduler, id: id, address: address))
  }

  // MARK: - Life cycle

  func start(
    _ plugins: sending [any SchedulerPlugin], preloads: sending [any Plugin],
    onDismissal: @escaping @Sendable (WorkerServer) -> Void
  ) async {
    self.onDismissal = onDismissal
    let state = SchedulerState()
    let scheduler = Scheduler(id: id, actions: PluginActions(self)) { state }
    let host = PluginHost<any SchedulerPlugin>("the scheduler", logger, channel) {
      try $0.call($1, scheduler: scheduler)
    }
    core = SchedulerCore(options, state) { host.dispatch($0) }
    self.scheduler = scheduler
    self.host = host
    if let channel {
      for plugin in recorder?.schedulerPlugins(recording: channel) ?? [] { await add(plugin) }
    }
    await setUp(preloads)
    for plugin in plugins { await add(plugin) }
    await addPendingPlugins()
    handle(.start, stimulusID("start"))
  }

  func beforeClose() async {
    drain()
    handle(.beforeClose, stimulusID("close"))
    for (name, plugin) in host.active {
      do {
        try await plugin.beforeClose()
      } catch {
        host.handleError(error, of: name, "beforeClose")
      }
    }
    await tearDownPreloads()
  }

  func close() async {
    guard !isClosed else { return }
    drain()
    for address in workers.keys.sorted() {
      handle(
        .removeWorker(address: address, expected: true), stimulusID("handle-worker-cleanup"))
    }
    workers.removeAll()
    for (_, waiting) in retiring { for one in waiting { one.resume(returning: false) } }
    retiring.removeAll()
    isClosed = true
    logger.info("scheduler closes", ["scheduler": "\(id)"])
    for one in awaitingIdle { one.resume() }
    awaitingIdle.removeAll()
    onDismissal = nil
    handle(.close, stimulusID("close"))
    for (name, plugin) in host.active {
      do {
        try await plugin.close()
      } catch {
        host.handleError(error, of: name, "close")
      }
    }
    clients.removeAll()
    // The functions of tasks may retain the cluster.
    for (_, task) in core.state.tasks { task.runSpec = nil }
  }

  // MARK: - Messages

  nonisolated func send(_ message: Message) {
    if inbox.put(message) { Driver.call(self) }
  }

  nonisolated func wake() {
    Task { await self.work() }
  }

  nonisolated func drive() {
    executor.takeTurn {
      self.assumeIsolated { scheduler in
        while scheduler.drain() {}
      }
    }
  }

  private func work() async {
    // Other jobs of this actor may run between two rounds.
    while drain() { await Task.yield() }
  }

  /// Handles all received messages in order; returns `false` if there were none. Every request to
  /// the scheduler drains first, so that messages sent earlier take effect before it.
  @discardableResult
  func drain() -> Bool {
    let messages = inbox.take()
    guard !isClosed else { return !messages.isEmpty }
    for message in messages {
      switch message {
      case .stimulus(let stimulus, let stimulusID): handle(stimulus, stimulusID)
      case .graph(let graph, let number, let stimulusID):
        graphNumbers[graph.client] = number
        handle(.updateGraph(graph), stimulusID)
      }
    }
    if !messages.isEmpty {
      armTimers()
      wakeIdle()
    }
    return !messages.isEmpty
  }

  func handle(_ stimulus: SchedulerStimulus, _ stimulusID: String) {
    do {
      let instructions = try core.handle(stimulus, stimulusID: stimulusID, time: Time.now())
      if instructions.count == 1,
        case .toWorker(let address, let stimulus, let id) = instructions[0]
      {
        workers[address]?.send(.stimulus(stimulus, stimulusID: id))
        return
      }
      for instruction in instructions { perform(instruction) }
    } catch {
      logger.error("internal error, please report it: \(error)")
    }
    sendAll()
  }

  private func sendAll() {
    guard !outgoing.isEmpty else { return }
    for (address, messages) in outgoing { workers[address]?.send(messages) }
    outgoing.removeAll()
  }

  private func perform(_ instruction: SchedulerInstruction) {
    switch instruction {
    case .toWorker(let address, let stimulus, let stimulusID):
      outgoing[address, default: []].append(.stimulus(stimulus, stimulusID: stimulusID))
    case .keyInMemory(let client, let key):
      clients[client]?.finished(key, asOf: graphNumbers[client] ?? 0)
    case .taskErred(let client, let key, let blame, let exception, let traceback):
      clients[client]?.erred(
        TaskError(key: key, blame: blame, exceptionText: exception, tracebackText: traceback),
        asOf: graphNumbers[client] ?? 0)
    case .lostData(let client, let key): clients[client]?.lost(key)
    case .cancelled(let keys):
      for (id, client) in clients { client.cancelled(keys, asOf: graphNumbers[id] ?? 0) }
    case .retired(let address, let succeeded):
      if succeeded, let worker = workers.removeValue(forKey: address) { onDismissal?(worker) }
      finishRetiring(address, succeeded)
    }
  }

  func stimulusID(_ name: String) -> String {
    stimulusCount += 1
    return "\(name)-s.\(stimulusCount)"
  }
}
