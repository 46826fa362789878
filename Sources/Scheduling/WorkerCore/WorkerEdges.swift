import TaskLogPlugin

/// The decision of an edge of a worker.
struct WorkerDecision {
  /// The state that the task will actually be in.
  var finish: State
  var snapshot: Snapshot
  var recommendations = Recommendations<WorkerTaskState>()
  var instructions: [WorkerInstruction] = []

  init(_ finish: State, _ snapshot: Snapshot = .none) {
    self.finish = finish
    self.snapshot = snapshot
  }
}

/// The edges of a worker: what Dask's `_transition_*` functions in worker_state_machine.py decide.
///
///     released ─► waiting ─► ready, constrained ─► executing ─► long-running
///        │                                              └──┬────────┘
///        │                     memory, error, rescheduled ◄┤
///        │                          cancelled, resumed ◄───┘
///        ├─────► fetch ─► flight ─► memory, fetch, missing
///        │                  └─────► cancelled ─► released, flight, resumed
///        └─────► memory (scattered), missing
///     waiting, ready, constrained, memory, error, fetch, missing ─► released ─► forgotten
///
/// A run or transfer in progress cannot be stopped: released meanwhile, the task is `cancelled`
/// until its end is reported. A rescheduled task is `released` at once.
///
/// Every edge of Dask's table is here except those in `omittedEdges`; a test compares the two
/// tables.
extension WorkerCore {
  typealias Edge = @Sendable (WorkerCore, WorkerTaskState, TransitionContext) -> WorkerDecision

  static let edges = EdgeTable<Edge>([
    (.released, .waiting, { $0.transitionToWaiting($1, $2) }),
    (.released, .fetch, { $0.transitionReleasedFetch($1, $2) }),
    (.released, .missing, { $0.transitionToMissing($1, $2) }),
    (.released, .memory, { $0.transitionToMemory($1, $2) }),
    (.released, .forgotten, { $0.transitionReleasedForgotten($1, $2) }),
    (.waiting, .ready, { $0.transitionWaitingReady($1, $2) }),
    (.waiting, .constrained, { $0.transitionWaitingConstrained($1, $2) }),
    (.waiting, .released, { $0.transitionToReleased($1, $2) }),
    (.ready, .executing, { $0.transitionToExecuting($1, $2) }),
    (.ready, .released, { $0.transitionToReleased($1, $2) }),
    (.constrained, .executing, { $0.transitionToExecuting($1, $2) }),
    (.constrained, .released, { $0.transitionToReleased($1, $2) }),
    (.executing, .memory, { $0.transitionToMemory($1, $2) }),
    (.executing, .error, { $0.transitionToError($1, $2) }),
    (.executing, .longRunning, { $0.transitionExecutingLongRunning($1, $2) }),
    (.executing, .rescheduled, { $0.transitionToRescheduled($1, $2) }),
    (.executing, .released, { $0.transitionToCancelled($1, $2) }),
    (.longRunning, .memory, { $0.transitionToMemory($1, $2) }),
    (.longRunning, .error, { $0.transitionToError($1, $2) }),
    (.longRunning, .rescheduled, { $0.transitionToRescheduled($1, $2) }),
    (.longRunning, .released, { $0.transitionToCancelled($1, $2) }),
    (.fetch, .flight, { $0.transitionFetchFlight($1, $2) }),
    (.fetch, .missing, { $0.transitionToMissing($1, $2) }),
    (.fetch, .released, { $0.transitionToReleased($1, $2) }),
    (.flight, .memory, { $0.transitionToMemory($1, $2) }),
    (.flight, .fetch, { $0.transitionFlightFetch($1, $2) }),
    (.flight, .missing, { $0.transitionToMissing($1, $2) }),
    (.flight, .released, { $0.transitionToCancelled($1, $2) }),
    (.missing, .fetch, { $0.transitionMissingFetch($1, $2) }),
    (.missing, .waiting, { $0.transitionToWaiting($1, $2) }),
    (.missing, .released, { $0.transitionToReleased($1, $2) }),
    (.memory, .released, { $0.transitionToReleased($1, $2) }),
    (.error, .released, { $0.transitionToReleased($1, $2) }),
    (.cancelled, .released, { $0.transitionCancelledReleased($1, $2) }),
    (.cancelled, .memory, { $0.transitionCancelledDone($1, $2) }),
    (.cancelled, .error, { $0.transitionCancelledDone($1, $2) }),
    (.cancelled, .missing, { $0.transitionCancelledDone($1, $2) }),
    (.cancelled, .rescheduled, { $0.transitionCancelledDone($1, $2) }),
    (.cancelled, .waiting, { $0.transitionCancelledWaiting($1, $2) }),
    (.cancelled, .fetch, { $0.transitionCancelledFetch($1, $2) }),
    (.cancelled, .longRunning, { $0.transitionUnwantedLongRunning($1, $2) }),
    (.resumed, .memory, { $0.transitionToMemory($1, $2) }),
    (.resumed, .fetch, { $0.transitionResumedFetch($1, $2) }),
    (.resumed, .error, { $0.transitionResumedError($1, $2) }),
    (.resumed, .rescheduled, { $0.transitionResumedRescheduled($1, $2) }),
    (.resumed, .longRunning, { $0.transitionUnwantedLongRunning($1, $2) }),
    (.resumed, .released, { $0.transitionToCancelled($1, $2) }),
  ])

