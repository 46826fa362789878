/// What a recorder found that was attached in the middle of a run, or that came without a graph.
extension SchedulerState {
  /// `attach`: the workers, clients and tasks that were there.
  func applyAttach(_ event: Event) {
    guard let found = event.snapshot.value?["attach"] else { return }
    for value in found["workers"]?.elements ?? [] {
      guard let facts = WorkerFacts(value) else {
        misfits += 1
        continue
      }
      workers[facts.address] = WorkerInfo(facts: facts)
      totalThreads &+= facts.nthreads
    }
    noteRunning()
    if case .dict(let entries)? = found["clients"] {
      for entry in entries { if let id = entry.key.string { _ = client(id) } }
    }
    let tasks = found["tasks"]?.elements ?? []
    for facts in tasks { takePresent(facts) }
    for facts in tasks { linkPresent(facts) }
    transitionCounter = event.args["transitionCounter"]?.int ?? transitionCounter
  }

  /// A task that is under way already.
  func takePresent(_ value: Value) {
    guard let facts = GraphTask(value) else {
      misfits += 1
      return
    }
    let task = task(facts.key)
    task.priority = facts.priority
    task.annotations = facts.annotations
    task.retries = facts.retries
    task.workerRestrictions = facts.workerRestrictions
    task.looseRestrictions = facts.looseRestrictions
    task.resourceRestrictions = facts.resourceRestrictions
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

  /// What it has to do with other tasks, once they are all there.
  private func linkPresent(_ value: Value) {
    guard let facts = GraphTask(value) else { return }
    let task = task(facts.key)
    for key in facts.dependencies {
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

  /// The tasks that a graph brings. A Dask recorder does not repeat what stands in the args: the key,
  /// in `tasks` at the same place, and the priority, in `priority`.
  func graph(of event: Event) -> [GraphTask]? {
    let value: Value
    switch event.snapshot.decoded {
    case .graph(let graph): return graph
    case .other(let other): value = other
    default: return nil
    }
    let args = event.args.content
    guard let facts = value["graph"]?.elements, let keys = args["tasks"]?.elements,
      facts.count == keys.count
    else { return nil }
    var priorities: [Value: Value] = [:]
    if case .dict(let entries)? = args["priority"] {
      for entry in entries { priorities[entry.key] = entry.value }
    }
    var graph: [GraphTask] = []
    for (key, facts) in zip(keys, facts) {
      guard case .dict(let entries) = facts else { return nil }
      guard var task = GraphTask(.dict([.init("key", key)] + entries)) else { return nil }
      if task.priority == nil { task.priority = priorities[key].flatMap(Priority.init) }
      graph.append(task)
    }
    return graph
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
