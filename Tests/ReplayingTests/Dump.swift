import TaskLogKit

/// Everything that a plugin can see of a task, as text.
enum Dump {
  static func task(_ task: TaskState?) -> String {
    guard let task else { return "unknown" }
    var fields: [String] = []
    func add(_ name: String, _ value: Any?) {
      fields.append("\(name)=\(value.map { "\($0)" } ?? "nil")")
    }
    add("key", task.key)
    add("state", task.state)
    add("priority", task.priority)
    add("annotations", task.annotations.map { "\($0)" })
    add("workerRestrictions", task.workerRestrictions)
    add("looseRestrictions", task.looseRestrictions)
    add("dependencies", task.dependencies.map(\.key))
    add("dependents", task.dependents.map(\.key))
    add("waitingOn", task.waitingOn.map(\.key))
    add("waiters", task.waiters.map(\.key))
    add("hasLostDependencies", task.hasLostDependencies)
    add("whoWants", task.whoWants.map(\.id))
    add("whoHas", task.whoHas.map(\.address))
    add("processingOn", task.processingOn?.address)
    add("taskRunID", task.taskRunID)
    add("nbytes", task.nbytes)
    add("typeName", task.typeName)
    add("exceptionText", task.exceptionText)
    add("tracebackText", task.tracebackText)
    add("exceptionBlame", task.exceptionBlame?.key)
    add("erredOn", task.erredOn)
    add("retries", task.retries)
    add("suspicious", task.suspicious)
    add("group", task.group.name)
    add("groupStates", states(task.group.states))
    add("groupDurations", task.group.allDurations.map { "\($0.0): \($0.1)" })
    add("groupNbytes", task.group.nbytesTotal)
    add("prefix", task.prefix.name)
    add("prefixStates", states(task.prefix.states))
    add("prefixDurations", task.prefix.allDurations.map { "\($0.0): \($0.1)" })
    add("computeCount", task.prefix.computeCount)
    return fields.joined(separator: " ")
  }

  /// What is known of the whole cluster at that moment.
  static func cluster(_ state: SchedulerState) -> String {
    var fields: [String] = [
      "transitions=\(state.transitionCounter) mismatchCount=\(state.mismatchCount)"
    ]
    fields.append("tasks=\(state.tasks.map { "\($0.0)" })")
    fields.append("groups=\(state.groups.map(\.0)) prefixes=\(state.prefixes.map(\.0))")
    fields.append("unrunnable=\(state.unrunnable.map(\.key)) queued=\(state.queued.map(\.key))")
    for (address, worker) in state.workers {
      fields.append(
        "\(address): \(worker.status) \(worker.facts) processing=\(worker.processing.map(\.key)) "
          + "hasWhat=\(worker.hasWhat.map(\.key)) nbytes=\(worker.nbytes)")
    }
    for (id, client) in state.clients { fields.append("\(id): \(client.wantsWhat.map(\.key))") }
    return fields.joined(separator: " ")
  }

  static func task(_ task: WorkerTaskState?) -> String {
    guard let task else { return "unknown" }
    var fields: [String] = []
    func add(_ name: String, _ value: Any?) {
      fields.append("\(name)=\(value.map { "\($0)" } ?? "nil")")
    }
    add("key", task.key)
    add("state", task.state)
    add("previous", task.previous)
    add("priority", task.priority)
    add("taskRunID", task.taskRunID)
    add("annotations", task.annotations.map { "\($0)" })
    add("dependencies", task.dependencies.map(\.key))
    add("dependents", task.dependents.map(\.key))
    add("waitingForData", task.waitingForData.map(\.key))
    add("waiters", task.waiters.map(\.key))
    add("whoHas", task.whoHas)
    add("comingFrom", task.comingFrom)
    add("nbytes", task.nbytes)
    add("typeName", task.typeName)
    add("startStops", task.startStops)
    add("exceptionText", task.exceptionText)
    add("tracebackText", task.tracebackText)
    return fields.joined(separator: " ")
  }

  private static func states(_ states: [State: Int]) -> [String] {
    states.filter { $0.value != 0 }.map { "\($0.key): \($0.value)" }.sorted()
  }
}
