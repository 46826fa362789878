/// Everything that the scheduler knows: Dask's `SchedulerState`.
///
/// State changes only in `apply(_:)`. The live engine decides events and applies them; a replay
/// only applies them, and ends in the same state.
public final class SchedulerState {
  /// Every task that is known, in the order of arrival.
  public internal(set) var tasks = OrderedMap<Key, TaskState>()
  /// By address, in the order of joining.
  public internal(set) var workers = OrderedMap<String, WorkerInfo>()
  /// By client id.
  public internal(set) var clients = OrderedMap<String, ClientInfo>()
  public internal(set) var groups = OrderedMap<String, TaskGroup>()
  public internal(set) var prefixes = OrderedMap<String, TaskPrefix>()
  /// Tasks that no worker may run at present, in the order of arrival.
  public internal(set) var unrunnable = OrderedSet<TaskState>()
  /// Tasks that wait for a free worker.
  public internal(set) var queued = OrderedSet<TaskState>()
  /// How many transitions there have been.
  public internal(set) var transitionCounter: Int64 = 0
  /// How many events did not fit the state they came upon. 0 for a whole log of our own engine.
  public internal(set) var misfits = 0

  /// Forgotten tasks that can be looked up until the plugins have been told.
  private var leaving: [TaskState] = []
  /// Workers that are gone, but of which plugins have not been told yet.
  private var departed: Set<String> = []

  /// The group of the task that was found last by a key with a number: the tasks of a `map` come one
  /// after the other, and need not be split each.
  private var lastGroup: (name: String, prefix: TaskPrefix, group: TaskGroup)?

  public init() {}

