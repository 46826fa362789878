/// Everything that the scheduler knows: Dask's `SchedulerState`.
///
/// State changes only in `apply(_:)`. The live engine decides events and applies them; a replay
/// only applies them, and ends in the same state.
public final class SchedulerState {
  /// Every task that is known, in the order of arrival.
  @exclusivity(unchecked) public internal(set) var tasks = OrderedMap<Key, TaskState>()
  /// By address, in the order of joining.
  @exclusivity(unchecked) public internal(set) var workers = OrderedMap<String, WorkerInfo>()
  /// The workers that get new tasks, in the order of joining.
  @exclusivity(unchecked) public private(set) var running: [WorkerInfo] = []
  /// By client id.
  @exclusivity(unchecked) public internal(set) var clients = OrderedMap<String, ClientInfo>()
  @exclusivity(unchecked) public internal(set) var groups = OrderedMap<String, TaskGroup>()
  @exclusivity(unchecked) public internal(set) var prefixes = OrderedMap<String, TaskPrefix>()
  /// Tasks that no worker may run at present, in the order of arrival.
  @exclusivity(unchecked) public internal(set) var unrunnable = OrderedSet<TaskState>()
  /// Tasks that wait for a thread of a worker, in the order of arrival; the one with the lowest
  /// priority number goes first.
  @exclusivity(unchecked) public internal(set) var queued = OrderedSet<TaskState>()
  /// Threads of all workers.
  @exclusivity(unchecked) public internal(set) var totalThreads = 0
  /// How many transitions there have been.
  @exclusivity(unchecked) public internal(set) var transitionCounter: Int64 = 0
  /// How many events did not fit the state they came upon. 0 for a whole log of our own engine.
  @exclusivity(unchecked) public internal(set) var mismatchCount = 0
  /// What this state does not know, because its log does not tell; nothing in a live one.
  public let unknown: [UnavailableState]

  /// Forgotten tasks that can be looked up until the plugins have been told.
  @exclusivity(unchecked) private var leaving: [TaskState] = []
  /// Workers that are gone, but of which plugins have not been told yet.
  @exclusivity(unchecked) var departed: Set<String> = []

  /// The task that was found last: events of one come one after the other.
  @exclusivity(unchecked) private var lastTask: TaskState?
  /// The group of the task that was found last by a key with a number: the tasks of a `map` come one
  /// after the other, and need not be split each.
  @exclusivity(unchecked) private var lastGroup:
    (name: String, prefix: TaskPrefix, group: TaskGroup)?

  /// The type of the last result: those of a `map` are alike, and need not be kept once each.
  @exclusivity(unchecked) var lastTypeName: String?

  let totals = StateTotals()

  public init(unknown: [UnavailableState] = []) {
    self.unknown = unknown
  }

  /// How many tasks are in a state; those that are forgotten are counted from the start.
  public func taskCount(_ state: State) -> Int { totals[state] }

  deinit {
    for (_, task) in tasks { task.unlink() }
    for (_, worker) in workers {
      worker.processing.removeAll()
      worker.longRunning.removeAll()
      worker.hasWhat.removeAll()
    }
    for (_, client) in clients { client.wantsWhat.removeAll() }
    for (_, group) in groups { group.dependencies.removeAll() }
  }

  /// Changes the state by one event of the scheduler.
  ///
  /// Afterwards plugins are called, and then `settle()`.
  public func apply(_ event: Event) {
    switch event.hook {
    case .transition: applyTransition(event)
    case .updateGraph: applyUpdateGraph(event)
    case .addWorker: applyAddWorker(event)
    case .removeWorker: applyRemoveWorker(event)
    case .stimulus: applyStimulus(event)
    case .addClient: applyAddClient(event)
    case .removeClient: applyRemoveClient(event)
    case .clientDesiresKeys: applyClientDesiresKeys(event)
    case .clientReleasesKeys: applyClientReleasesKeys(event)
    case .addReplica: applyReplica(event, add: true)
    case .removeReplica: applyReplica(event, add: false)
    case .restart: forgetAll()
    case .attach: applyAttach(event)
    case .logEvent: applyLogEvent(event)
    default: break
    }
  }

  /// Lets go of what only had to stay until the plugins were told: forgotten tasks.
  public func settle() {
    guard !leaving.isEmpty else { return }
    lastTask = nil
    for task in leaving {
      tasks.removeValue(forKey: task.key)
      task.unlink()
      if task.group.count == 0 {
        groups.removeValue(forKey: task.group.name)
        task.group.dependencies.removeAll()
        lastGroup = nil
      }
    }
    leaving.removeAll(keepingCapacity: true)
  }

