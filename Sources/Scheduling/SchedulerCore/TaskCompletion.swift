import TaskLogPlugin

/// Reports of workers about tasks.
extension SchedulerCore {
  /// Dask's `stimulus_task_finished`.
  func finished(_ message: TaskFinished, _ request: TransitionContext) throws(InternalError) {
    guard state.workers.contains(message.worker) else { return }
    // A late report of a run that is no longer awaited.
    guard let task = state.tasks[message.key],
      task.state == .processing || task.state == .memory || task.state == .waiting
    else { return free([message.key], on: message.worker, request) }
    guard task.taskRunID == message.taskRunID else {
      return try handleStale(task, on: message.worker, frees: true, request)
    }
    guard task.state != .memory else {
      return addKeys(message.worker, [message.key], request)
    }
    var context = request
    context.args = message.args
    try transitions(try transition(task, .memory, context), request)
  }

  /// Dask's `stimulus_task_erred`.
  func erred(_ message: TaskErred, _ request: TransitionContext) throws(InternalError) {
    guard let task = state.tasks[message.key], task.state == .processing else { return }
    guard task.taskRunID == message.taskRunID else {
      return try handleStale(task, on: message.worker, frees: false, request)
    }
    if task.retries > 0 {
      var context = request
      context.snapshot = .task(TaskSnapshot(retries: task.retries - 1))
      try transitions(try transition(task, .waiting, context), request)
    } else {
      var context = request
      context.args = message.args
      try transitions(try transition(task, .erred, context), request)
    }
  }

  /// Handles a report about an older run of a task. If this worker was also assigned the newer
  /// run, the older run has replaced it, and the task must run again.
  private func handleStale(
    _ task: TaskState, on worker: String, frees: Bool, _ request: TransitionContext
  ) throws(InternalError) {
    if task.processingOn?.address == worker {
      try transitions(try transition(task, .released, request), request)
    } else if frees {
      free([task.key], on: worker, request)
    }
  }

  /// Dask's `handle_long_running`: the worker has a slot for another task.
  func becameLongRunning(_ message: LongRunning, _ request: TransitionContext) {
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

  /// Dask's `_reschedule`: the worker has released the task and will not report on it again.
  func reschedule(_ key: Key, on worker: String, _ request: TransitionContext) throws(InternalError)
  {
    guard let task = state.tasks[key], task.processingOn?.address == worker else { return }
    try transitions(try transition(task, .released, request), request)
  }

  func addKeys(_ worker: String, _ keys: [Key], _ request: TransitionContext) {
    for key in keys {
      let task = state.tasks[key]
      // The worker will respond with this result when it receives the pending request to run the
      // task. Freeing it after that response would remove a result that is relied on.
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

  /// Dask's `handle_request_refresh_who_has`. There is nothing to report about a task without
  /// holders: its dependents are being removed from the worker. If it has none there, it is freed:
  /// it was to be replicated for a worker that has left since.
  func refreshWhoHas(_ worker: String, _ keys: [Key], _ request: TransitionContext) {
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

  func free(_ keys: [Key], on worker: String, _ request: TransitionContext) {
    instruct(
      .toWorker(address: worker, .freeKeys(keys), stimulusID: request.stimulusID))
  }
}
