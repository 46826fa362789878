/// The entire state of a scheduler: Dask's `SchedulerState`.
///
/// State changes only in `apply(_:)`. The live engine decides events and applies them; a replay
/// only applies them, and ends in the same state.
public final class SchedulerState {
  /// Every known task, in the order of arrival.
  @exclusivity(unchecked) public internal(set) var tasks = OrderedMap<Key, TaskState>()
  /// By address, in the order of joining.
  @exclusivity(unchecked) public internal(set) var workers = OrderedMap<String, WorkerInfo>()
  /// The workers that get new tasks, in the order of joining.
  @exclusivity(unchecked) public private(set) var running: [WorkerInfo] = []
  /// By client id.
  @exclusivity(unchecked) public internal(set) var clients = OrderedMap<String, ClientInfo>()
  @exclusivity(unchecked) public internal(set) var groups = OrderedMap<String, TaskGroup>()
  @exclusivity(unchecked) public internal(set) var prefixes = OrderedMap<String, TaskPrefix>()
  /// Tasks that currently no worker may run, in the order of arrival.
  @exclusivity(unchecked) public internal(set) var unrunnable = OrderedSet<TaskState>()
  /// Tasks that wait for a thread of a worker, in the order of arrival; the one with the lowest
  /// priority value runs first.
  @exclusivity(unchecked) public internal(set) var queued = OrderedSet<TaskState>()
  /// The number of threads of all workers.
  @exclusivity(unchecked) public internal(set) var totalThreads = 0
  /// The number of transitions so far.
  @exclusivity(unchecked) public internal(set) var transitionCounter: Int64 = 0
  /// The number of events that did not match the state. 0 for a complete log of this engine.
  @exclusivity(unchecked) public internal(set) var mismatchCount = 0
  /// Parts of the state that the log does not contain; empty for a live state.
  public let unknown: [UnavailableState]

  /// Forgotten tasks, kept until plugins have been called.
  @exclusivity(unchecked) private var forgottenTasks: [TaskState] = []
  /// Workers that have been removed, but whose `removeWorker` has not been called yet.
  @exclusivity(unchecked) var departed: Set<String> = []

  /// The last task that was looked up: events of one task often follow each other.
  @exclusivity(unchecked) private var lastTask: TaskState?
  /// The group of the last task with an indexed key: the tasks of a `map` follow each other, and
  /// need not be split one by one.
  @exclusivity(unchecked) private var lastGroup:
    (name: String, prefix: TaskPrefix, group: TaskGroup)?

  /// The type of the last result: those of a `map` are equal, and share one string.
  @exclusivity(unchecked) var lastTypeName: String?

  let totals = StateTotals()

  package init(unknown: [UnavailableState] = []) {
    self.unknown = unknown
  }

  /// The number of tasks in a state; forgotten ones are counted from the start.
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
  /// Call the plugins and then `settle()` afterwards.
  package func apply(_ event: Event) {
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

  /// Removes forgotten tasks, which had to stay until plugins were called.
  package func settle() {
    guard !forgottenTasks.isEmpty else { return }
    lastTask = nil
    for task in forgottenTasks {
      tasks.removeValue(forKey: task.key)
      task.unlink()
      if task.group.count == 0 {
        groups.removeValue(forKey: task.group.name)
        task.group.dependencies.removeAll()
        lastGroup = nil
      }
    }
    forgottenTasks.removeAll(keepingCapacity: true)
  }

  // MARK: - Finding

  /// The task of a key; an unknown one is created (scattered data).
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

  func removeWhenSettled(_ task: TaskState) {
    forgottenTasks.append(task)
  }

  /// Dask's `_clear_task_state`: tasks have been forgotten before, now their prefixes are.
  private func forgetAll() {
    if !tasks.isEmpty { mismatchCount += 1 }
    for (_, group) in groups { group.dependencies.removeAll() }
    groups.removeAll()
    prefixes.removeAll()
  }

  /// Updates `running` after a worker has joined or left, or changed its status.
  func recordRunning() {
    running = workers.values.filter { $0.status == .running }
  }

  // MARK: - Graphs and clients

  private func applyUpdateGraph(_ event: Event) {
    guard let graph = graph(of: event) else {
      mismatchCount += 1
      return
    }
    for entry in graph {
      let graphTask = entry.facts
      let task = task(graphTask.key)
      take(graphTask, task)
      task.isPureData = entry.value?["hasRunSpec"]?.bool == false
      task.hints = entry.value.flatMap(PlacementHints.init)
      for key in graphTask.dependencies {
        let dependency = self.task(key)
        task.dependencies.insert(dependency)
        dependency.dependents.insert(task)
        task.group.dependencies.insert(dependency.group)
        if let blame = dependency.exceptionBlame { task.exceptionBlame = blame }
      }
    }
    for case let entry in graph where entry.isPresent {
      if let value = entry.value { fill(task(entry.facts.key), value) }
    }
    for case let entry in graph where entry.isPresent {
      if let value = entry.value { linkRestored(value) }
    }
    if let (id, keys) = event.args.clientAndKeys { desire(client(id), keys) }
  }

  /// Sets the fields that a task has in a graph.
  func take(_ graphTask: GraphTask, _ task: TaskState) {
    task.priority = graphTask.priority
    task.annotations = graphTask.annotations
    task.retries = graphTask.retries
    task.workerRestrictions = graphTask.workerRestrictions
    task.looseRestrictions = graphTask.looseRestrictions
    task.resourceRestrictions = graphTask.resourceRestrictions
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