  deinit {
    for (_, task) in tasks { task.unlink() }
    for (_, worker) in workers {
      worker.processing.removeAll()
      worker.hasWhat.removeAll()
    }
    for (_, client) in clients { client.wantsWhat.removeAll() }
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
    default: break
    }
  }

  /// Lets go of what only had to stay until the plugins were told: forgotten tasks.
  public func settle() {
    guard !leaving.isEmpty else { return }
    for task in leaving {
      tasks.removeValue(forKey: task.key)
      task.unlink()
      if task.group.count == 0 {
        groups.removeValue(forKey: task.group.name)
        lastGroup = nil
      }
    }
    leaving.removeAll(keepingCapacity: true)
  }

  // MARK: - Finding

  /// The task of a key; one that was never announced is made on first sight (scattered data).
  func task(_ key: Key) -> TaskState {
    if let task = tasks[key] { return task }
    let task = newTask(key)
    tasks[key] = task
    return task
  }

  private func prefix(_ name: String) -> TaskPrefix {
    if let prefix = prefixes[name] { return prefix }
    let prefix = TaskPrefix(name: name)
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
    if !tasks.isEmpty { misfits += 1 }
    groups.removeAll()
    prefixes.removeAll()
  }

  // MARK: - Graphs and clients

  private func applyUpdateGraph(_ event: Event) {
    guard case .graph(let graph) = event.snapshot.decoded else {
      misfits += 1
      return
    }
    for facts in graph {
      let task = task(facts.key)
      task.priority = facts.priority
      task.annotations = facts.annotations
      task.retries = facts.retries
      task.workerRestrictions = facts.workerRestrictions
      task.looseRestrictions = facts.looseRestrictions
      for key in facts.dependencies {
        let dependency = self.task(key)
        task.dependencies.insert(dependency)
        dependency.dependents.insert(task)
        if let blame = dependency.exceptionBlame { task.exceptionBlame = blame }
      }
    }
    if let (id, keys) = event.args.clientAndKeys { desire(client(id), keys) }
  }

  private func applyAddClient(_ event: Event) {
    guard let id = event.args["client"]?.string else {
      misfits += 1
      return
    }
    _ = client(id)
  }

  private func applyRemoveClient(_ event: Event) {
    guard let id = event.args["client"]?.string, let client = clients.removeValue(forKey: id) else {
      misfits += 1
      return
    }
    for task in client.wantsWhat { task.whoWants.remove(client) }
    client.wantsWhat.removeAll()
  }

  private func applyClientDesiresKeys(_ event: Event) {
    guard let (id, keys) = event.args.clientAndKeys else {
      misfits += 1
      return
    }
    desire(client(id), keys)
  }

  private func desire(_ client: ClientInfo, _ keys: [Key]) {
    for key in keys {
      let task = task(key)
      task.whoWants.insert(client)
      client.wantsWhat.insert(task)
    }
  }

  private func applyClientReleasesKeys(_ event: Event) {
    guard let (id, keys) = event.args.clientAndKeys, let client = clients[id] else {
      misfits += 1
      return
    }
    for key in keys {
      guard let task = tasks[key] else { continue }
      task.whoWants.remove(client)
      client.wantsWhat.remove(task)
    }
  }

  // MARK: - Workers and replicas

  private func applyAddWorker(_ event: Event) {
    guard let address = event.worker else {
      misfits += 1
      return
    }
    let facts: WorkerFacts
    if case .worker(let recorded) = event.snapshot.decoded {
      facts = recorded
    } else {
      misfits += 1
      facts = WorkerFacts(address: address, name: .null, serverID: "", nthreads: 0)
    }
    workers[address] = WorkerInfo(facts: facts)
  }

  /// The hook comes last; our engine has let the worker go with a mark before.
  private func applyRemoveWorker(_ event: Event) {
    if let address = event.worker, departed.remove(address) != nil { return }
    removeWorker(event.worker)
  }

  private func applyStimulus(_ event: Event) {
    let args = event.args.content
    switch args["op"]?.string {
    // The worker is gone while its tasks move, before `removeWorker` is called.
    case "remove-worker":
      let worker = workers[event.worker ?? ""]
      removeWorker(event.worker)
      if let address = event.worker { departed.insert(address) }
      guard let worker, args["expected"]?.bool != true else { return }
      for task in worker.processing {
        task.suspicious += 1
        task.prefix.suspicious += 1
      }
    case "worker-status-change":
      guard let worker = workers[event.worker ?? ""] else {
        misfits += 1
        return
      }
      if let status = args["status"]?.string.flatMap(WorkerStatus.init) { worker.status = status }
    case "update-data":
      for facts in event.snapshot.decoded.value?["graph"]?.elements ?? [] { takePresent(facts) }
    default: break
    }
  }

  private func removeWorker(_ address: String?) {
    guard let address, let worker = workers.removeValue(forKey: address) else {
      misfits += 1
      return
    }
    for task in worker.hasWhat { task.whoHas.remove(worker) }
    worker.hasWhat.removeAll()
    worker.nbytes = 0
  }

  private func applyReplica(_ event: Event, add: Bool) {
    // Dask takes what a worker held away from it after it has gone.
    if !add, let address = event.worker, departed.contains(address) { return }
    guard let key = event.key, let task = tasks[key], let worker = workers[event.worker ?? ""]
    else {
      misfits += 1
      return
    }
    if add {
      addReplica(task, worker)
    } else {
      removeReplica(task, worker)
    }
  }

  func addReplica(_ task: TaskState, _ worker: WorkerInfo) {
    guard !task.whoHas.contains(worker) else { return }
    task.whoHas.insert(worker)
    worker.hasWhat.insert(task)
    worker.nbytes &+= task.nbytes ?? 0
  }

  func removeReplica(_ task: TaskState, _ worker: WorkerInfo) {
    guard task.whoHas.contains(worker) else { return }
    task.whoHas.remove(worker)
    worker.hasWhat.remove(task)
    worker.nbytes &-= task.nbytes ?? 0
  }

  func removeAllReplicas(_ task: TaskState) {
    for worker in task.whoHas {
      worker.hasWhat.remove(task)
      worker.nbytes &-= task.nbytes ?? 0
    }
    task.whoHas.removeAll()
  }
}
