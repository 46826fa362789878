/// The state that a recorder captured when it was attached to a running scheduler, or that arrived
/// without a graph.
extension SchedulerState {
  /// `attach`: the workers, clients and tasks at that time.
  func applyAttach(_ event: Event) {
    guard let attached = event.snapshot.value?["attach"] else { return }
    for value in attached["workers"]?.elements ?? [] {
      guard let snapshot = WorkerSnapshot(value) else {
        mismatchCount += 1
        continue
      }
      let worker = WorkerInfo(facts: snapshot)
      worker.take(status: value)
      totalThreads &+= snapshot.nthreads &- (workers[snapshot.address]?.nthreads ?? 0)
      workers[snapshot.address] = worker
    }
    recordRunning()
    if case .dict(let entries)? = attached["clients"] {
      for entry in entries { if let id = entry.key.string { _ = client(id) } }
    }
    let tasks = attached["tasks"]?.elements ?? []
    for value in tasks { restoreSnapshot(value) }
    for value in tasks { linkRestored(value) }
    for value in attached["workers"]?.elements ?? [] { restoreWorker(value) }
    restoreTotals(attached)
    transitionCounter = event.args["transitionCounter"]?.int ?? transitionCounter
  }

  private func restoreWorker(_ value: Value) {
    guard let worker = workers[value["address"]?.string ?? ""] else { return }
    for key in (value["longRunning"]?.elements ?? []).lazy.compactMap(Key.init) {
      if let task = tasks[key] { worker.longRunning.insert(task) }
    }
  }

  /// Restores a task that already existed.
  func restoreSnapshot(_ value: Value) {
    guard let graphTask = GraphTask(value) else {
      mismatchCount += 1
      return
    }
    let task = task(graphTask.key)
    take(graphTask, task)
    task.hints = PlacementHints(value)
    fill(task, value)
  }

  /// Restores the part of a task that is not in its graph entry.
  func fill(_ task: TaskState, _ value: Value) {
    if value["hasRunSpec"]?.bool == false { task.isPureData = true }
    if value["hasLostDependencies"]?.bool == true { task.hasLostDependencies = true }
    task.state = value["state"]?.string.map(State.init) ?? task.state
    task.nbytes = value["nbytes"]?.int
    task.group.nbytesTotal &+= task.nbytes ?? 0
    task.typeName = value["typeName"]?.string
    task.taskRunID = value["taskRunID"]?.int ?? task.taskRunID
    task.suspicious = value["suspicious"]?.int.flatMap(Int.init(exactly:)) ?? 0
    task.exceptionText = value["exceptionText"]?.string
    task.tracebackText = value["tracebackText"]?.string
    task.erredOn = (value["erredOn"]?.elements ?? []).compactMap(\.string)
    for address in value["whoHas"]?.elements ?? [] {
      if let worker = workers[address.string ?? ""] { addReplica(task, worker) }
    }
    if let worker = workers[value["processingOn"]?.string ?? ""] {
      task.processingOn = worker
      worker.take(task)
    }
    for id in (value["whoWants"]?.elements ?? []).compactMap(\.string) {
      let client = client(id)
      task.whoWants.insert(client)
      client.wantsWhat.insert(task)
    }
    switch task.state {
    case .queued: queued.insert(task)
    case .noWorker: unrunnable.insert(task)
    default: break
    }
  }

  /// Restores the relations of a task to others, once all of them exist.
  func linkRestored(_ value: Value) {
    guard let graphTask = GraphTask(value) else { return }
    let task = task(graphTask.key)
    for key in graphTask.dependencies {
      let dependency = self.task(key)
      task.dependencies.insert(dependency)
      dependency.dependents.insert(task)
      task.group.dependencies.insert(dependency.group)
    }
    func tasks(_ name: String) -> [TaskState] {
      (value[name]?.elements ?? []).compactMap(Key.init).map { self.task($0) }
    }
    for other in tasks("waitingOn") { task.waitingOn.insert(other) }
    for other in tasks("waiters") { task.waiters.insert(other) }
    if let blame = value["blame"].flatMap(Key.init) { task.exceptionBlame = self.task(blame) }
  }

  /// The tasks of a graph. A Dask recorder does not repeat what is in the args: the key, in `tasks`
  /// at the same index, and the priority, in `priority`.
  func graph(of event: Event) -> [GraphEntry]? {
    let value: Value
    switch event.snapshot.decoded {
    case .graph(let graph): return graph.map { GraphEntry(facts: $0) }
    case .other(let other): value = other
    default: return nil
    }
    let args = event.args.content
    guard let entries = value["graph"]?.elements, let keys = args["tasks"]?.elements,
      entries.count == keys.count
    else { return nil }
    var priorities: [Value: Value] = [:]
    if case .dict(let entries)? = args["priority"] {
      for entry in entries { priorities[entry.key] = entry.value }
    }
    var graph: [GraphEntry] = []
    for (key, entry) in zip(keys, entries) {
      guard case .dict(let fields) = entry else { return nil }
      let value = Value.dict([.init("key", key)] + fields)
      guard var task = GraphTask(value) else { return nil }
      if task.priority == nil { task.priority = priorities[key].flatMap(Priority.init) }
      graph.append(GraphEntry(facts: task, value: value))
    }
    return graph
  }
}

/// A task of a graph, as recorded in an event.
struct GraphEntry {
  var facts: GraphTask
  /// The fields that a Dask recorder captured.
  var value: Value?

  /// Whether it already has a state and was not known before.
  var isPresent: Bool {
    guard let state = value?["state"]?.string, state != "released" else { return false }
    return value?["known"]?.bool != true
  }
}

extension Event {
  /// The client and the keys that this is about; a single key may be that of the event.
  var clientAndKeys: (client: String, keys: [Key])? {
    guard let (client, keys) = args.clientAndKeys else { return nil }
    if keys.isEmpty, let key { return (client, [key]) }
    return (client, keys)
  }
}
