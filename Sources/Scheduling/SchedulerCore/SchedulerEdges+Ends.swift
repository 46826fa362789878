import TaskLogPlugin

/// The edges of tasks that are running, have run or have failed.
extension SchedulerCore {
  // MARK: - From processing

  func transitionProcessingMemory(_ task: TaskState, _ request: TransitionContext)
    -> SchedulerDecision
  {
    guard let address = request.args.worker, state.workers[address] != nil else {
      var decision = SchedulerDecision(.processing)
      decision.recommendations[task] = .released
      return decision
    }
    var decision = SchedulerDecision(.memory)
    decision.worker = address
    decision.taskRunID = task.taskRunID
    // Processed from the end: the dependent with the lowest priority number goes first.
    let ready = task.dependents.filter { dependent in
      dependent.waitingOn.count == 1 && dependent.waitingOn.contains(task)
    }
    for dependent in byPriority(ready) {
      decision.recommendations[dependent] = .processing
    }
    releaseUnneeded(of: task, &decision)
    if task.waiters.isEmpty, task.whoWants.isEmpty {
      decision.recommendations[task] = .released
    }
    for client in task.whoWants {
      decision.instructions.append(.keyInMemory(client: client.id, key: task.key))
    }
    return decision
  }

  /// processing, queued, no-worker → erred
  func transitionToErred(_ task: TaskState, _ request: TransitionContext) -> SchedulerDecision {
    var decision = SchedulerDecision(.erred)
    decision.worker = request.args.worker
    if task.state == .processing { decision.taskRunID = task.taskRunID }
    for waiter in task.waiters { decision.recommendations[waiter] = .erred }
    releaseUnneeded(of: task, &decision)
    let args = request.args.content
    let exceptionText = args["exception_text"] ?? args["exception"]?["description"]
    for client in task.whoWants {
      decision.instructions.append(
        .taskErred(
          client: client.id, key: task.key, blame: task.key,
          exceptionText: exceptionText?.string ?? "",
          tracebackText: args["traceback_text"]?.string ?? ""))
    }
    return decision
  }

  func transitionProcessingReleased(_ task: TaskState, _ request: TransitionContext)
    -> SchedulerDecision
  {
    var decision = released(task)
    decision.snapshot = request.snapshot
    if let worker = task.processingOn, state.workers.contains(worker.address) {
      decision.worker = worker.address
      decision.instructions.append(
        .toWorker(
          address: worker.address, .freeKeys([task.key]), stimulusID: request.stimulusID))
    }
    return decision
  }

  // MARK: - From memory

  func transitionMemoryReleased(_ task: TaskState, _ request: TransitionContext)
    -> SchedulerDecision
  {
    var decision = SchedulerDecision(.released)
    freeReplicas(of: task, request, &decision)
    for client in task.whoWants {
      decision.instructions.append(.lostData(client: client.id, key: task.key))
    }
    let isWanted = !task.whoWants.isEmpty || !task.waiters.isEmpty
    if task.hasLostDependencies || task.isPureData {
      decision.recommendations[task] = .forgotten
    } else if isWanted {
      decision.recommendations[task] = .waiting
    }
    for waiter in task.waiters {
      switch waiter.state {
      case .noWorker, .processing, .queued: decision.recommendations[waiter] = .waiting
      default: break
      }
    }
    return decision
  }

  func transitionMemoryForgotten(_ task: TaskState, _ request: TransitionContext)
    -> SchedulerDecision
  {
    forgotten(task, request)
  }

  // MARK: - From erred

  func transitionErredReleased(_ task: TaskState, _ request: TransitionContext) -> SchedulerDecision
  {
    var decision = SchedulerDecision(.released)
    for dependent in task.dependents where dependent.state == .erred {
      decision.recommendations[dependent] = .waiting
    }
    for address in task.erredOn where state.workers.contains(address) {
      decision.instructions.append(
        .toWorker(address: address, .freeKeys([task.key]), stimulusID: request.stimulusID))
    }
    return decision
  }
}
