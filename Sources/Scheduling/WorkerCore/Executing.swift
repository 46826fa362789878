import TaskLogPlugin

/// Execution of tasks: request, run and end.
extension WorkerCore {
  typealias Recs = Recommendations<WorkerTaskState>

  /// Dask's `_handle_compute_task`.
  func compute(_ message: ComputeTask, _ request: TransitionContext) -> Recs {
    var message = message
    message.priority = message.priority.appending(Double(generation))
    generation -= 1
    // The message lists the current holders of its dependencies.
    if !blocked.isEmpty, message.whoHas.contains(where: { state.tasks[$0.0]?.state == .fetch }) {
      needsDrain = true
    }
    emit(
      Event(
        .stimulus, time: request.time, key: message.key, stimulusID: request.stimulusID,
        taskRunID: message.taskRunID, args: message.args))
    var recommendations = Recs()
    guard let task = state.tasks[message.key] else { return recommendations }
    task.runSpec = message.runSpec
    switch task.state {
    case .waiting, .ready, .constrained, .executing, .longRunning: break
    case .memory: instruct(.taskFinished(finishedMessage(task), stimulusID: request.stimulusID))
    default: recommendations[task] = .waiting
    }
    return recommendations
  }

  /// Dask's `_handle_free_keys`.
  func free(_ keys: [Key]) -> Recs {
    var recommendations = Recs()
    for key in keys {
      guard let task = state.tasks[key] else { continue }
      if !replicasWanted.isEmpty { replicasWanted.remove(key) }
      recommendations[task] = .released
    }
    return recommendations
  }

  /// The message for a task that is requested again while already in memory.
  func finishedMessage(_ task: WorkerTaskState) -> TaskFinished {
    TaskFinished(
      key: task.key, worker: address, taskRunID: task.taskRunID, nbytes: task.nbytes ?? 0,
      type: task.typeName ?? "", typeName: task.typeName ?? "", thread: 0,
      startStops: task.startStops)
  }

  // MARK: - Ends

  /// Dask's `_handle_execute_success`.
  func executed(_ message: ExecuteSuccess, _ request: TransitionContext) throws(InternalError)
    -> Recs
  {
    guard let task = state.tasks[message.key] else {
      instruct(.drop(message.key))
      return Recs()
    }
    var recommendations = executeDone(task)
    let span = StartStop(action: "compute", start: message.start, stop: message.stop)
    var context = request
    context.snapshot = .task(
      TaskSnapshot(
        nbytes: message.nbytes, typeName: message.typeName, startStops: [span]))
    let finished = TaskFinished(
      key: task.key, worker: address, taskRunID: message.taskRunID, nbytes: message.nbytes,
      type: message.type, typeName: message.typeName, thread: message.thread,
      startStops: task.startStops + [span])
    let before = task.state
    recommendations.update(try transition(task, .memory, context))
    if before == .executing || before == .longRunning {
      instruct(.taskFinished(finished, stimulusID: request.stimulusID))
    }
    // It was to be fetched instead by now; having been run serves as well.
    if before == .resumed { instruct(.addKeys([task.key], stimulusID: request.stimulusID)) }
    return recommendations
  }

  /// Dask's `_handle_execute_failure`.
  func failed(_ message: ExecuteFailure, _ request: TransitionContext) throws(InternalError) -> Recs
  {
    guard let task = state.tasks[message.key] else { return Recs() }
    var recommendations = executeDone(task)
    let span = StartStop(action: "compute", start: message.start, stop: message.stop)
    var context = request
    context.snapshot = .task(
      TaskSnapshot(
        exceptionText: message.exceptionText, tracebackText: message.tracebackText,
        startStops: [span]))
    let erred = TaskErred(
      key: task.key, worker: address, taskRunID: message.taskRunID,
      exceptionType: message.exceptionType, exceptionText: message.exceptionText,
      tracebackText: message.tracebackText, thread: message.thread,
      startStops: task.startStops + [span])
    let before = task.state
    recommendations.update(try transition(task, .error, context))
    if before == .executing || before == .longRunning {
      instruct(.taskErred(erred, stimulusID: request.stimulusID))
    }
    return recommendations
  }

  /// Dask's `_handle_reschedule`: the task asks to be run elsewhere, or later.
  func rescheduled(_ key: Key, _ request: TransitionContext) throws(InternalError) -> Recs {
    guard let task = state.tasks[key] else { return Recs() }
    var recommendations = executeDone(task)
    recommendations.update(try transition(task, .rescheduled, request))
    return recommendations
  }

  /// Dask's `_execute_done_common`.
  private func executeDone(_ task: WorkerTaskState) -> Recs {
    executing.remove(task.key)
    if !longRunning.isEmpty { longRunning.remove(task.key) }
    for resource in task.resourceRestrictions {
      availableResources[resource.name, default: 0] += resource.amount
    }
    var recommendations = Recs()
    startReady(&recommendations)
    return recommendations
  }

  // MARK: - Seceding and stealing

  /// Dask's `_handle_secede`: the task frees its thread and continues.
  func secede(_ key: Key, _ seconds: Double, _ request: TransitionContext) throws(InternalError)
    -> Recs
  {
    guard let task = state.tasks[key], executing.remove(key) != nil else { return Recs() }
    longRunning.insert(key)
    var context = request
    context.seconds = seconds
    var recommendations = try transition(task, .longRunning, context)
    startReady(&recommendations)
    return recommendations
  }

  /// Dask's `_handle_steal_request`: gives up the task unless it is already running.
  func steal(_ key: Key, _ request: TransitionContext) -> Recs {
    var recommendations = Recs()
    let task = state.tasks[key]
    instruct(.stealResponse(key, state: task?.state, stimulusID: request.stimulusID))
    guard let task else { return recommendations }
    switch task.state {
    case .ready, .constrained, .waiting: recommendations[task] = .released
    default: break
    }
    return recommendations
  }

  // MARK: - Starting

  /// Dask's `_ensure_computing`.
  func startReady(_ recommendations: inout Recs) {
    while executing.count < nthreads, let task = nextReady() {
      for resource in task.resourceRestrictions {
        availableResources[resource.name, default: 0] -= resource.amount
      }
      executing.insert(task.key)
      recommendations[task] = .executing
    }
  }

  /// Dask's `_next_ready_task`.
  private func nextReady() -> WorkerTaskState? {
    while let first = ready.first, first.state != .ready || executing.contains(first.key) {
      _ = ready.popFirst()
    }
    while let first = constrained.first,
      first.state != .constrained || executing.contains(first.key)
    {
      _ = constrained.popFirst()
    }
    guard let first = constrained.first else { return ready.popFirst() }
    let isSatisfied = first.resourceRestrictions.allSatisfy {
      availableResources[$0.name, default: 0] >= $0.amount
    }
    if let other = ready.first {
      let none = Priority([])
      let isEarlier = (first.priority ?? none) < (other.priority ?? none)
      return isEarlier && isSatisfied ? constrained.popFirst() : ready.popFirst()
    }
    return isSatisfied ? constrained.popFirst() : nil
  }
}
