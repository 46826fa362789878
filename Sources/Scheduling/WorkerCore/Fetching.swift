import TaskLogPlugin

/// Results that come from elsewhere.
extension WorkerCore {
  /// Whether the end of the run or transfer of this task has yet to be told.
  func isInProgress(_ task: WorkerTaskState) -> Bool {
    executing.contains(task.key) || longRunning.contains(task.key)
      || task.comingFrom.map { inFlight[$0] != nil } ?? false
  }

  /// Dask's `_ensure_communicating`: one request to each worker that is not being asked already.
  func fetchMissing(_ request: Request) throws(InternalError) {
    if needsDrain {
      needsDrain = false
      // Those that wait longest first.
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
      var told = request
      told.snapshot = .task(TaskSnapshot(comingFrom: worker))
      for task in tasks { _ = try transition(task, .flight, told) }
      instruct(.gather(worker: worker, keys: keys))
    }
  }

  func requestMissing(_ request: Request) {
    guard !missing.isEmpty else { return }
    let keys = missing.filter { $0.state == .missing }.map(\.key)
    missing.removeAll()
    guard !keys.isEmpty else { return }
    instruct(.requestRefreshWhoHas(keys, stimulusID: request.stimulusID))
  }

  // MARK: - Ends of transfers

  /// Dask's `_handle_gather_dep_success`.
  func gathered(
    _ worker: String, _ nbytes: [(Key, Int64)], start: Double, stop: Double, _ request: Request
  ) throws(InternalError) -> Recs {
    let asked = inFlight.removeValue(forKey: worker) ?? []
    needsDrain = true
    let sizes = Dictionary(nbytes, uniquingKeysWith: { first, _ in first })
    // One span for the whole transfer, booked on the first task that needs one of its results.
    var span: StartStop? = StartStop(
      action: "transfer", start: start, stop: stop, source: worker)
    var added: [Key] = []
    for key in asked {
      guard let task = state.tasks[key] else {
        if sizes[key] != nil { instruct(.drop(key)) }
        continue
      }
      guard let size = sizes[key] else {
        try gaveNothing(task, request)
        continue
      }
      var told = request
      var facts = TaskSnapshot(nbytes: size)
      if let dependent = task.dependents.first, let transfer = span {
        facts.cause = dependent.key
        facts.startStops = [transfer]
        span = nil
      }
      told.snapshot = .task(facts)
      let before = task.state
      try transitions(try transition(task, .memory, told), request)
      if before == .flight { added.append(key) }
      // Was to be run here by now: that it has come is as good.
      if before == .resumed {
        instruct(.taskFinished(finishedMessage(task), stimulusID: request.stimulusID))
      }
    }
    if !added.isEmpty { instruct(.addKeys(added, stimulusID: request.stimulusID)) }
    return Recs()
  }

  private func gaveNothing(_ task: WorkerTaskState, _ request: Request) throws(InternalError) {
    let next: State = task.state == .cancelled ? .missing : .fetch
    try transitions(try transition(task, next, request), request)
  }

  /// Dask's `_handle_gather_dep_network_failure`: the other worker is taken for dead.
  func gatherFailed(_ worker: String, _ request: Request) throws(InternalError) -> Recs {
    let asked = inFlight.removeValue(forKey: worker) ?? []
    needsDrain = true
    for task in asked.compactMap({ state.tasks[$0] }) { try gaveNothing(task, request) }
    return removeWorker(worker, request)
  }

  // MARK: - Who has what

  /// Dask's `_handle_remove_worker`: nothing can be fetched from there any more.
  func removeWorker(_ worker: String, _ request: Request) -> Recs {
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
  func refresh(_ whoHas: [(Key, [String])], _ request: Request) -> Recs {
    needsDrain = true
    note("refresh-who-has", whoHas, request)
    var recommendations = Recs()
    for (key, _) in whoHas {
      guard let task = state.tasks[key] else { continue }
      if task.state == .missing, !task.whoHas.isEmpty { recommendations[task] = .fetch }
      if task.state == .fetch, task.whoHas.isEmpty { recommendations[task] = .missing }
    }
    return recommendations
  }

  /// Dask's `_handle_acquire_replicas`.
  func acquire(_ whoHas: [(Key, [String])], _ request: Request) -> Recs {
    note("acquire-replicas", whoHas, request)
    var recommendations = Recs()
    for (key, _) in whoHas {
      guard let task = state.tasks[key], task.state != .memory else { continue }
      replicasWanted.insert(key)
      recommendations[task] = .fetch
    }
    return recommendations
  }

  private func note(_ op: String, _ whoHas: [(Key, [String])], _ request: Request) {
    emit(
      Event(
        .stimulus, time: request.time, stimulusID: request.stimulusID, worker: address,
        args: Args(named: [
          .init("op", .string(op)), .init("who_has", ComputeRequest.value(whoHas)),
        ])))
  }

  // MARK: - Data from outside

  /// Whether data that is scattered here is kept: not where it is just being made or fetched.
  func accepts(_ key: Key) -> Bool {
    guard let task = state.tasks[key] else { return true }
    switch task.state {
    case .released, .fetch, .missing: return true
    default: return false
    }
  }

  /// Dask's `_handle_update_data`. Each of the keys is one that it accepts.
  func updateData(_ data: [ScatteredData], _ request: Request) throws(InternalError) -> Recs {
    emit(
      Event(
        .stimulus, time: request.time, stimulusID: request.stimulusID, worker: address,
        args: Args(named: [
          .init("op", "update-data"), .init("keys", .list(data.map(\.key.value))),
        ])))
    var recommendations = Recs()
    for one in data {
      guard let task = state.tasks[one.key], accepts(one.key) else { continue }
      var told = request
      told.snapshot = .task(TaskSnapshot(nbytes: one.nbytes, typeName: one.typeName))
      recommendations.update(try transition(task, .memory, told))
    }
    return recommendations
  }
}
