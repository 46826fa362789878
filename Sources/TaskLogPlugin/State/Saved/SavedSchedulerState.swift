/// Conversion of a scheduler's state to and from a value, for a checkpoint of a replay.
extension SchedulerState {
  /// The entire state, between two events; `nil` if it has more than `limit` tasks.
  package func saved(limit: Int) -> Value? {
    guard tasks.count <= limit else { return nil }
    var objects = SavedObjects(self)
    var fields = SavedFields()
    fields.add("unrunnable", objects.tasks.indexes(of: unrunnable))
    fields.add("queued", objects.tasks.indexes(of: queued))
    fields.add("departed", departed.sorted())
    fields.add("totalThreads", totalThreads)
    fields.add("transitionCounter", transitionCounter)
    fields.add("mismatchCount", mismatchCount)
    fields.add("states", totals.byState)
    fields.add("knownTasks", tasks.count)
    fields.add("knownWorkers", workers.count)
    fields.add("knownClients", clients.count)
    fields.add("knownGroups", groups.count)
    fields.add("knownPrefixes", prefixes.count)
    objects.save(into: &fields)
    return fields.value
  }

  /// - Throws: `SavedStateError`.
  package convenience init(saved: Value, unknown: [UnavailableState]) throws {
    self.init(unknown: unknown)
    let objects = try RestoredObjects(saved, totals)
    for prefix in objects.prefixes.prefix(try saved.count("knownPrefixes")) {
      prefixes[prefix.name] = prefix
    }
    for group in objects.groups.prefix(try saved.count("knownGroups")) {
      groups[group.name] = group
    }
    for worker in objects.workers.prefix(try saved.count("knownWorkers")) {
      workers[worker.address] = worker
    }
    for client in objects.clients.prefix(try saved.count("knownClients")) {
      clients[client.id] = client
    }
    for task in objects.tasks.prefix(try saved.count("knownTasks")) { tasks[task.key] = task }
    recordRunning()
    unrunnable = try saved.some("unrunnable", of: objects.tasks)
    queued = try saved.some("queued", of: objects.tasks)
    departed = Set(saved.texts("departed"))
    totalThreads = try saved.count("totalThreads")
    transitionCounter = try saved.number("transitionCounter")
    mismatchCount = try saved.count("mismatchCount")
    totals.restore(saved.counts("states"))
  }
}

/// The objects of a scheduler with their indexes. Removed objects that are still referenced come
/// after the known ones.
private struct SavedObjects {
  var tasks: ObjectIDs<TaskState>
  var workers: ObjectIDs<WorkerInfo>
  var clients: ObjectIDs<ClientInfo>
  var groups: ObjectIDs<TaskGroup>
  var prefixes: ObjectIDs<TaskPrefix>

  init(_ state: SchedulerState) {
    tasks = ObjectIDs(state.tasks.values)
    workers = ObjectIDs(state.workers.values)
    clients = ObjectIDs(state.clients.values)
    groups = ObjectIDs(state.groups.values)
    prefixes = ObjectIDs(state.prefixes.values)
  }

  /// Saves all objects, until no new ones are referenced.
  mutating func save(into fields: inout SavedFields) {
    var saved = (
      tasks: [Value](), workers: [Value](), clients: [Value](), groups: [Value](),
      prefixes: [Value]()
    )
    while true {
      if saved.tasks.count < tasks.elements.count {
        saved.tasks.append(self.saved(tasks.elements[saved.tasks.count]))
      } else if saved.workers.count < workers.elements.count {
        saved.workers.append(self.saved(workers.elements[saved.workers.count]))
      } else if saved.clients.count < clients.elements.count {
        saved.clients.append(self.saved(clients.elements[saved.clients.count]))
      } else if saved.groups.count < groups.elements.count {
        saved.groups.append(self.saved(groups.elements[saved.groups.count]))
      } else if saved.prefixes.count < prefixes.elements.count {
        saved.prefixes.append(self.saved(prefixes.elements[saved.prefixes.count]))
      } else {
        break
      }
    }
    fields.add("tasks", .list(saved.tasks))
    fields.add("workers", .list(saved.workers))
    fields.add("clients", .list(saved.clients))
    fields.add("groups", .list(saved.groups))
    fields.add("prefixes", .list(saved.prefixes))
  }

