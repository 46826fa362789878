import TaskLogPlugin

/// Joining, death and retirement of workers, and the restart of all.
extension SchedulerCore {
  func addWorker(_ facts: WorkerSnapshot, _ request: TransitionContext) throws(InternalError) {
    guard !state.workers.contains(facts.address) else { return }
    logEvent([facts.address], .object(["action": "add-worker"]), request)
    logEvent(
      ["all"],
      .object(["action": "add-worker", "worker": .string(facts.address)]), request)
    emit(
      Event(
        .addWorker, time: request.time, stimulusID: request.stimulusID, worker: facts.address,
        snapshot: .worker(facts)))
    try scheduleUnrunnable(on: facts.address, request)
  }

  /// Dask's `bulk_schedule_unrunnable_after_adding_worker`.
  private func scheduleUnrunnable(
    on address: String, _ request: TransitionContext
  ) throws(InternalError) {
    guard !state.unrunnable.isEmpty, let worker = state.workers[address] else { return }
    let runnable = state.unrunnable.filter { task in
      isValid(worker, for: task)
        || (task.looseRestrictions && isRunning(worker, with: task.resourceRestrictions))
    }
    var recommendations = Recommendations<TaskState>()
    for task in byPriority(runnable) { recommendations[task] = .processing }
    try transitions(recommendations, request)
  }

  // MARK: - Removing

  /// Dask's `remove_worker`: the worker is removed before its tasks move; plugins are notified
  /// after that.
  ///
  /// - Parameter expected: the worker was asked to leave; its tasks do not become suspicious.
  func removeWorker(
    _ address: String, expected: Bool, _ request: TransitionContext
  ) throws(InternalError) {
    guard let worker = state.workers[address] else { return }
    let processing = Array(worker.processing)
    let held = Array(worker.hasWhat)
    retiring.removeValue(forKey: address)
    emit(
      Event(
        .stimulus, time: request.time, stimulusID: request.stimulusID, worker: address,
        args: Args(named: [.init("op", "remove-worker"), .init("expected", .bool(expected))])))
    var recommendations = Recommendations<TaskState>()
    for task in processing {
      if !expected, task.suspicious > options.allowedFailures {
        recommendations.update(try kill(task, address, request))
      } else {
        recommendations[task] = .released
      }
    }
    for task in held where task.whoHas.isEmpty {
      recommendations[task] = task.isPureData ? .forgotten : .released
    }
    recordRemoval(of: address, processing, held, expected, request)
    try transitions(recommendations, request)
    emit(
      Event(
        .removeWorker, time: request.time, stimulusID: request.stimulusID, worker: address))
    for (other, _) in state.workers {
      instruct(.toWorker(address: other, .removeWorker(address), stimulusID: request.stimulusID))
    }
  }

  private func recordRemoval(
    of address: String, _ processing: [TaskState], _ held: [TaskState], _ expected: Bool,
    _ request: TransitionContext
  ) {
    func keys(_ tasks: [TaskState]) -> Value { .set(tasks.map(\.key.value)) }
    let lost = held.filter(\.whoHas.isEmpty)
    var message: [Value.Entry] = [
      .init("action", "remove-worker"), .init("processing-tasks", keys(processing)),
      .init("lost-computed-tasks", keys(lost.filter { !$0.isPureData })),
      .init("lost-scattered-tasks", keys(lost.filter(\.isPureData))),
      .init("stimulus_id", .string(request.stimulusID)), .init("expected", .bool(expected)),
    ]
    logEvent([address], .dict(message), request)
    message.append(.init("worker", .string(address)))
    logEvent(["all"], .dict(message), request)
  }

  /// Too many workers have died while running this task: Dask's `KilledWorker`.
  private func kill(
    _ task: TaskState, _ address: String, _ request: TransitionContext
  ) throws(InternalError) -> Recommendations<TaskState> {
    let text =
      "KilledWorker: attempted to run task '\(task.key)' on \(task.suspicious) workers, but all "
      + "those workers died while running it; the last of them was \(address)"
    var context = request
    context.args = Args(named: [
      .init(
        "exception", .object(["type": "KilledWorker", "description": .string(text)])),
      .init("cause", task.key.value), .init("worker", .string(address)),
    ])
    return try transition(task, .erred, context)
  }

  // MARK: - Retiring

