/// Conversion of a worker's state to and from a value, for a checkpoint of a replay.
extension WorkerState {
  /// The entire state, between two events; `nil` if it has more than `limit` tasks.
  package func saved(limit: Int) -> Value? {
    guard tasks.count <= limit else { return nil }
    // Forgotten tasks may still be referenced; they come last.
    var all = ObjectIDs(tasks.values)
    var saved: [Value] = []
    while saved.count < all.elements.count { saved.append(all.elements[saved.count].saved(&all)) }
    var fields = SavedFields()
    fields.add("known", tasks.count)
    fields.add("tasks", .list(saved))
    fields.add("facts", facts?.fields)
    fields.add("transitionCounter", transitionCounter)
    fields.add("mismatchCount", mismatchCount)
    return fields.value
  }

  /// - Throws: `SavedStateError`.
  package convenience init(saved: Value, unknown: [UnavailableState]) throws {
    self.init(facts: saved["facts"].flatMap(WorkerSnapshot.init), unknown: unknown)
    let values = saved.list("tasks")
    let all = try values.map { value in
      guard let key = value["key"].flatMap(Key.init) else { throw SavedStateError() }
      return WorkerTaskState(key: key)
    }
    for (task, value) in zip(all, values) { try task.restore(value, all) }
    for task in all.prefix(try saved.count("known")) { tasks[task.key] = task }
    transitionCounter = try saved.number("transitionCounter")
    mismatchCount = try saved.count("mismatchCount")
  }
}

extension WorkerTaskState {
  fileprivate func saved(_ all: inout ObjectIDs<WorkerTaskState>) -> Value {
    var fields = SavedFields()
    fields.set("key", key.value)
    fields.add("state", state.name)
    fields.add("previous", previous?.name)
    fields.add("priority", priority?.value)
    fields.add("taskRunID", taskRunID)
    fields.add("annotations", .dict(annotations))
    fields.add("resourceRestrictions", Resource.value(resourceRestrictions))
    fields.add("dependencies", all.indexes(of: dependencies))
    fields.add("dependents", all.indexes(of: dependents))
    fields.add("waitingForData", all.indexes(of: waitingForData))
    fields.add("waiters", all.indexes(of: waiters))
    fields.add("whoHas", whoHas)
    fields.add("comingFrom", comingFrom)
    fields.add(bytes: nbytes)
    fields.add("typeName", typeName)
    fields.add("startStops", .list(startStops.map(\.value)))
    fields.add("exceptionText", exceptionText)
    fields.add("tracebackText", tracebackText)
    return fields.value
  }

  fileprivate func restore(_ value: Value, _ all: [WorkerTaskState]) throws {
    guard let name = value.text("state") else { throw SavedStateError() }
    state = State(name)
    previous = value.text("previous").map { State($0) }
    priority = value["priority"].flatMap(Priority.init)
    taskRunID = try value.number("taskRunID")
    annotations = value.entries("annotations")
    resourceRestrictions = Resource.list(value["resourceRestrictions"])
    dependencies = try value.some("dependencies", of: all)
    dependents = try value.some("dependents", of: all)
    waitingForData = try value.some("waitingForData", of: all)
    waiters = try value.some("waiters", of: all)
    whoHas = value.texts("whoHas")
    comingFrom = value.text("comingFrom")
    nbytes = value.savedBytes
    typeName = value.text("typeName")
    startStops = value.list("startStops").compactMap(StartStop.init)
    exceptionText = value.text("exceptionText")
    tracebackText = value.text("tracebackText")
  }
}
