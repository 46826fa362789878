import TaskLogPlugin

/// A worker without clock, network and threads: stimuli in, events and instructions out.
///
/// Modelled on Dask's `WorkerState` (distributed/worker_state_machine.py). Every change of the state
/// is an event that has been applied; what only steers this core (the heaps of ready tasks, how many
/// run, who is being asked for results) lies here.
final class WorkerCore {
  let state: WorkerState
  let address: String
  let nthreads: Int
  private let onEvent: (Event) -> Void
  /// Called with each edge that is taken, so that a test can tell which ones none has taken.
  @exclusivity(unchecked) var onEdge: ((_ start: State, _ finish: State) -> Void)?
  @exclusivity(unchecked) private var instructions: [WorkerInstruction] = []

  /// Tasks that can run; an entry is good while its task is `ready`.
  @exclusivity(unchecked) var ready = Heap<Priority, WorkerTaskState>()
  /// Tasks that can run once there is enough of what they take up; an entry is good while its task
  /// is `constrained`.
  @exclusivity(unchecked) var constrained = Heap<Priority, WorkerTaskState>()
  /// What running tasks have left of each resource.
  @exclusivity(unchecked) var availableResources: [String: Double]
  /// Tasks that take up a thread, cancelled ones included.
  @exclusivity(unchecked) var executing: Set<Key> = []
  /// Tasks that run and have left their thread to others, cancelled ones included.
  @exclusivity(unchecked) var longRunning: Set<Key> = []
  /// Tasks to be fetched, in the order of asking.
  @exclusivity(unchecked) var toFetch = OrderedSet<WorkerTaskState>()
  /// Tasks to be fetched of which nobody who holds them can be asked at present, in that order.
  @exclusivity(unchecked) var blocked = OrderedSet<WorkerTaskState>()
  /// Somebody can be asked again, or others hold what is held up.
  @exclusivity(unchecked) var needsDrain = false
  /// Tasks to be fetched of which no holder is known, since the stimulus came in.
  @exclusivity(unchecked) var missing: [WorkerTaskState] = []
  /// What the scheduler wants to be kept here though nothing here needs it.
  @exclusivity(unchecked) var replicasWanted: Set<Key> = []
  /// What is being fetched, by the worker that it comes from. One request a worker at a time.
  @exclusivity(unchecked) var inFlight: [String: [Key]] = [:]
  /// Counted down, so that of equal tasks the one that came last has the lowest number; Dask's
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

  /// The worker begins: the first event of its source.
  func start(_ facts: WorkerSnapshot, time: Int64) {
    emit(Event(.setup, time: time, worker: address, snapshot: .worker(facts)))
  }

  /// The worker ends: the last event of its source.
  func stop(time: Int64) {
    emit(Event(.teardown, time: time, worker: address))
  }

  /// Takes in a stimulus and does all that follows from it.
  ///
  /// - Throws: `InternalError` when the engine contradicts itself.
  func handle(
    _ stimulus: WorkerStimulus, stimulusID: String, time: Int64
  ) throws(InternalError) -> [WorkerInstruction] {
    instructions = []
    let request = Request(stimulusID: stimulusID, time: time)
    try transitions(try take(stimulus, request), request)
    try fetchMissing(request)
    requestMissing(request)
    return instructions
  }

  private func take(
    _ stimulus: WorkerStimulus, _ request: Request
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

  /// Works off recommendations until none is left: Dask's `_transitions`.
  func transitions(
    _ recommendations: Recommendations<WorkerTaskState>, _ request: Request
  ) throws(InternalError) {
    var recommendations = recommendations
    let plain = Request(stimulusID: request.stimulusID, time: request.time)
    while let (task, finish) = recommendations.popLast() {
      recommendations.update(try transition(task, finish, plain))
    }
  }

  /// One transition, through released where there is no direct edge: Dask's `_transition`.
  func transition(
    _ task: WorkerTaskState, _ finish: State, _ request: Request
  ) throws(InternalError) -> Recommendations<WorkerTaskState> {
    let start = task.state
    guard start != finish, start != .forgotten else { return Recommendations() }
    if let edge = Self.edges[start, finish] { return take(edge, to: finish, task, request) }

    guard start != .released, finish != .released, let release = Self.edges[start, .released]
    else { throw fault("impossible transition \(start) → \(finish)", task, request) }
    var recommendations = take(release, to: .released, task, request)
    // To be forgotten is not what this way round was taken for.
    let next = recommendations[task] == .forgotten ? finish : recommendations[task] ?? finish
    guard let edge = Self.edges[task.state, next] else {
      throw fault("impossible transition \(task.state) → \(next)", task, request)
    }
    recommendations[task] = nil
    recommendations.update(take(edge, to: next, task, request))
    return recommendations
  }

  private func take(
    _ edge: Edge, to finish: State, _ task: WorkerTaskState, _ request: Request
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
    follow(task, &recommendations)
    return recommendations
  }

  /// Keeps what only steers this core in step with a state that a task has come into.
  private func follow(
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
    _ text: String, _ task: WorkerTaskState, _ request: Request
  ) -> InternalError {
    InternalError(description: "worker \(address): \(text) of \(task.key) by \(request.stimulusID)")
  }
}
