import TaskLogPlugin

/// The scheduler of a cluster: the actor around `SchedulerCore`, home of the scheduler plugins.
public actor SchedulerServer: Driven {
  /// The source id.
  public nonisolated let id: String
  public nonisolated let address: String

  enum Message: Sendable {
    case stimulus(SchedulerStimulus, stimulusID: String)
    /// `number` counts the messages of the client.
    case graph(NewGraph, number: Int, specs: [TaskSpec], stimulusID: String)
  }

  /// Shared with the threads of workers: who has run a task sees to what follows from it.
  private nonisolated let executor = TurnExecutor()
  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  private nonisolated let inbox = Inbox<Message>()
  private let channel: (any EventChannel)?
  private let recorder: (any RecordingPlugin)?
  private var core: SchedulerCore!
  var host: PluginHost<any SchedulerPlugin>
  private(set) var scheduler: Scheduler!
  /// What was run before everything else, and is told of the end.
  var preloads: [any Preload] = []
  /// Plugins that other plugins have added in a hook.
  var added: [any SchedulerPlugin] = []

  /// What each known task does. Kept while the task can still be run again.
  private var specs: [Key: TaskSpec] = [:]
  private var workers = OrderedMap<String, WorkerServer>()
  private var clients = OrderedMap<String, Client>()
  /// The graph of each client that was taken in last, by its number.
  private var graphNumbers = OrderedMap<String, Int>()
  /// What goes to each worker when there is enough of it, or when the inbox is empty.
  private var outgoing = OrderedMap<String, [WorkerServer.Message]>()
  private var stimulusCount = 0
  /// What comes in from now on is news of the past.
  private var isClosed = false
  private let options: SchedulerCore.Options
  private let timing: Timing
  private let logger: ClusterLogger
  /// Those who wait until nothing is to be run.
  private var awaitingIdle: [CheckedContinuation<Void, Never>] = []
  /// The timers that are under way.
  private var armed: Set<String> = []
  /// Gives scattered data to workers in turns.
  private var turn = 0
  /// Workers that are being retired, with those who wait for it.
  var retiring: [String: [CheckedContinuation<Bool, Never>]] = [:]
  /// Called with a worker that the scheduler has sent away.
  private var onDismissal: (@Sendable (WorkerServer) -> Void)?

  /// What is done after some time.
  struct Timing: Sendable {
    /// How long after tasks have become unequally spread idle workers take some from others.
    var stealing = Duration.milliseconds(100)
    /// How long tasks wait for a worker that may run them before they err; for ever by default.
    var noWorkers: Duration?
  }

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
    host = PluginHost(owner: "the scheduler", logger)
  }

  // MARK: - Life

  func start(
    _ plugins: sending [any SchedulerPlugin], preloads: sending [any Plugin],
    onDismissal: @escaping @Sendable (WorkerServer) -> Void
  ) async {
    self.onDismissal = onDismissal
    let core = SchedulerCore(options) { [unowned self] event in
      self.assumeIsolated { $0.tell(event) }
    }
    self.core = core
    scheduler = Scheduler(id: id, actions: PluginActions(self)) { core.state }
    if let channel {
      for plugin in recorder?.schedulerPlugins(noting: channel) ?? [] { await add(plugin) }
    }
    await setUp(preloads)
    for plugin in plugins { await add(plugin) }
    await addAdded()
    handle(.start, stimulusID("start"))
  }

  func beforeClose() async {
    drain()
    handle(.beforeClose, stimulusID("close"))
    for (name, plugin) in host.wanting {
      do {
        try await plugin.beforeClose()
      } catch {
        host.note(error, of: name, "beforeClose")
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
    for (name, plugin) in host.wanting {
      do {
        try await plugin.close()
      } catch {
        host.note(error, of: name, "close")
      }
    }
    specs.removeAll()
    clients.removeAll()
  }

  // MARK: - Plugins

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

  private func tell(_ event: Event) {
    channel?.record(event)
    guard !host.isEmpty else { return }
    let scheduler: Scheduler = scheduler
    host.call(event) { try $0.call(event, scheduler: scheduler) }
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
    channel?.record(
      Event(
        .validWorkersDownscaling, time: Time.now(),
        args: Args(named: [.init("workers", list(workers)), .init("answer", list(answer))])))
    return answer
  }

  // MARK: - Workers and clients

  func add(_ worker: WorkerServer) {
    workers[worker.facts.address] = worker
    logger.info("worker joins", ["worker": "\(worker.facts.address)"])
    handle(.addWorker(worker.facts), stimulusID("worker-connect"))
    armTimers()
  }

  /// A worker is gone. `expected` when it was asked to go.
  func remove(_ address: String, expected: Bool) {
    drain()
    workers[address] = nil
    if expected {
      logger.info("worker leaves", ["worker": "\(address)"])
    } else {
      logger.warning("worker is lost", ["worker": "\(address)"])
    }
    handle(
      .removeWorker(address: address, expected: expected), stimulusID("handle-worker-cleanup"))
    ended(address, true)
    armTimers()
  }

  /// Asks a worker to go once its results are with others; false when it stays.
  func retire(_ address: String) async -> Bool {
    drain()
    guard !isClosed, workers[address] != nil else { return false }
    return await withCheckedContinuation { continuation in
      let isUnderWay = retiring[address] != nil
      retiring[address, default: []].append(continuation)
      if !isUnderWay { handle(.retireWorkers([address]), stimulusID("retire-workers")) }
    }
  }

  private func ended(_ address: String, _ succeeded: Bool) {
    for one in retiring.removeValue(forKey: address) ?? [] { one.resume(returning: succeeded) }
  }

  /// All tasks are forgotten, all workers go.
  func restart() {
    drain()
    handle(.restart, stimulusID("restart"))
    for (_, client) in clients { client.cancelAll() }
  }

  /// The addresses of the workers, in the order of joining.
  public func workerAddresses() -> [String] {
    drain()
    return core.state.workers.keys
  }

  func add(_ client: Client) {
    clients[client.id] = client
    handle(.addClient(client.id), stimulusID("client-connect"))
  }

  func remove(_ client: Client) {
    drain()
    handle(.removeClient(client.id), stimulusID("client-disconnect"))
    clients[client.id] = nil
  }

  /// The workers that hold results, by address.
  func whoHas(_ keys: [Key]) -> [(Key, WorkerServer)] {
    drain()
    return keys.compactMap { key in
      core.state.tasks[key]?.whoHas.first.flatMap { workers[$0.address] }.map { (key, $0) }
    }
  }

  /// The address of the worker that a task is with.
  func processingOn(_ key: Key) -> String? {
    drain()
    return core.state.tasks[key]?.processingOn?.address
  }

  /// Gives data to workers in turns: Dask's `scatter`.
  func scatter(
    _ data: [Scattered], client: String, to addresses: [String], broadcast: Bool
  ) async throws {
    drain()
    let running = core.state.workers.values.filter { worker in
      worker.status == .running && (addresses.isEmpty || addresses.contains(worker.address))
    }
    let recipients = running.compactMap { workers[$0.address] }
    guard !recipients.isEmpty else { throw ClusterError.noWorkers }
    var shares = recipients.map { _ in [Scattered]() }
    for one in data {
      if broadcast {
        for place in shares.indices { shares[place].append(one) }
      } else {
        shares[turn % shares.count].append(one)
        turn += 1
      }
    }
    var holders: [Key: [String]] = [:]
    for (worker, share) in zip(recipients, shares) where !share.isEmpty {
      for key in await worker.scatter(share) {
        holders[key, default: []].append(worker.facts.address)
      }
    }
    drain()
    handle(
      .updateData(client: client, data.map { ($0.data, workers: holders[$0.key] ?? []) }),
      stimulusID("scatter"))
  }

  // MARK: - Idleness

  /// Waits until no task is to be run any more, or the scheduler is closed. Tasks that no worker can
  /// run are not waited for.
  public func idle() async {
    drain()
    guard !isIdle, !isClosed else { return }
    await withCheckedContinuation { awaitingIdle.append($0) }
  }

  private var isIdle: Bool {
    let state = core.state
    return state.taskCount(.processing) == 0 && (state.queued.isEmpty || state.workers.isEmpty)
  }

  private func wakeIdle() {
    guard !awaitingIdle.isEmpty, isIdle else { return }
    for one in awaitingIdle { one.resume() }
    awaitingIdle.removeAll()
  }

  // MARK: - Timers

  private func armTimers() {
    if core.mayBalance { arm("stealing", timing.stealing, .balance) }
    if let limit = timing.noWorkers, !core.unrunnableSince.isEmpty {
      let (seconds, attoseconds) = limit.components
      arm(
        "no-workers", limit,
        .noWorkersTimeout(nanoseconds: seconds * 1_000_000_000 + attoseconds / 1_000_000_000))
    }
  }

  private func arm(_ name: String, _ delay: Duration, _ stimulus: SchedulerStimulus) {
    guard armed.insert(name).inserted else { return }
    Task { [weak self] in
      try? await Task.sleep(for: delay)
      await self?.fire(name, stimulus)
    }
  }

  private func fire(_ name: String, _ stimulus: SchedulerStimulus) {
    armed.remove(name)
    drain()
    guard !isClosed else { return }
    handle(stimulus, stimulusID(name))
    armTimers()
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
    // Between two rounds others get their turn on this actor.
    while drain() { await Task.yield() }
  }

  /// Handles what has come in, in order; false when there was nothing.
  @discardableResult
  private func drain() -> Bool {
    let messages = inbox.take()
    guard !isClosed else { return !messages.isEmpty }
    for message in messages {
      switch message {
      case .stimulus(let stimulus, let stimulusID): handle(stimulus, stimulusID)
      case .graph(let graph, let number, let specs, let stimulusID):
        graphNumbers[graph.client] = number
        for (task, spec) in zip(graph.tasks, specs) {
          if self.specs[task.key] == nil { self.specs[task.key] = spec }
        }
        handle(.updateGraph(graph), stimulusID)
      }
    }
    if !messages.isEmpty {
      armTimers()
      wakeIdle()
    }
    return !messages.isEmpty
  }

  private func handle(_ stimulus: SchedulerStimulus, _ stimulusID: String) {
    do {
      let instructions = try core.handle(stimulus, stimulusID: stimulusID, time: Time.now())
      for instruction in instructions { carryOut(instruction) }
    } catch {
      logger.error("engine fault, please report it: \(error)")
    }
    sendAll()
  }

  private func sendAll() {
    guard !outgoing.isEmpty else { return }
    for (address, messages) in outgoing { workers[address]?.send(messages) }
    outgoing.removeAll()
  }

  private func carryOut(_ instruction: SchedulerInstruction) {
    switch instruction {
    case .toWorker(let address, let stimulus, let stimulusID):
      var spec: TaskSpec?
      if case .computeTask(let message) = stimulus { spec = specs[message.key] }
      outgoing[address, default: []].append(
        .stimulus(stimulus, spec: spec, stimulusID: stimulusID))
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
      ended(address, succeeded)
    case .forgotten(let key): specs[key] = nil
    }
  }

  private func stimulusID(_ name: String) -> String {
    stimulusCount += 1
    return "\(name)-s.\(stimulusCount)"
  }
}