  /// Dask's `retire_workers`: the workers get no new tasks, their results are moved, then they
  /// leave.
  func retireWorkers(_ addresses: [String], _ request: TransitionContext) throws(InternalError) {
    for address in addresses where !retiring.contains(address) {
      guard state.workers.contains(address) else {
        instruct(.retired(address: address, succeeded: false))
        continue
      }
      retiring[address] = [:]
      setStatus(.closingGracefully, of: address, request)
    }
  }

  private func setStatus(_ status: WorkerStatus, of address: String, _ request: TransitionContext) {
    let before = state.workers[address]?.status.rawValue
    emit(
      Event(
        .stimulus, time: request.time, stimulusID: request.stimulusID, worker: address,
        args: Args(named: [
          .init("op", "worker-status-change"), .init("status", .string(status.rawValue)),
        ])))
    logEvent(
      [address],
      .object([
        "action": "worker-status-change", "prev-status": before.map(Value.string) ?? .null,
        "status": .string(status.rawValue), "stimulus_id": .string(request.stimulusID),
      ]), request)
  }

  /// Moves results that only retiring workers hold, and removes the workers that hold no such
  /// results any more: Dask's `RetireWorker` policy and `_track_retire_worker`.
  func continueRetiring(_ request: TransitionContext) throws(InternalError) {
    for address in retiring.keys {
      guard let worker = state.workers[address], let requested = retiring[address] else { continue }
      let unique = worker.hasWhat.filter { task in
        !task.whoHas.contains { $0.status == .running }
      }
      if unique.isEmpty {
        try removeWorker(address, expected: true, request)
        instruct(.retired(address: address, succeeded: true))
        recordRetirement(of: address, true, request)
        continue
      }
      let recipients = state.workers.values.filter { $0.status == .running }
      guard !recipients.isEmpty else {
        // No worker can receive the results: it stays.
        retiring.removeValue(forKey: address)
        setStatus(.running, of: address, request)
        try scheduleUnrunnable(on: address, request)
        instruct(.retired(address: address, succeeded: false))
        recordRetirement(of: address, false, request)
        continue
      }
      move(unique, from: address, requested, recipients, request)
    }
  }

  /// Dask logs this once for all workers that were asked together, when the last one has left.
  private func recordRetirement(of address: String, _ succeeded: Bool, _ request: TransitionContext)
  {
    let id = Value.string(request.stimulusID)
    let one = Value.list([.string(address)])
    logEvent(
      ["all"],
      .object([
        "action": "retire-workers", "retired": succeeded ? one : .list([]),
        "could-not-retire": succeeded ? .list([]) : one, "stimulus_id": id,
      ]), request)
    logEvent(
      [address],
      .object(["action": succeeded ? "retired" : "could-not-retire", "stimulus_id": id]), request)
  }

  private func move(
    _ tasks: [TaskState], from address: String, _ requested: [Key: String],
    _ recipients: [WorkerInfo], _ request: TransitionContext
  ) {
    var moves: [Key: String] = [:]
    var requests = OrderedMap<String, [(Key, [String])]>()
    var load = Dictionary(uniqueKeysWithValues: recipients.map { ($0.address, $0.nbytes) })
    for task in tasks {
      if let recipient = requested[task.key], state.workers[recipient]?.status == .running {
        moves[task.key] = recipient
        continue
      }
      guard
        let recipient = recipients.map(\.address).min(by: {
          load[$0, default: 0] < load[$1, default: 0]
        })
      else { continue }
      load[recipient, default: 0] += task.nbytes ?? 0
      moves[task.key] = recipient
      requests[recipient] = (requests[recipient] ?? []) + [(task.key, task.whoHas.map(\.address))]
    }
    retiring[address] = moves
    for (recipient, whoHas) in requests {
      instruct(
        .toWorker(
          address: recipient, .acquireReplicas(whoHas), stimulusID: request.stimulusID))
    }
  }

  // MARK: - Restart

  /// Dask's `restart`: every task is released by its clients, plugins are notified, and all workers
  /// leave.
  func restart(_ request: TransitionContext) throws(InternalError) {
    for (id, client) in state.clients {
      try release(client.wantsWhat.map(\.key), id, request)
    }
    emit(Event(.restart, time: request.time, stimulusID: request.stimulusID))
    for address in state.workers.keys {
      try removeWorker(address, expected: true, request)
      instruct(.retired(address: address, succeeded: true))
    }
    logEvent(
      ["all"], .object(["action": "restart-workers", "workers": .null, "client": .null]), request)
  }
}