  // MARK: - Finding

  /// The task of a key; one that was never announced is made on first sight (scattered data).
  func task(_ key: Key) -> TaskState {
    if let last = lastTask, last.key.isCopy(of: key) { return last }
    if let task = tasks[key] {
      lastTask = task
      return task
    }
    let task = newTask(key)
    tasks[key] = task
    return task
  }

  func prefix(_ name: String) -> TaskPrefix {
    if let prefix = prefixes[name] { return prefix }
    let prefix = TaskPrefix(name: name, totals: totals)
    prefixes[name] = prefix
    return prefix
  }

  private func newTask(_ key: Key) -> TaskState {
    let name = key.numberedName
    if let name, let last = lastGroup, last.name.sameBytes(as: name) {
      return TaskState(key: key, prefix: last.prefix, group: last.group)
    }
    let (prefix, group) = (prefix(key.prefix), group(of: key))
    lastGroup = name.map { ($0, prefix, group) }
    return TaskState(key: key, prefix: prefix, group: group)
  }

  private func group(of key: Key) -> TaskGroup {
    let name = key.group
    if let group = groups[name] { return group }
    let group = TaskGroup(name: name, prefix: prefix(key.prefix))
    groups[name] = group
    return group
  }

  func client(_ id: String) -> ClientInfo {
    if let client = clients[id] { return client }
    let client = ClientInfo(id: id)
    clients[id] = client
    return client
  }

  func keepUntilSettled(_ task: TaskState) {
    leaving.append(task)
  }

  /// Dask's `_clear_task_state`: the tasks have been forgotten before, now their prefixes are.
  private func forgetAll() {
    if !tasks.isEmpty { mismatchCount += 1 }
    for (_, group) in groups { group.dependencies.removeAll() }
    groups.removeAll()
    prefixes.removeAll()
  }

  /// A worker has come or gone, or changed its status.
  func recordRunning() {
    running = workers.values.filter { $0.status == .running }
  }

  // MARK: - Graphs and clients

  private func applyUpdateGraph(_ event: Event) {
    guard let graph = graph(of: event) else {
      mismatchCount += 1
      return
    }
    for new in graph {
      let facts = new.facts
      let task = task(facts.key)
      take(facts, task)
      task.isPureData = new.value?["hasRunSpec"]?.bool == false
      for key in facts.dependencies {
        let dependency = self.task(key)
        task.dependencies.insert(dependency)
        dependency.dependents.insert(task)
        task.group.dependencies.insert(dependency.group)
        if let blame = dependency.exceptionBlame { task.exceptionBlame = blame }
      }
    }
    for case let new in graph where new.isPresent {
      if let value = new.value { fill(task(new.facts.key), value) }
    }
    for case let new in graph where new.isPresent {
      if let value = new.value { linkRestored(value) }
    }
    if let (id, keys) = event.args.clientAndKeys { desire(client(id), keys) }
  }

  /// What a task comes with.
  func take(_ facts: GraphTask, _ task: TaskState) {
    task.priority = facts.priority
    task.annotations = facts.annotations
    task.retries = facts.retries
    task.workerRestrictions = facts.workerRestrictions
    task.looseRestrictions = facts.looseRestrictions
    task.resourceRestrictions = facts.resourceRestrictions
  }

  private func applyAddClient(_ event: Event) {
    guard let id = event.args["client"]?.string else {
      mismatchCount += 1
      return
    }
    _ = client(id)
  }

  private func applyRemoveClient(_ event: Event) {
    guard let id = event.args["client"]?.string, let client = clients.removeValue(forKey: id) else {
      mismatchCount += 1
      return
    }
    for task in client.wantsWhat { task.whoWants.remove(client) }
    client.wantsWhat.removeAll()
  }

  private func applyClientDesiresKeys(_ event: Event) {
    guard let (id, keys) = event.clientAndKeys else {
      mismatchCount += 1
      return
    }
    desire(client(id), keys)
  }

  func desire(_ client: ClientInfo, _ keys: [Key]) {
    for key in keys {
      let task = task(key)
      task.whoWants.insert(client)
      client.wantsWhat.insert(task)
    }
  }

  private func applyClientReleasesKeys(_ event: Event) {
    guard let (id, keys) = event.clientAndKeys, let client = clients[id] else {
      mismatchCount += 1
      return
    }
    for key in keys {
      guard let task = tasks[key] else { continue }
      task.whoWants.remove(client)
      client.wantsWhat.remove(task)
    }
  }
}
