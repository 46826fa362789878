import TaskLogPlugin

/// Submission of task graphs.
extension SchedulerCore {
  /// Dask's `update_graph`.
  func updateGraph(_ new: NewGraph, _ request: TransitionContext) throws(InternalError) {
    let (client, tasks, keys) = (new.client, new.tasks, new.keys)
    if let lost = lostKey(tasks, keys) {
      refuse(client, keys, lost)
      return recordGraph(client, "cancelled", request)
    }
    let graph = graphTasks(new)
    emit(
      Event(
        .updateGraph, time: request.time, stimulusID: request.stimulusID,
        args: graphArgs(client, tasks, keys, graph), snapshot: .graph(graph)))
    let isPlain = Self.isPlain(tasks, keys)
    let requested = keys.map { state.tasks[$0] }
    for (index, new) in tasks.enumerated() {
      guard let task = isPlain ? requested[index] : state.tasks[new.key] else { continue }
      if task.runSpec == nil { task.runSpec = new.runSpec }
    }

    // Their dependencies follow from them. A known task that is released counts as new.
    var recommendations = Recommendations<TaskState>()
    let new = requested.compactMap { $0?.state == .released ? $0 : nil }
    for task in byPriority(new) { recommendations[task] = .waiting }
    for facts in graph where !facts.dependencies.isEmpty {
      if let task = state.tasks[facts.key], task.exceptionBlame != nil {
        recommendations[task] = .erred
      }
    }
    // Clients must be notified of tasks that are already done.
    for task in requested {
      if let task { report(task, to: client) }
    }
    try transitions(recommendations, request)
    recordGraph(
      client, "OK", request,
      [
        .init(
          "metrics",
          .object([
            "tasks": .int(Int64(tasks.count)), "new_tasks": .int(Int64(graph.count)),
            "key_collisions": 0,
          ]))
      ])
  }

  private func recordGraph(
    _ client: String, _ status: String, _ request: TransitionContext, _ entries: [Value.Entry] = []
  ) {
    logEvent(
      ["scheduler", client],
      .dict(
        [
          .init("action", "update-graph"), .init("stimulus_id", .string(request.stimulusID)),
        ] + entries + [.init("status", .string(status))]), request)
  }

  /// The tasks that are not yet known, with their priority: Dask's `_set_priorities`.
  private func graphTasks(_ new: NewGraph) -> [GraphTask] {
    let generation = generation(of: new)
    var graph: [GraphTask] = []
    graph.reserveCapacity(new.tasks.count)
    var added: Set<Key> = []
    for (index, task) in new.tasks.enumerated()
    where (state.tasks[task.key]?.isPureData ?? true) && added.insert(task.key).inserted {
      graph.append(
        GraphTask(
          key: task.key, dependencies: task.dependencies,
          priority: Priority(-task.userPriority, generation, Double(index)),
          annotations: task.annotations, retries: task.retries,
          workerRestrictions: task.workers, looseRestrictions: task.allowOtherWorkers,
          resourceRestrictions: task.resources))
    }
    return graph
  }

  /// Older graphs run first; tasks submitted by a task run before those submitted together with it.
  private func generation(of new: NewGraph) -> Double {
    if let key = new.submittingTask, let priority = state.tasks[key]?.priority {
      // Dask takes the first field (scheduler.py, `_set_priorities`), which is the user's priority.
      return (priority.values.first ?? 0) - 0.01
    }
    if new.submittingTask == nil { generation += 1 }
    return Double(generation)
  }

  /// A dependency that is unknown: it was forgotten, or belongs to another cluster. Dask's
  /// `_find_lost_dependencies`.
  private func lostKey(_ tasks: [NewTask], _ keys: [Key]) -> Key? {
    var cachedKeys: Set<Key>?
    func isLost(_ key: Key) -> Bool {
      guard !state.tasks.contains(key) else { return false }
      let submitted = cachedKeys ?? Set(tasks.map(\.key))
      cachedKeys = submitted
      return !submitted.contains(key)
    }
    for task in tasks where !task.dependencies.isEmpty {
      for key in task.dependencies where isLost(key) { return key }
    }
    return Self.isPlain(tasks, keys) ? nil : keys.first(where: isLost)
  }

  /// Whether the requested keys are exactly those of the tasks, which is the usual case.
  private static func isPlain(_ tasks: [NewTask], _ keys: [Key]) -> Bool {
    guard tasks.count == keys.count else { return false }
    for index in tasks.indices where tasks[index].key != keys[index] { return false }
    return true
  }

  /// Rejects all tasks of the graph and notifies the client.
  private func refuse(_ client: String, _ keys: [Key], _ lost: Key) {
    for key in keys {
      instruct(
        .taskErred(
          client: client, key: key, blame: lost,
          exceptionText: "the scheduler does not know task '\(lost)', which is needed",
          tracebackText: ""))
    }
  }

  /// Sorted so that, processed from the end, the task with the lowest priority number goes first.
  func byPriority(_ tasks: [TaskState]) -> [TaskState] {
    guard tasks.count > 1 else { return tasks }
    let last = Priority([.infinity])
    return tasks.sorted { ($1.priority ?? last) < ($0.priority ?? last) }
  }

  private func graphArgs(
    _ client: String, _ tasks: [NewTask], _ keys: [Key], _ graph: [GraphTask]
  ) -> Args {
    var annotations = OrderedMap<Value, [Value.Entry]>()
    for facts in graph {
      for annotation in facts.annotations {
        annotations[annotation.key, default: []].append(.init(facts.key.value, annotation.value))
      }
    }
    var touched = tasks.map { $0.key }
    var known: [GraphTask] = []
    if graph.count < tasks.count || tasks.contains(where: { !$0.dependencies.isEmpty }) {
      let new = Set(graph.map(\.key))
      var seen = Set(touched)
      for task in tasks {
        for key in task.dependencies where seen.insert(key).inserted { touched.append(key) }
      }
      for key in touched where !new.contains(key) {
        known.append(GraphTask(key: key, priority: state.tasks[key]?.priority))
      }
    }
    return .graph(
      GraphSubmission(
        client: client, keys: keys, tasks: touched,
        annotations: .dict(annotations.map { Value.Entry($0.key, .dict($0.value)) }),
        added: graph, known: known))
  }
}
