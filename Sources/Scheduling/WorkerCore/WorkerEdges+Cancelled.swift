import TaskLogPlugin

/// The edges of tasks that were released while they ran or were under way, and of those that were
/// asked for again before the end of that had been told.
extension WorkerCore {
  func transitionToCancelled(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    WorkerDecision(.cancelled)
  }

  /// Released once more before its end has been told: it stays cancelled.
  func transitionCancelledReleased(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    WorkerDecision(.cancelled)
  }

  /// The end of a cancelled task has been told: now it is released, whatever came of it.
  func transitionCancelledDone(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    var decision = WorkerDecision(.released)
    decision.instructions.append(.drop(task.key))
    release(task, &decision)
    return decision
  }

  /// Asked for again while the cancelled run (or transfer) is still under way.
  func transitionCancelledWaiting(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    switch task.previous {
    case .executing: return WorkerDecision(.executing)
    case .longRunning:
      var decision = WorkerDecision(.longRunning)
      decision.instructions.append(longRunningMessage(task, nil, request))
      return decision
    default: return WorkerDecision(.resumed)
    }
  }

  /// Needed again while the cancelled transfer (or run) is still under way; its failure ends it.
  func transitionCancelledFetch(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    WorkerDecision(task.previous == .flight ? .flight : .resumed)
  }

  /// The transfer of a task that was to be run here has failed: it is run after all. While it is
  /// under way a task to be fetched is back where it was, a task that runs is waited for.
  func transitionResumedFetch(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    guard !isInProgress(task) else {
      return WorkerDecision(task.previous == .flight ? .flight : .resumed)
    }
    var decision = WorkerDecision(.released)
    decision.recommendations[task] = .waiting
    return decision
  }

  /// The run of a task that was to be fetched has failed: it is fetched after all.
  func transitionResumedError(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    var decision = WorkerDecision(.released)
    decision.recommendations[task] = .fetch
    return decision
  }

  /// The run of a task that was to be fetched is given up: it is fetched after all.
  func transitionResumedRescheduled(
    _ task: WorkerTaskState, _ request: Request
  ) -> WorkerDecision {
    var decision = WorkerDecision(.rescheduled)
    decision.recommendations[task] = .fetch
    return decision
  }
}