  private mutating func saved(_ task: TaskState) -> Value {
    var fields = SavedFields()
    fields.set("key", task.key.value)
    fields.add("group", groups.indexes(of: [task.group]))
    fields.add("state", task.state.name)
    fields.add("priority", task.priority?.value)
    fields.add("annotations", .dict(task.annotations))
    fields.add("workerRestrictions", task.workerRestrictions)
    fields.add("looseRestrictions", task.looseRestrictions)
    fields.add("resourceRestrictions", Resource.value(task.resourceRestrictions))
    fields.add("isPureData", task.isPureData)
    fields.add("dependencies", tasks.indexes(of: task.dependencies))
    fields.add("dependents", tasks.indexes(of: task.dependents))
    fields.add("waitingOn", tasks.indexes(of: task.waitingOn))
    fields.add("waiters", tasks.indexes(of: task.waiters))
    fields.add("hasLostDependencies", task.hasLostDependencies)
    fields.add("whoWants", clients.indexes(of: task.whoWants))
    fields.add("whoHas", workers.indexes(of: task.whoHas))
    if let worker = task.processingOn { fields.add("processingOn", workers.indexes(of: [worker])) }
    fields.add("taskRunID", task.taskRunID)
    fields.add(bytes: task.nbytes)
    fields.add("typeName", task.typeName)
    fields.add("exceptionText", task.exceptionText)
    fields.add("tracebackText", task.tracebackText)
    if let blame = task.exceptionBlame { fields.add("exceptionBlame", tasks.indexes(of: [blame])) }
    fields.add("erredOn", task.erredOn)
    fields.add("retries", task.retries)
    fields.add("suspicious", task.suspicious)
    return fields.value
  }

  private mutating func saved(_ worker: WorkerInfo) -> Value {
    var fields = SavedFields()
    fields.add("facts", worker.facts.fields)
    fields.add("processing", tasks.indexes(of: worker.processing))
    fields.add("hasWhat", tasks.indexes(of: worker.hasWhat))
    fields.add(bytes: worker.nbytes)
    fields.add("status", worker.status.rawValue)
    fields.add("longRunning", tasks.indexes(of: worker.longRunning))
    fields.add("usedResources", worker.usedResources)
    return fields.value
  }

  private mutating func saved(_ client: ClientInfo) -> Value {
    var fields = SavedFields()
    fields.add("id", client.id)
    fields.add("wantsWhat", tasks.indexes(of: client.wantsWhat))
    return fields.value
  }

  private mutating func saved(_ group: TaskGroup) -> Value {
    var fields = SavedFields()
    fields.add("name", group.name)
    fields.add("prefix", prefixes.indexes(of: [group.prefix]))
    fields.add("states", group.states)
    fields.add("allDurations", group.allDurations)
    fields.add("nbytesTotal", group.nbytesTotal)
    fields.add("count", group.count)
    fields.add("size", group.size)
    fields.add("dependencies", groups.indexes(of: group.dependencies))
    return fields.value
  }

  private func saved(_ prefix: TaskPrefix) -> Value {
    var fields = SavedFields()
    fields.add("name", prefix.name)
    fields.add("states", prefix.states)
    fields.add("allDurations", prefix.allDurations)
    fields.add("computeCount", prefix.computeCount)
    fields.add("suspicious", prefix.suspicious)
    return fields.value
  }
}

/// The objects of a saved scheduler, by index.
private struct RestoredObjects {
  let tasks: [TaskState]
  let workers: [WorkerInfo]
  let clients: [ClientInfo]
  let groups: [TaskGroup]
  let prefixes: [TaskPrefix]

