import TaskLogPlugin

/// What an edge of a worker has decided.
struct WorkerDecision {
  /// The state that the task will really be in.
  var finish: State
  var facts: TaskFacts?
  var recommendations = Recommendations()
  var instructions: [WorkerInstruction] = []

  init(_ finish: State, facts: TaskFacts? = nil) {
    self.finish = finish
    self.facts = facts
  }
}

/// The edges of a worker: what Dask's `_transition_*` functions in worker_state_machine.py decide.
///
///     released ─► waiting ─► ready ─► executing ─► memory, error
///        │                                └──────► cancelled ─► released, executing
///        └─────► fetch ─► flight ─► memory, fetch, missing
///                           └─────► cancelled ─► released, flight, resumed
///     waiting, ready, memory, error, fetch, missing ─► released ─► forgotten
///
/// What runs or is under way cannot be stopped: asked to release it, the task is `cancelled` until
/// the end of it has been told.
extension WorkerCore {
  typealias Edge = @Sendable (WorkerCore) -> (WorkerTaskState, Request) -> WorkerDecision

  static let edges = EdgeTable<Edge>([
    (.released, .waiting, transitionReleasedWaiting),
    (.released, .fetch, transitionToFetch),
    (.released, .forgotten, transitionReleasedForgotten),
    (.waiting, .ready, transitionWaitingReady),
    (.waiting, .released, transitionToReleased),
    (.ready, .executing, transitionReadyExecuting),
    (.ready, .released, transitionToReleased),
    (.executing, .memory, transitionToMemory),
    (.executing, .error, transitionExecutingError),
    (.executing, .released, transitionToCancelled),
    (.fetch, .flight, transitionFetchFlight),
    (.fetch, .released, transitionToReleased),
    (.flight, .memory, transitionToMemory),
    (.flight, .fetch, transitionFlightFetch),
    (.flight, .released, transitionToCancelled),
    (.missing, .fetch, transitionToFetch),
    (.missing, .released, transitionToReleased),
    (.memory, .released, transitionToReleased),
    (.error, .released, transitionToReleased),
    (.cancelled, .released, transitionCancelledReleased),
    (.cancelled, .memory, transitionCancelledDone),
    (.cancelled, .error, transitionCancelledDone),
    (.cancelled, .missing, transitionCancelledDone),
    (.cancelled, .waiting, transitionCancelledWaiting),
    (.cancelled, .fetch, transitionCancelledFetch),
    (.resumed, .memory, transitionToMemory),
    (.resumed, .fetch, transitionResumedFetch),
    (.resumed, .error, transitionResumedError),
    (.resumed, .released, transitionToCancelled),
  ])

  func transitionReleasedWaiting(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    var decision = WorkerDecision(.waiting)
    var isReady = true
    for dependency in task.dependencies where dependency.state != .memory {
      isReady = false
      decision.recommendations[dependency.key] = .fetch
    }
    if isReady { decision.recommendations[task.key] = .ready }
    return decision
  }

  func transitionWaitingReady(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    WorkerDecision(.ready)
  }

  func transitionReadyExecuting(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    var decision = WorkerDecision(.executing)
    decision.instructions.append(.execute(task.key, taskRunID: task.taskRunID))
    return decision
  }

  func transitionToMemory(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    var decision = WorkerDecision(.memory, facts: request.facts)
    for dependent in task.dependents
    where dependent.state == .waiting && dependent.waitingForData.count == 1
      && dependent.waitingForData.contains(task)
    {
      decision.recommendations[dependent.key] = .ready
    }
    return decision
  }

  func transitionExecutingError(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    WorkerDecision(.error, facts: request.facts)
  }

  func transitionToFetch(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    WorkerDecision(task.whoHas.isEmpty ? .missing : .fetch)
  }

  /// A transfer that is still under way is not asked for twice; one that has failed is tried with
  /// another worker.
  func transitionFlightFetch(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    guard !isUnderWay(task) else { return WorkerDecision(.flight) }
    return WorkerDecision(task.whoHas.contains { $0 != task.comingFrom } ? .fetch : .missing)
  }

  func transitionFetchFlight(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    WorkerDecision(.flight, facts: request.facts)
  }

  /// Dask's `_transition_generic_released`.
  func transitionToReleased(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    var decision = WorkerDecision(.released)
    if task.state == .memory { decision.instructions.append(.drop(task.key)) }
    release(task, &decision)
    return decision
  }

  private func release(_ task: WorkerTaskState, _ decision: inout WorkerDecision) {
    for dependency in task.dependencies where !replicasWanted.contains(dependency.key) {
      let others = dependency.waiters.count - (dependency.waiters.contains(task) ? 1 : 0)
      guard others == 0 else { continue }
      switch dependency.state {
      // What the scheduler has asked for stays until the scheduler frees it.
      case .ready, .constrained, .executing, .longRunning, .memory, .waiting, .cancelled: break
      case .resumed where dependency.previous == .flight: break
      default: decision.recommendations[dependency.key] = .released
      }
    }
    if task.dependents.isEmpty { decision.recommendations[task.key] = .forgotten }
  }

  func transitionReleasedForgotten(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    var decision = WorkerDecision(.forgotten)
    for dependency in task.dependencies
    where dependency.state == .released && dependency.dependents.count == 1 {
      decision.recommendations[dependency.key] = .forgotten
    }
    return decision
  }

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
    WorkerDecision(task.previous == .executing ? .executing : .resumed)
  }

  /// Needed again while the cancelled transfer (or run) is still under way; its failure ends it.
  func transitionCancelledFetch(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    WorkerDecision(task.previous == .executing ? .resumed : .flight)
  }

  /// The transfer of a task that was to be run here has failed: it is run after all. While it is
  /// under way a task to be fetched is back where it was, a task that runs is waited for.
  func transitionResumedFetch(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    guard !isUnderWay(task) else {
      return WorkerDecision(task.previous == .flight ? .flight : .resumed)
    }
    var decision = WorkerDecision(.released)
    decision.recommendations[task.key] = .waiting
    return decision
  }

  /// The run of a task that was to be fetched has failed: it is fetched after all.
  func transitionResumedError(_ task: WorkerTaskState, _ request: Request) -> WorkerDecision {
    var decision = WorkerDecision(.released)
    decision.recommendations[task.key] = .fetch
    return decision
  }
}
