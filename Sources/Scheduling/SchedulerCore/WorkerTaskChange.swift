import TaskLogPlugin

/// What workers tell of tasks.
extension SchedulerCore {
  /// Dask's `stimulus_task_finished`.
  func finished(_ message: TaskFinished, _ request: Request) throws(InternalError) {
    guard state.workers.contains(message.worker) else { return }
    // Late news of a run that nobody waits for any more.
    guard let task = state.tasks[message.key],
      task.state == .processing || task.state == .memory || task.state == .waiting
    else { return free([message.key], on: message.worker, request) }
    guard task.taskRunID == message.taskRunID else {
      return try stale(task, on: message.worker, frees: true, request)
    }
    guard task.state != .memory else {
      return addKeys(message.worker, [message.key], request)
    }
    var told = request
    told.args = message.args
    try transitions(try transition(task, .memory, told), request)
  }

  /// Dask's `stimulus_task_erred`.
  func erred(_ message: TaskErred, _ request: Request) throws(InternalError) {
    guard let task = state.tasks[message.key], task.state == .processing else { return }
    guard task.taskRunID == message.taskRunID else {
      return try stale(task, on: message.worker, frees: false, request)
    }
    if task.retries > 0 {
      var told = request
      told.snapshot = .task(TaskSnapshot(retries: task.retries - 1))
      try transitions(try transition(task, .waiting, told), request)
    } else {
      var told = request
      told.args = message.args
      try transitions(try transition(task, .erred, told), request)
    }
  }

  /// News of an older run of a task. When the worker is the one that was asked for the newer run, the
  /// older one has taken its place, and the task has to be run once more.
  private func stale(
    _ task: TaskState, on worker: String, frees: Bool, _ request: Request
  ) throws(InternalError) {
    if task.processingOn?.address == worker {
      try transitions(try transition(task, .released, request), request)
    } else if frees {
      free([task.key], on: worker, request)
    }
  }

  /// Dask's `handle_long_running`: the worker has room for another task.
  func becameLongRunning(_ message: LongRunning, _ request: Request) {
    guard let task = state.tasks[message.key], let worker = task.processingOn,
      worker.address == message.worker, task.taskRunID == message.taskRunID
    else { return }
    inFlight[ObjectIdentifier(task)] = nil
    emit(
      Event(
        .stimulus, time: request.time, key: task.key, stimulusID: request.stimulusID,
        worker: worker.address, taskRunID: task.taskRunID,
        args: Args(named: [
          .init("op", "long-running"),
          .init("compute_duration", message.computeSeconds.map(Value.double) ?? .null),
        ])))
  }

  /// Dask's `_reschedule`: the worker has released the task, and will say no more of it.
  func reschedule(_ key: Key, on worker: String, _ request: Request) throws(InternalError) {
    guard let task = state.tasks[key], task.processingOn?.address == worker else { return }
    try transitions(try transition(task, .released, request), request)
  }

  func addKeys(_ worker: String, _ keys: [Key], _ request: Request) {
    for key in keys {
      let task = state.tasks[key]
      // It will answer with what it has got when it comes to be asked to run the task. To be freed
      // after that answer would take away a result that is counted on.
      if let task, task.state == .processing, task.processingOn?.address == worker { continue }
      guard let task, task.state == .memory, state.workers[worker] != nil else {
        free([key], on: worker, request)
        continue
      }
      emit(
        Event(
          .addReplica, time: request.time, key: key, stimulusID: request.stimulusID,
          worker: worker))
    }
  }

  /// Dask's `handle_request_refresh_who_has`. Of a task that is nowhere there is nothing to tell:
  /// what needs it is being taken away from the worker. When nothing does, it is freed: it was to be
  /// kept for a worker that is gone since.
  func refreshWhoHas(_ worker: String, _ keys: [Key], _ request: Request) {
    let needless = keys.filter { key in
      guard let task = state.tasks[key] else { return true }
      return task.processingOn?.address != worker
        && !task.whoHas.contains { $0.address != worker }
        && !task.dependents.contains { $0.processingOn?.address == worker }
    }
    if !needless.isEmpty { free(needless, on: worker, request) }
    let held = keys.compactMap { key -> (Key, [String])? in
      let holders = state.tasks[key]?.whoHas.map(\.address).filter { $0 != worker } ?? []
      return holders.isEmpty ? nil : (key, holders)
    }
    guard !held.isEmpty else { return }
    instruct(
      .toWorker(address: worker, .refreshWhoHas(held), stimulusID: request.stimulusID))
  }

  func free(_ keys: [Key], on worker: String, _ request: Request) {
    instruct(
      .toWorker(address: worker, .freeKeys(keys), stimulusID: request.stimulusID))
  }
}