  init(_ saved: Value, _ totals: StateTotals) throws {
    prefixes = try saved.list("prefixes").map { value in
      guard let name = value.text("name") else { throw SavedStateError() }
      return TaskPrefix(name: name, totals: totals)
    }
    let prefixes = prefixes
    groups = try saved.list("groups").map { value in
      guard let name = value.text("name"), let prefix = try value.only("prefix", of: prefixes)
      else { throw SavedStateError() }
      return TaskGroup(name: name, prefix: prefix)
    }
    let groups = groups
    workers = try saved.list("workers").map { value in
      guard let snapshot = value["facts"].flatMap(WorkerSnapshot.init) else {
        throw SavedStateError()
      }
      return WorkerInfo(facts: snapshot)
    }
    clients = try saved.list("clients").map { value in
      guard let id = value.text("id") else { throw SavedStateError() }
      return ClientInfo(id: id)
    }
    tasks = try saved.list("tasks").map { value in
      guard let key = value["key"].flatMap(Key.init),
        let group = try value.only("group", of: groups)
      else { throw SavedStateError() }
      return TaskState(key: key, prefix: group.prefix, group: group)
    }
    for (task, value) in zip(tasks, saved.list("tasks")) { try restore(task, value) }
    for (worker, value) in zip(workers, saved.list("workers")) { try restore(worker, value) }
    for (client, value) in zip(clients, saved.list("clients")) {
      client.wantsWhat = try value.some("wantsWhat", of: tasks)
    }
    // Restored last: creating the tasks has changed the counts.
    for (group, value) in zip(groups, saved.list("groups")) { try restore(group, value) }
    for (prefix, value) in zip(prefixes, saved.list("prefixes")) { try restore(prefix, value) }
  }

  private func restore(_ task: TaskState, _ value: Value) throws {
    guard let state = value.text("state") else { throw SavedStateError() }
    task.state = State(state)
    task.priority = value["priority"].flatMap(Priority.init)
    task.annotations = value.entries("annotations")
    task.workerRestrictions = value.texts("workerRestrictions")
    task.looseRestrictions = value.flag("looseRestrictions")
    task.resourceRestrictions = Resource.list(value["resourceRestrictions"])
    task.isPureData = value.flag("isPureData")
    task.dependencies = try value.some("dependencies", of: tasks)
    task.dependents = try value.some("dependents", of: tasks)
    task.waitingOn = try value.some("waitingOn", of: tasks)
    task.waiters = try value.some("waiters", of: tasks)
    task.hasLostDependencies = value.flag("hasLostDependencies")
    task.whoWants = try value.some("whoWants", of: clients)
    task.whoHas = try value.some("whoHas", of: workers)
    task.processingOn = try value.only("processingOn", of: workers)
    task.taskRunID = try value.number("taskRunID")
    task.nbytes = value.savedBytes
    task.typeName = value.text("typeName")
    task.exceptionText = value.text("exceptionText")
    task.tracebackText = value.text("tracebackText")
    task.exceptionBlame = try value.only("exceptionBlame", of: tasks)
    task.erredOn = value.texts("erredOn")
    task.retries = try value.count("retries")
    task.suspicious = try value.count("suspicious")
  }

  private func restore(_ worker: WorkerInfo, _ value: Value) throws {
    guard let status = value.text("status").flatMap(WorkerStatus.init) else {
      throw SavedStateError()
    }
    worker.status = status
    worker.processing = try value.some("processing", of: tasks)
    worker.hasWhat = try value.some("hasWhat", of: tasks)
    worker.nbytes = value.savedBytes ?? 0
    worker.longRunning = try value.some("longRunning", of: tasks)
    worker.usedResources = value.amounts("usedResources")
  }

  private func restore(_ group: TaskGroup, _ value: Value) throws {
    group.restore(
      size: try value.count("size"), count: try value.count("count"), states: value.counts("states")
    )
    group.allDurations = value.amounts("allDurations")
    group.nbytesTotal = try value.number("nbytesTotal")
    group.dependencies = try value.some("dependencies", of: groups)
  }

  private func restore(_ prefix: TaskPrefix, _ value: Value) throws {
    prefix.restore(value.counts("states"))
    prefix.allDurations = value.amounts("allDurations")
    prefix.computeCount = try value.count("computeCount")
    prefix.suspicious = try value.count("suspicious")
  }
}
