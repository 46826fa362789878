import TaskLogPlugin

/// The edges of tasks that were released while running or in flight, and of those that were
/// requested again before that run or transfer had ended.
extension WorkerCore {
  func transitionToCancelled(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    WorkerDecision(.cancelled)
  }

  /// Released again before its end has been reported: it stays cancelled.
  func transitionCancelledReleased(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    WorkerDecision(.cancelled)
  }

  /// The end of a cancelled task has been reported: now it is released, whatever the outcome.
  func transitionCancelledDone(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    var decision = WorkerDecision(.released)
    decision.instructions.append(.drop(task.key))
    release(task, &decision)
    return decision
  }

  /// Requested again while the cancelled run (or transfer) is still in progress.
  func transitionCancelledWaiting(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    switch task.previous {
    case .executing: return WorkerDecision(.executing)
    case .longRunning:
      var decision = WorkerDecision(.longRunning)
      decision.instructions.append(longRunningMessage(task, nil, request))
      return decision
    default: return WorkerDecision(.resumed)
    }
  }

  /// Needed again while the cancelled transfer (or run) is still in progress; its failure ends it.
  func transitionCancelledFetch(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    WorkerDecision(task.previous == .flight ? .flight : .resumed)
  }

  /// The transfer of a task that was to be run here has failed: it is run after all. While still in
  /// progress, a task in flight returns to `flight`, and a running task is awaited (`resumed`).
  func transitionResumedFetch(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    guard !isInProgress(task) else {
      return WorkerDecision(task.previous == .flight ? .flight : .resumed)
    }
    var decision = WorkerDecision(.released)
    decision.recommendations[task] = .waiting
    return decision
  }

  /// The run of a task that was to be fetched has failed: it is fetched after all.
  func transitionResumedError(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    var decision = WorkerDecision(.released)
    decision.recommendations[task] = .fetch
    return decision
  }

  /// The run of a task that was to be fetched has been rescheduled: it is fetched after all.
  func transitionResumedRescheduled(
    _ task: WorkerTaskState, _ request: TransitionContext
  ) -> WorkerDecision {
    var decision = WorkerDecision(.rescheduled)
    decision.recommendations[task] = .fetch
    return decision
  }
}
