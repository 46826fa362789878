@testable import TaskLogPlugin

/// Every field of a state as text, so that two states are equal exactly when their dumps are.
enum StateDump {
  static func text(_ state: SchedulerState) -> String {
    var lines = state.tasks.map { line($0.value) }
    for (address, worker) in state.workers {
      lines.append(
        "worker \(address) \(worker.status) \(worker.facts) nbytes=\(worker.nbytes) "
          + "processing=\(keys(worker.processing)) longRunning=\(keys(worker.longRunning)) "
          + "used=\(seconds(worker.usedResources)) hasWhat=\(keys(worker.hasWhat))")
    }
    for (id, client) in state.clients { lines.append("client \(id) \(keys(client.wantsWhat))") }
    for (name, group) in state.groups {
      lines.append(
        "group \(name) of \(group.prefix.name) \(counts(group.states)) "
          + "\(seconds(group.allDurations)) nbytes=\(group.nbytesTotal) size=\(group.size) "
          + "needs=\(group.dependencies.map(\.name))")
    }
    for (name, prefix) in state.prefixes {
      lines.append(
        "prefix \(name) \(counts(prefix.states)) \(seconds(prefix.allDurations)) "
          + "computed=\(prefix.computeCount) suspicious=\(prefix.suspicious)")
    }
    lines.append("unrunnable \(keys(state.unrunnable)) queued \(keys(state.queued))")
    lines.append("threads \(state.totalThreads)")
    lines.append("transitions \(state.transitionCounter) mismatchCount \(state.mismatchCount)")
    return lines.joined(separator: "\n")
  }

  static func text(_ state: WorkerState) -> String {
    var lines = state.tasks.map { line($0.value) }
    lines.append("facts \(state.facts.map { "\($0)" } ?? "none")")
    lines.append("transitions \(state.transitionCounter) mismatchCount \(state.mismatchCount)")
    return lines.joined(separator: "\n")
  }

  /// A task and those that an event about it can change.
  static func text(around key: Key, _ state: SchedulerState) -> String {
    guard let task = state.tasks[key] else { return "none" }
    return
      ([task] + Array(task.dependencies) + Array(task.dependents)).map(line)
      .joined(separator: "\n")
  }

  static func text(around key: Key, _ state: WorkerState) -> String {
    guard let task = state.tasks[key] else { return "none" }
    return
      ([task] + Array(task.dependencies) + Array(task.dependents)).map(line)
      .joined(separator: "\n")
  }

  static func line(_ task: TaskState) -> String {
    let fields: [String] = [
      "\(task.key) \(task.state) of \(task.group.name), \(task.prefix.name)",
      "priority=\(task.priority.map { "\($0.values)" } ?? "-")", "\(task.annotations)",
      "\(task.workerRestrictions) \(task.looseRestrictions)",
      "\(task.resourceRestrictions) pure=\(task.isPureData)", "needs=\(keys(task.dependencies))",
      "neededBy=\(keys(task.dependents))", "waitingOn=\(keys(task.waitingOn))",
      "waiters=\(keys(task.waiters))", "lost=\(task.hasLostDependencies)",
      "whoWants=\(task.whoWants.map(\.id))", "whoHas=\(task.whoHas.map(\.address))",
      "on=\(task.processingOn?.address ?? "-")", "run=\(task.taskRunID)",
      "nbytes=\(task.nbytes ?? -1)", "type=\(task.typeName ?? "-")",
      "exception=\(task.exceptionText ?? "-")", "traceback=\(task.tracebackText ?? "-")",
      "blame=\(task.exceptionBlame?.key.text ?? "-")", "erredOn=\(task.erredOn)",
      "retries=\(task.retries)", "suspicious=\(task.suspicious)",
    ]
    return fields.joined(separator: " ")
  }

  static func line(_ task: WorkerTaskState) -> String {
    let fields: [String] = [
      "\(task.key) \(task.state)", "previous=\(task.previous?.name ?? "-")",
      "priority=\(task.priority.map { "\($0.values)" } ?? "-")", "\(task.annotations)",
      "run=\(task.taskRunID)", "\(task.resourceRestrictions)",
      "needs=\(keys(task.dependencies))",
      "neededBy=\(keys(task.dependents))", "waitingForData=\(keys(task.waitingForData))",
      "waiters=\(keys(task.waiters))", "whoHas=\(task.whoHas)", "from=\(task.comingFrom ?? "-")",
      "nbytes=\(task.nbytes ?? -1)", "type=\(task.typeName ?? "-")", "\(task.startStops)",
      "exception=\(task.exceptionText ?? "-")", "traceback=\(task.tracebackText ?? "-")",
    ]
    return fields.joined(separator: " ")
  }

  private static func keys(_ set: OrderedSet<TaskState>) -> String {
    set.map(\.key.text).joined(separator: ",")
  }

  private static func keys(_ set: OrderedSet<WorkerTaskState>) -> String {
    set.map(\.key.text).joined(separator: ",")
  }

  private static func counts(_ states: [State: Int]) -> String {
    State.known.compactMap { state in
      states[state].flatMap { $0 == 0 ? nil : "\(state)=\($0)" }
    }.joined(separator: " ")
  }

  private static func seconds(_ durations: OrderedMap<String, Double>) -> String {
    durations.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
  }
}

extension Event {
  /// The event as a log returns it: args and snapshot are JSON that was written and read.
  var fromLog: Event {
    var event = self
    event.args = Args(json: EncodedJSON(args.json))
    if let value = snapshot.value {
      event.snapshot = .encoded(EncodedJSON(JSONWriter.text(value)))
    }
    return event
  }
}
