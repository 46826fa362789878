import TaskLogPlugin

/// Code shared by several edges of the scheduler.
extension SchedulerCore {
  /// Dask's `_add_to_processing`.
  func processing(
    _ task: TaskState, _ worker: WorkerInfo, _ request: TransitionContext
  ) -> SchedulerDecision {
    var decision = SchedulerDecision(.processing)
    runCount += 1
    decision.worker = worker.address
    decision.taskRunID = runCount
    decision.instructions.append(computeMessage(task, runCount, worker, request))
    return decision
  }

  /// Dask's `_task_to_msg`.
  func computeMessage(
    _ task: TaskState, _ runID: Int64, _ worker: WorkerInfo, _ request: TransitionContext
  ) -> SchedulerInstruction {
    let message = ComputeTask(
      key: task.key, taskRunID: runID, priority: task.priority ?? Priority([]),
      whoHas: task.dependencies.map { ($0.key, $0.whoHas.map(\.address)) },
      annotations: task.annotations, resourceRestrictions: task.resourceRestrictions,
      runSpec: task.runSpec)
    return .toWorker(
      address: worker.address, .computeTask(message), stimulusID: request.stimulusID)
  }

  /// Dask's `_propagate_released`.
  func released(_ task: TaskState) -> SchedulerDecision {
    var decision = SchedulerDecision(.released)
    if task.hasLostDependencies {
      decision.recommendations[task] = .forgotten
    } else if !task.waiters.isEmpty || !task.whoWants.isEmpty {
      decision.recommendations[task] = .waiting
      return decision
    }
    for dependency in task.dependencies where dependency.state != .released {
      recommendReleaseIfUnneeded(dependency, without: task, &decision)
    }
    return decision
  }

  /// Dask's `_propagate_forgotten`.
  func forgotten(_ task: TaskState, _ request: TransitionContext) -> SchedulerDecision {
    var decision = SchedulerDecision(.forgotten)
    for dependent in task.dependents where dependent.state != .memory && dependent.state != .erred {
      decision.recommendations[dependent] = .forgotten
    }
    for dependency in task.dependencies
    where dependency.dependents.count == 1 && dependency.whoWants.isEmpty {
      decision.recommendations[dependency] = .forgotten
    }
    freeReplicas(of: task, request, &decision)
    if !task.whoWants.isEmpty { decision.instructions.append(.cancelled([task.key])) }
    return decision
  }

  /// Releases the dependencies of a finished task that no other task needs.
  func releaseUnneeded(of task: TaskState, _ decision: inout SchedulerDecision) {
    for dependency in task.dependencies {
      recommendReleaseIfUnneeded(dependency, without: task, &decision)
    }
  }

  func recommendReleaseIfUnneeded(
    _ dependency: TaskState, without task: TaskState, _ decision: inout SchedulerDecision
  ) {
    // A failed task stays failed, or it would run again.
    guard dependency.state != .erred else { return }
    let others = dependency.waiters.count - (dependency.waiters.contains(task) ? 1 : 0)
    if others == 0, dependency.whoWants.isEmpty {
      decision.recommendations[dependency] = .released
    }
  }

  func freeReplicas(
    of task: TaskState, _ request: TransitionContext, _ decision: inout SchedulerDecision
  ) {
    for worker in task.whoHas where state.workers.contains(worker.address) {
      decision.instructions.append(
        .toWorker(
          address: worker.address, .freeKeys([task.key]), stimulusID: request.stimulusID))
    }
  }
}