  /// The edges of Dask's table that are unreachable here, and why.
  static let omittedEdges: [(start: State, finish: State, reason: String)] = [
    (
      .flight, .error,
      "only `_handle_gather_dep_failure` recommends it, when a fetched value cannot be "
        + "deserialized (distributed/worker.py 2007); in one process nothing is "
        + "serialized, and passing a value cannot fail"
    ),
    (
      .missing, .error,
      "`error` is recommended only for tasks that run or are in flight "
        + "(distributed/worker_state_machine.py 3020, 3158), which `missing` is not"
    ),
    (
      .released, .error,
      "as for missing → error: only states without an edge to `error` would need it, and none does"
    ),
  ]

  // MARK: - To run

  func transitionToWaiting(_ task: WorkerTaskState, _ request: TransitionContext) -> WorkerDecision
  {
    var decision = WorkerDecision(.waiting)
    var isReady = true
    for dependency in task.dependencies where dependency.state != .memory {
      isReady = false
      decision.recommendations[dependency] = .fetch
    }
    if isReady { decision.recommendations[task] = .ready }
    return decision
  }

  func transitionWaitingReady(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    guard task.resourceRestrictions.isEmpty else {
      var decision = WorkerDecision(.waiting)
      decision.recommendations[task] = .constrained
      return decision
    }
    return WorkerDecision(.ready)
  }

  func transitionWaitingConstrained(
    _ task: WorkerTaskState, _ request: TransitionContext
  ) -> WorkerDecision {
    WorkerDecision(.constrained)
  }

  func transitionToExecuting(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    var decision = WorkerDecision(.executing)
    decision.instructions.append(.execute(task.key, taskRunID: task.taskRunID))
    return decision
  }

  func transitionExecutingLongRunning(
    _ task: WorkerTaskState, _ request: TransitionContext
  ) -> WorkerDecision {
    var decision = WorkerDecision(.longRunning)
    decision.instructions.append(longRunningMessage(task, request.seconds, request))
    return decision
  }

  func longRunningMessage(
    _ task: WorkerTaskState, _ seconds: Double?, _ request: TransitionContext
  ) -> WorkerInstruction {
    .longRunning(
      LongRunning(
        key: task.key, worker: address, taskRunID: task.taskRunID, computeSeconds: seconds),
      stimulusID: request.stimulusID)
  }

  /// The scheduler is not notified about a task that it has released; it is notified when it
  /// requests the task again.
  func transitionUnwantedLongRunning(
    _ task: WorkerTaskState, _ request: TransitionContext
  ) -> WorkerDecision {
    WorkerDecision(task.state, .task(TaskSnapshot(previous: .longRunning)))
  }

  // MARK: - To an end

  func transitionToMemory(_ task: WorkerTaskState, _ request: TransitionContext) -> WorkerDecision {
    var decision = WorkerDecision(.memory, request.snapshot)
    for dependent in task.dependents
    where dependent.state == .waiting && dependent.waitingForData.count == 1
      && dependent.waitingForData.contains(task)
    {
      decision.recommendations[dependent] = .ready
    }
    return decision
  }

  func transitionToError(_ task: WorkerTaskState, _ request: TransitionContext) -> WorkerDecision {
    WorkerDecision(.error, request.snapshot)
  }

  func transitionToRescheduled(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    var decision = WorkerDecision(.rescheduled)
    decision.instructions.append(.reschedule(task.key, stimulusID: request.stimulusID))
    release(task, &decision)
    return decision
  }

  /// Dask's `_transition_generic_released`.
  func transitionToReleased(_ task: WorkerTaskState, _ request: TransitionContext) -> WorkerDecision
  {
    var decision = WorkerDecision(.released)
    if task.state == .memory { decision.instructions.append(.drop(task.key)) }
    release(task, &decision)
    return decision
  }

  func release(_ task: WorkerTaskState, _ decision: inout WorkerDecision) {
    for dependency in task.dependencies where !replicasWanted.contains(dependency.key) {
      let others = dependency.waiters.count - (dependency.waiters.contains(task) ? 1 : 0)
      guard others == 0 else { continue }
      switch dependency.state {
      // Tasks requested by the scheduler stay until the scheduler frees them.
      case .ready, .constrained, .executing, .longRunning, .memory, .waiting, .cancelled: break
      case .resumed where dependency.previous == .flight: break
      default: decision.recommendations[dependency] = .released
      }
    }
    if task.dependents.isEmpty { decision.recommendations[task] = .forgotten }
  }

  func transitionReleasedForgotten(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    var decision = WorkerDecision(.forgotten)
    for dependency in task.dependencies
    where dependency.state == .released && dependency.dependents.count == 1 {
      decision.recommendations[dependency] = .forgotten
    }
    return decision
  }

  // MARK: - To be fetched

  func transitionReleasedFetch(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    fetch(task)
  }

  func transitionMissingFetch(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    WorkerDecision(task.whoHas.isEmpty ? .missing : .fetch)
  }

  /// A transfer in progress is not requested twice; a failed one is retried with another worker.
  func transitionFlightFetch(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    guard !isInProgress(task) else { return WorkerDecision(.flight) }
    return fetch(task)
  }

  /// Dask's `_transition_generic_fetch`.
  func fetch(_ task: WorkerTaskState) -> WorkerDecision {
    guard !task.whoHas.contains(where: { $0 != task.comingFrom }) else {
      return WorkerDecision(.fetch)
    }
    var decision = WorkerDecision(task.state)
    decision.recommendations[task] = .missing
    return decision
  }

  func transitionToMissing(_ task: WorkerTaskState, _ request: TransitionContext) -> WorkerDecision
  {
    WorkerDecision(.missing)
  }

  func transitionFetchFlight(_ task: WorkerTaskState, _ request: TransitionContext)
    -> WorkerDecision
  {
    WorkerDecision(.flight, request.snapshot)
  }
}
