import TaskLogPlugin

/// The decision of an edge: the variable parts of the event, and what follows from it.
struct SchedulerDecision {
  /// The state that the task will actually be in.
  var finish: State
  var worker: String?
  var taskRunID: Int64?
  var snapshot: Snapshot = .none
  var recommendations = Recommendations<TaskState>()
  var instructions: [SchedulerInstruction] = []

  init(_ finish: State) {
    self.finish = finish
  }
}

/// The edges of the scheduler: what Dask's `_transition_*` functions decide.
///
///     released ─► waiting ─► processing ─► memory ─► released, forgotten
///        ▲  │        │  ▲        │  └────► erred ──► released
///        │  │        ▼  │        ▼
///        │  │     no-worker,   released
///        │  │      queued
///        │  └──────► erred, forgotten
///        └── waiting, processing, no-worker, queued, memory, erred
///
/// Every edge of Dask's table is here except those in `omittedEdges`; a test compares the two
/// tables.
///
/// An edge reads the state before the event and returns its decision; it changes nothing.
extension SchedulerCore {
  typealias Edge = @Sendable (SchedulerCore, TaskState, TransitionContext) -> SchedulerDecision

  static let edges = EdgeTable<Edge>([
    (.released, .waiting, { $0.transitionReleasedWaiting($1, $2) }),
    (.released, .erred, { $0.transitionReleasedErred($1, $2) }),
    (.released, .forgotten, { $0.transitionReleasedForgotten($1, $2) }),
    (.waiting, .processing, { $0.transitionWaitingProcessing($1, $2) }),
    (.waiting, .noWorker, { $0.transitionWaitingNoWorker($1, $2) }),
    (.waiting, .queued, { $0.transitionWaitingQueued($1, $2) }),
    (.waiting, .memory, { $0.transitionWaitingMemory($1, $2) }),
    (.waiting, .released, { $0.transitionWaitingReleased($1, $2) }),
    (.queued, .processing, { $0.transitionQueuedProcessing($1, $2) }),
    (.queued, .released, { $0.transitionQueuedReleased($1, $2) }),
    (.queued, .erred, { $0.transitionToErred($1, $2) }),
    (.noWorker, .processing, { $0.transitionNoWorkerProcessing($1, $2) }),
    (.noWorker, .released, { $0.transitionNoWorkerReleased($1, $2) }),
    (.noWorker, .erred, { $0.transitionToErred($1, $2) }),
    (.processing, .memory, { $0.transitionProcessingMemory($1, $2) }),
    (.processing, .erred, { $0.transitionToErred($1, $2) }),
    (.processing, .released, { $0.transitionProcessingReleased($1, $2) }),
    (.memory, .released, { $0.transitionMemoryReleased($1, $2) }),
    (.memory, .forgotten, { $0.transitionMemoryForgotten($1, $2) }),
    (.erred, .released, { $0.transitionErredReleased($1, $2) }),
  ])

  /// The edges of Dask's table that are unreachable here, and why.
  static let omittedEdges: [(start: State, finish: State, reason: String)] = [
    (
      .memory, .erred,
      "only `_transition_memory_released` recommends it, for a task that is an actor whose worker "
        + "is lost (distributed/scheduler.py 2554); here no task is an actor"
    )
  ]

  // MARK: - From released

  func transitionReleasedWaiting(_ task: TaskState, _ request: TransitionContext)
    -> SchedulerDecision
  {
    guard !task.hasLostDependencies else {
      var decision = SchedulerDecision(.released)
      decision.recommendations[task] = .forgotten
      return decision
    }
    guard !task.dependencies.contains(where: { $0.state == .erred }) else {
      var decision = SchedulerDecision(.released)
      decision.recommendations[task] = .erred
      return decision
    }
    var decision = SchedulerDecision(.waiting)
    var isReady = true
    for dependency in task.dependencies {
      if dependency.whoHas.isEmpty { isReady = false }
      if dependency.state == .released { decision.recommendations[dependency] = .waiting }
    }
    if isReady { decision.recommendations[task] = .processing }
    return decision
  }

  func transitionReleasedErred(_ task: TaskState, _ request: TransitionContext) -> SchedulerDecision
  {
    var decision = SchedulerDecision(.erred)
    for dependent in task.dependents where dependent.whoHas.isEmpty {
      decision.recommendations[dependent] = .erred
    }
    let blame = task.exceptionBlame ?? task.blameOfDependencies ?? task
    for client in task.whoWants {
      decision.instructions.append(erredMessage(client.id, task, blame))
    }
    return decision
  }

  func transitionReleasedForgotten(_ task: TaskState, _ request: TransitionContext)
    -> SchedulerDecision
  {
    forgotten(task, request)
  }

  // MARK: - From waiting

  func transitionWaitingProcessing(_ task: TaskState, _ request: TransitionContext)
    -> SchedulerDecision
  {
    let isQueueable = options.workerSaturation.isFinite && isRootish(task)
    guard let worker = isQueueable ? decideWorkerForRootish() : decideWorker(task) else {
      var decision = SchedulerDecision(.waiting)
      decision.recommendations[task] = isQueueable ? .queued : .noWorker
      return decision
    }
    return processing(task, worker, request)
  }

  func transitionWaitingQueued(_ task: TaskState, _ request: TransitionContext) -> SchedulerDecision
  {
    SchedulerDecision(.queued)
  }

  /// A worker has run the task while the scheduler assumed that one of its inputs was lost. The
  /// worker will be told to free the result, and the task stays in its state.
  func transitionWaitingMemory(_ task: TaskState, _ request: TransitionContext) -> SchedulerDecision
  {
    SchedulerDecision(.waiting)
  }

  func transitionWaitingNoWorker(_ task: TaskState, _ request: TransitionContext)
    -> SchedulerDecision
  {
    SchedulerDecision(.noWorker)
  }

  func transitionWaitingReleased(_ task: TaskState, _ request: TransitionContext)
    -> SchedulerDecision
  {
    var decision = SchedulerDecision(.released)
    for dependency in task.dependencies where dependency.waiters.contains(task) {
      recommendReleaseIfUnneeded(dependency, without: task, &decision)
    }
    let isWanted = !task.whoWants.isEmpty || !task.waiters.isEmpty
    if task.hasLostDependencies {
      decision.recommendations[task] = .forgotten
    } else if task.exceptionBlame == nil, isWanted {
      decision.recommendations[task] = .waiting
    }
    return decision
  }

  // MARK: - From no-worker

  func transitionNoWorkerProcessing(_ task: TaskState, _ request: TransitionContext)
    -> SchedulerDecision
  {
    guard let worker = decideWorker(task) else { return SchedulerDecision(.noWorker) }
    return processing(task, worker, request)
  }

  func transitionNoWorkerReleased(_ task: TaskState, _ request: TransitionContext)
    -> SchedulerDecision
  {
    released(task)
  }

  // MARK: - From queued

  func transitionQueuedProcessing(_ task: TaskState, _ request: TransitionContext)
    -> SchedulerDecision
  {
    guard let worker = decideWorkerForRootish() else { return SchedulerDecision(.queued) }
    return processing(task, worker, request)
  }

  func transitionQueuedReleased(_ task: TaskState, _ request: TransitionContext)
    -> SchedulerDecision
  {
    released(task)
  }
}
