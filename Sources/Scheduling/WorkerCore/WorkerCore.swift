import TaskLogPlugin

/// A worker without clock, network and threads: stimuli in, events and instructions out.
///
/// Modelled on Dask's `WorkerState` (distributed/worker_state_machine.py). Every change of the
/// state is an applied event; the core's own data (heaps of ready tasks, running tasks, pending
/// requests) is stored here.
final class WorkerCore {
  let state: WorkerState
  let address: String
  let nthreads: Int
  private let onEvent: (Event) -> Void
  /// Called with each edge taken, so that a test can find edges that are never taken.
  @exclusivity(unchecked) var onEdge: ((_ start: State, _ finish: State) -> Void)?
  @exclusivity(unchecked) private var instructions: [WorkerInstruction] = []

  /// Tasks that can run; an entry is valid while its task is `ready`.
  @exclusivity(unchecked) var ready = Heap<Priority, WorkerTaskState>()
  /// Tasks that can run once their resources are available; an entry is valid while its task is
  /// `constrained`.
  @exclusivity(unchecked) var constrained = Heap<Priority, WorkerTaskState>()
  /// The amount of each resource not reserved by running tasks.
  @exclusivity(unchecked) var availableResources: [String: Double]
  /// Tasks that occupy a thread, cancelled ones included.
  @exclusivity(unchecked) var executing: Set<Key> = []
  /// Running tasks that have seceded from their thread, cancelled ones included.
  @exclusivity(unchecked) var longRunning: Set<Key> = []
  /// Tasks to be fetched, in request order.
  @exclusivity(unchecked) var toFetch = OrderedSet<WorkerTaskState>()
  /// Tasks to be fetched whose holders all have a pending request, in request order.
  @exclusivity(unchecked) var blocked = OrderedSet<WorkerTaskState>()
  /// A worker can be asked again, or blocked tasks have other holders.
  @exclusivity(unchecked) var needsDrain = false
  /// Tasks to be fetched that have become missing since the stimulus arrived.
  @exclusivity(unchecked) var missing: [WorkerTaskState] = []
  /// Keys that the scheduler wants replicated here although no task here needs them.
  @exclusivity(unchecked) var replicasWanted: Set<Key> = []
  /// Keys being fetched, by source worker. At most one request per worker at a time.
  @exclusivity(unchecked) var inFlight: [String: [Key]] = [:]
  /// Decremented, so that of equal tasks the most recent has the lowest number; Dask's
  /// `generation`.
  @exclusivity(unchecked) var generation = 0

  init(facts: WorkerSnapshot, onEvent: @escaping (Event) -> Void) {
    state = WorkerState()
    address = facts.address
    nthreads = facts.nthreads
    availableResources = Dictionary(
      facts.resources.map { ($0.name, $0.amount) }, uniquingKeysWith: { $1 })
    self.onEvent = onEvent
  }

  /// Emits the first event of the source.
  func start(_ facts: WorkerSnapshot, time: Int64) {
    emit(Event(.setup, time: time, worker: address, snapshot: .worker(facts)))
  }

  /// Emits the last event of the source.
  func stop(time: Int64) {
    emit(Event(.teardown, time: time, worker: address))
  }

  /// Handles a stimulus and all its consequences.
  ///
  /// - Throws: `InternalError` if the engine contradicts itself.
  func handle(
    _ stimulus: WorkerStimulus, stimulusID: String, time: Int64
  ) throws(InternalError) -> [WorkerInstruction] {
    instructions = []
    let request = TransitionContext(stimulusID: stimulusID, time: time)
    try transitions(try apply(stimulus, request), request)
    try fetchMissing(request)
    requestMissing(request)
    return instructions
  }

