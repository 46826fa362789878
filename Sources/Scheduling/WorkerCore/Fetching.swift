import TaskLogPlugin

/// Transfers of results from other workers.
extension WorkerCore {
  /// Whether the run or transfer of this task has not yet ended.
  func isInProgress(_ task: WorkerTaskState) -> Bool {
    executing.contains(task.key) || longRunning.contains(task.key)
      || task.comingFrom.map { inFlight[$0] != nil } ?? false
  }

  /// Dask's `_ensure_communicating`: one request to each worker without a pending request.
  func fetchMissing(_ request: TransitionContext) throws(InternalError) {
    if needsDrain {
      needsDrain = false
      // Tasks that have waited longest go first.
      for task in toFetch { blocked.insert(task) }
      swap(&toFetch, &blocked)
      blocked.removeAll()
    }
    guard !toFetch.isEmpty else { return }
    var requests = OrderedMap<String, [WorkerTaskState]>()
    for task in toFetch where task.state == .fetch {
      guard let worker = task.whoHas.first(where: { inFlight[$0] == nil }) else {
        blocked.insert(task)
        continue
      }
      requests[worker, default: []].append(task)
    }
    toFetch.removeAll()
    for (worker, tasks) in requests {
      let keys = tasks.map(\.key)
      inFlight[worker] = keys
      var context = request
      context.snapshot = .task(TaskSnapshot(comingFrom: worker))
      for task in tasks { _ = try transition(task, .flight, context) }
      instruct(.gather(worker: worker, keys: keys))
    }
  }

  func requestMissing(_ request: TransitionContext) {
    guard !missing.isEmpty else { return }
    let keys = missing.filter { $0.state == .missing }.map(\.key)
    missing.removeAll()
    guard !keys.isEmpty else { return }
    instruct(.requestRefreshWhoHas(keys, stimulusID: request.stimulusID))
  }

  // MARK: - Ends of transfers

  /// Dask's `_handle_gather_dep_success`.
  func gathered(
    _ worker: String, _ nbytes: [(Key, Int64)], start: Double, stop: Double,
    _ request: TransitionContext
  ) throws(InternalError) -> Recs {
    let requested = inFlight.removeValue(forKey: worker) ?? []
    needsDrain = true
    let sizes = Dictionary(nbytes, uniquingKeysWith: { first, _ in first })
    // One span for the whole transfer, assigned to the first task with a dependent.
    var span: StartStop? = StartStop(
      action: "transfer", start: start, stop: stop, source: worker)
    var added: [Key] = []
    for key in requested {
      guard let task = state.tasks[key] else {
        if sizes[key] != nil { instruct(.drop(key)) }
        continue
      }
      guard let size = sizes[key] else {
        try handleMissing(task, request)
        continue
      }
      var context = request
      var taskSnapshot = TaskSnapshot(nbytes: size)
      if let dependent = task.dependents.first, let transfer = span {
        taskSnapshot.cause = dependent.key
        taskSnapshot.startStops = [transfer]
        span = nil
      }
      context.snapshot = .task(taskSnapshot)
      let before = task.state
      try transitions(try transition(task, .memory, context), request)
      if before == .flight { added.append(key) }
      // It was to be run here instead by now; having been fetched serves as well.
      if before == .resumed {
        instruct(.taskFinished(finishedMessage(task), stimulusID: request.stimulusID))
      }
    }
    if !added.isEmpty { instruct(.addKeys(added, stimulusID: request.stimulusID)) }
    return Recs()
  }

  private func handleMissing(_ task: WorkerTaskState, _ request: TransitionContext)
    throws(InternalError)
  {
    let next: State = task.state == .cancelled ? .missing : .fetch
    try transitions(try transition(task, next, request), request)
  }

  /// Dask's `_handle_gather_dep_network_failure`: the other worker is considered dead.
  func gatherFailed(_ worker: String, _ request: TransitionContext) throws(InternalError) -> Recs {
    let requested = inFlight.removeValue(forKey: worker) ?? []
    needsDrain = true
    for task in requested.compactMap({ state.tasks[$0] }) { try handleMissing(task, request) }
    return removeWorker(worker, request)
  }

  // MARK: - Who has what

  /// Dask's `_handle_remove_worker`: nothing can be fetched from that worker any more.
  func removeWorker(_ worker: String, _ request: TransitionContext) -> Recs {
    emit(
      Event(
        .stimulus, time: request.time, stimulusID: request.stimulusID, worker: address,
        args: Args(named: [.init("op", "remove-worker"), .init("worker", .string(worker))])))
    var recommendations = Recs()
    for set in [toFetch, blocked] {
      for task in set where task.state == .fetch && task.whoHas.isEmpty {
        recommendations[task] = .missing
      }
    }
    return recommendations
  }

  /// Dask's `_handle_refresh_who_has`.
  func refresh(_ whoHas: [(Key, [String])], _ request: TransitionContext) -> Recs {
    needsDrain = true
    emitWhoHas("refresh-who-has", whoHas, request)
    var recommendations = Recs()
    for (key, _) in whoHas {
      guard let task = state.tasks[key] else { continue }
      if task.state == .missing, !task.whoHas.isEmpty { recommendations[task] = .fetch }
      if task.state == .fetch, task.whoHas.isEmpty { recommendations[task] = .missing }
    }
    return recommendations
  }

  /// Dask's `_handle_acquire_replicas`.
  func acquire(_ whoHas: [(Key, [String])], _ request: TransitionContext) -> Recs {
    emitWhoHas("acquire-replicas", whoHas, request)
    var recommendations = Recs()
    for (key, _) in whoHas {
      guard let task = state.tasks[key], task.state != .memory else { continue }
      replicasWanted.insert(key)
      recommendations[task] = .fetch
    }
    return recommendations
  }

  private func emitWhoHas(_ op: String, _ whoHas: [(Key, [String])], _ request: TransitionContext) {
    emit(
      Event(
        .stimulus, time: request.time, stimulusID: request.stimulusID, worker: address,
        args: Args(named: [
          .init("op", .string(op)), .init("who_has", ComputeRequest.value(whoHas)),
        ])))
  }

  // MARK: - Scattered data

  /// Whether scattered data is stored here: not while the same key is being computed or fetched.
  func accepts(_ key: Key) -> Bool {
    guard let task = state.tasks[key] else { return true }
    switch task.state {
    case .released, .fetch, .missing: return true
    default: return false
    }
  }

  /// Dask's `_handle_update_data`. All keys have been accepted by `accepts(_:)`.
  func updateData(_ data: [ScatteredData], _ request: TransitionContext) throws(InternalError)
    -> Recs
  {
    emit(
      Event(
        .stimulus, time: request.time, stimulusID: request.stimulusID, worker: address,
        args: Args(named: [
          .init("op", "update-data"), .init("keys", .list(data.map(\.key.value))),
        ])))
    var recommendations = Recs()
    for one in data {
      guard let task = state.tasks[one.key], accepts(one.key) else { continue }
      var context = request
      context.snapshot = .task(TaskSnapshot(nbytes: one.nbytes, typeName: one.typeName))
      recommendations.update(try transition(task, .memory, context))
    }
    return recommendations
  }
}