  private func apply(
    _ stimulus: WorkerStimulus, _ request: TransitionContext
  ) throws(InternalError) -> Recommendations<WorkerTaskState> {
    switch stimulus {
    case .computeTask(let message): compute(message, request)
    case .freeKeys(let keys): free(keys)
    case .executeSuccess(let message): try executed(message, request)
    case .executeFailure(let message): try failed(message, request)
    case .reschedule(let key): try rescheduled(key, request)
    case .secede(let key, let seconds): try secede(key, seconds, request)
    case .stealRequest(let key): steal(key, request)
    case .gatherSuccess(let worker, let nbytes, let start, let stop):
      try gathered(worker, nbytes, start: start, stop: stop, request)
    case .gatherFailure(let worker): try gatherFailed(worker, request)
    case .refreshWhoHas(let whoHas): refresh(whoHas, request)
    case .acquireReplicas(let whoHas): acquire(whoHas, request)
    case .removeWorker(let address): removeWorker(address, request)
    case .updateData(let data): try updateData(data, request)
    }
  }

  // MARK: - Events and transitions

  // Inlined, it would copy the event for the closure.
  @inline(never)
  func emit(_ event: Event) {
    state.apply(event)
    onEvent(event)
    state.settle()
  }

  func instruct(_ instruction: WorkerInstruction) {
    instructions.append(instruction)
  }

  /// Processes recommendations until none is left: Dask's `_transitions`.
  func transitions(
    _ recommendations: Recommendations<WorkerTaskState>, _ request: TransitionContext
  ) throws(InternalError) {
    var recommendations = recommendations
    let plain = TransitionContext(stimulusID: request.stimulusID, time: request.time)
    while let (task, finish) = recommendations.popLast() {
      recommendations.update(try transition(task, finish, plain))
    }
  }

  /// One transition, via released if there is no direct edge: Dask's `_transition`.
  func transition(
    _ task: WorkerTaskState, _ finish: State, _ request: TransitionContext
  ) throws(InternalError) -> Recommendations<WorkerTaskState> {
    let start = task.state
    guard start != finish, start != .forgotten else { return Recommendations() }
    if let edge = Self.edges[start, finish] { return follow(edge, to: finish, task, request) }

    guard start != .released, finish != .released, let release = Self.edges[start, .released]
    else { throw fault("impossible transition \(start) → \(finish)", task, request) }
    var recommendations = follow(release, to: .released, task, request)
    // The detour via released must not end in forgotten.
    let next = recommendations[task] == .forgotten ? finish : recommendations[task] ?? finish
    guard let edge = Self.edges[task.state, next] else {
      throw fault("impossible transition \(task.state) → \(next)", task, request)
    }
    recommendations[task] = nil
    recommendations.update(follow(edge, to: next, task, request))
    return recommendations
  }

  private func follow(
    _ edge: Edge, to finish: State, _ task: WorkerTaskState, _ request: TransitionContext
  ) -> Recommendations<WorkerTaskState> {
    onEdge?(task.state, finish)
    let decision = edge(self, task, request)
    emit(
      Event(
        .transition, time: request.time, key: task.key, start: task.state,
        finish: decision.finish, stimulusID: request.stimulusID,
        taskRunID: task.taskRunID == 0 ? nil : task.taskRunID, args: request.args,
        snapshot: decision.snapshot))
    instructions += decision.instructions
    var recommendations = decision.recommendations
    updateIndexes(task, &recommendations)
    return recommendations
  }

  /// Updates the core's own data structures after a task has entered a new state.
  private func updateIndexes(
    _ task: WorkerTaskState, _ recommendations: inout Recommendations<WorkerTaskState>
  ) {
    switch task.state {
    case .ready:
      ready.insert(task, priority: task.priority ?? Priority([]))
      startReady(&recommendations)
    case .constrained:
      constrained.insert(task, priority: task.priority ?? Priority([]))
      startReady(&recommendations)
    case .fetch: toFetch.insert(task)
    case .missing: missing.append(task)
    case .memory, .forgotten:
      if !replicasWanted.isEmpty { replicasWanted.remove(task.key) }
    default: break
    }
  }

  private func fault(
    _ text: String, _ task: WorkerTaskState, _ request: TransitionContext
  ) -> InternalError {
    InternalError(description: "worker \(address): \(text) of \(task.key) by \(request.stimulusID)")
  }
}
