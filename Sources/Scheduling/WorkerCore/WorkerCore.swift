import TaskLogPlugin

/// A worker without clock, network and threads: stimuli in, events and instructions out.
///
/// Modelled on Dask's `WorkerState` (distributed/worker_state_machine.py). Every change of the state
/// is an event that has been applied; what only steers this core (the heap of ready tasks, how many
/// run, who is being asked for results) lies here.
final class WorkerCore {
  let state: WorkerState
  let address: String
  let nthreads: Int
  private let onEvent: (Event) -> Void
  /// Called with each edge that is taken, so that a test can tell which ones none has taken.
  var onEdge: ((_ start: State, _ finish: State) -> Void)?
  private var instructions: [WorkerInstruction] = []

  /// Tasks that can run; an entry is good while its task is `ready`.
  private var ready = Heap<Priority, WorkerTaskState>()
  /// Tasks that take up a thread, cancelled ones included.
  private(set) var executing: Set<Key> = []
  /// Tasks to be fetched, in the order of asking.
  private var toFetch = OrderedSet<WorkerTaskState>()
  /// Tasks to be fetched of which nobody who holds them can be asked at present, in that order.
  private var heldUp = OrderedSet<WorkerTaskState>()
  /// Somebody can be asked again, or others hold what is held up.
  private var isHeldUpOver = false
  /// Tasks to be fetched of which no holder is known, since the stimulus came in.
  private var missing: [Key] = []
  /// What the scheduler wants to be kept here though nothing here needs it.
  private(set) var replicasWanted: Set<Key> = []
  /// What is being fetched, by the worker that it comes from. One request a worker at a time.
  private(set) var inFlight: [String: [Key]] = [:]
  /// Counted down, so that of equal tasks the one that came last has the lowest number; Dask's
  /// `generation`.
  private var generation = 0

  init(facts: WorkerFacts, onEvent: @escaping (Event) -> Void) {
    state = WorkerState()
    address = facts.address
    nthreads = facts.nthreads
    self.onEvent = onEvent
  }

  /// The worker begins: the first event of its source.
  func start(_ facts: WorkerFacts, time: Int64) {
    emit(Event(.setup, time: time, worker: address, snapshot: .worker(facts)))
  }

  /// The worker ends: the last event of its source.
  func stop(time: Int64) {
    emit(Event(.teardown, time: time, worker: address))
  }

  /// Takes in a stimulus and does all that follows from it.
  ///
  /// - Throws: `EngineFault` when the engine contradicts itself.
  func handle(
    _ stimulus: WorkerStimulus, stimulusID: String, time: Int64
  ) throws(EngineFault) -> [WorkerInstruction] {
    instructions.removeAll(keepingCapacity: true)
    let request = Request(stimulusID: stimulusID, time: time)
    var recommendations = Recommendations()
    switch stimulus {
    case .computeTask(let message): compute(message, request, &recommendations)
    case .freeKeys(let keys):
      for key in keys where state.tasks.contains(key) {
        replicasWanted.remove(key)
        recommendations[key] = .released
      }
    case .executeSuccess(let message): try executed(message, request, &recommendations)
    case .executeFailure(let message): try failed(message, request, &recommendations)
    case .gatherSuccess(let worker, let nbytes, let start, let stop):
      try gathered(worker, nbytes, start: start, stop: stop, request)
    case .gatherFailure(let worker):
      try gathered(worker, [], start: 0, stop: 0, request)
    case .refreshWhoHas(let whoHas): refresh(whoHas, request, &recommendations)
    case .acquireReplicas(let whoHas): acquire(whoHas, request, &recommendations)
    }
    try transitions(recommendations, request)
    try fetchWhatIsNeeded(request)
    askForMissing(request)
    return instructions
  }

  // MARK: - Events and transitions

  private func emit(_ event: Event) {
    state.apply(event)
    onEvent(event)
    state.settle()
  }

  func instruct(_ instruction: WorkerInstruction) {
    instructions.append(instruction)
  }

  /// Works off recommendations until none is left: Dask's `_transitions`.
  private func transitions(
    _ recommendations: Recommendations, _ request: Request
  ) throws(EngineFault) {
    var recommendations = recommendations
    let plain = Request(stimulusID: request.stimulusID, time: request.time)
    while let (key, finish) = recommendations.popLast() {
      recommendations.update(try transition(key, finish, plain))
    }
  }

  /// One transition, through released where there is no direct edge: Dask's `_transition`.
  private func transition(
    _ key: Key, _ finish: State, _ request: Request
  ) throws(EngineFault) -> Recommendations {
    guard let task = state.tasks[key], task.state != finish else { return Recommendations() }
    let start = task.state
    if let edge = Self.edges[start, finish] { return take(edge, to: finish, task, request) }

    guard start != .released, finish != .released, let release = Self.edges[start, .released]
    else { throw fault("impossible transition \(start) → \(finish)", task, request) }
    var recommendations = take(release, to: .released, task, request)
    // To be forgotten is not what this way round was taken for.
    let next = recommendations[key] == .forgotten ? finish : recommendations[key] ?? finish
    guard let edge = Self.edges[task.state, next] else {
      throw fault("impossible transition \(task.state) → \(next)", task, request)
    }
    recommendations[key] = nil
    recommendations.update(take(edge, to: next, task, request))
    return recommendations
  }

  private func take(
    _ edge: Edge, to finish: State, _ task: WorkerTaskState, _ request: Request
  ) -> Recommendations {
    onEdge?(task.state, finish)
    let decision = edge(self)(task, request)
    emit(
      Event(
        .transition, time: request.time, key: task.key, start: task.state,
        finish: decision.finish, stimulusID: request.stimulusID,
        taskRunID: task.taskRunID == 0 ? nil : task.taskRunID, args: request.args,
        snapshot: decision.facts.map(Snapshot.task) ?? .none))
    instructions += decision.instructions
    var recommendations = decision.recommendations
    follow(task, &recommendations)
    return recommendations
  }

  /// Keeps what only steers this core in step with a state that a task has come into.
  private func follow(_ task: WorkerTaskState, _ recommendations: inout Recommendations) {
    switch task.state {
    case .ready:
      ready.insert(task, priority: task.priority ?? Priority([]))
      startReady(&recommendations)
    case .fetch: toFetch.insert(task)
    case .missing: missing.append(task.key)
    case .memory, .forgotten: replicasWanted.remove(task.key)
    default: break
    }
  }

  private func fault(
    _ text: String, _ task: WorkerTaskState, _ request: Request
  ) -> EngineFault {
    EngineFault(description: "worker \(address): \(text) of \(task.key) by \(request.stimulusID)")
  }

  // MARK: - Stimuli

  /// Dask's `_handle_compute_task`.
  private func compute(
    _ message: ComputeTask, _ request: Request, _ recommendations: inout Recommendations
  ) {
    var message = message
    message.priority = message.priority.appending(Double(generation))
    generation -= 1
    // Who holds a task is told anew.
    if !heldUp.isEmpty, message.whoHas.contains(where: { state.tasks[$0.0]?.state == .fetch }) {
      isHeldUpOver = true
    }
    emit(
      Event(
        .stimulus, time: request.time, key: message.key, stimulusID: request.stimulusID,
        taskRunID: message.taskRunID, args: message.args))
    guard let task = state.tasks[message.key] else { return }
    switch task.state {
    case .waiting, .ready, .constrained, .executing, .longRunning: break
    case .memory: instruct(.taskFinished(finishedMessage(task), stimulusID: request.stimulusID))
    default: recommendations[task.key] = .waiting
    }
  }

  /// A task that is already in memory is asked for again.
  private func finishedMessage(_ task: WorkerTaskState) -> TaskFinished {
    TaskFinished(
      key: task.key, worker: address, taskRunID: task.taskRunID, nbytes: task.nbytes ?? 0,
      type: task.typeName ?? "", typeName: task.typeName ?? "", thread: 0,
      startStops: task.startStops)
  }

  /// Dask's `_handle_execute_success`.
  private func executed(
    _ message: ExecuteSuccess, _ request: Request, _ recommendations: inout Recommendations
  ) throws(EngineFault) {
    executing.remove(message.key)
    startReady(&recommendations)
    guard let task = state.tasks[message.key] else { return instruct(.drop(message.key)) }
    let span = StartStop(action: "compute", start: message.start, stop: message.stop)
    var told = request
    told.facts = TaskFacts(
      nbytes: message.nbytes, typeName: message.typeName, startStops: [span])
    let finished = TaskFinished(
      key: task.key, worker: address, taskRunID: message.taskRunID, nbytes: message.nbytes,
      type: message.type, typeName: message.typeName, thread: message.thread,
      startStops: task.startStops + [span])
    let before = task.state
    recommendations.update(try transition(task.key, .memory, told))
    if before == .executing {
      instruct(.taskFinished(finished, stimulusID: request.stimulusID))
    }
    // Was to be fetched by now: that it has been run is as good.
    if before == .resumed { instruct(.addKeys([task.key], stimulusID: request.stimulusID)) }
  }

  /// Dask's `_handle_execute_failure`.
  private func failed(
    _ message: ExecuteFailure, _ request: Request, _ recommendations: inout Recommendations
  ) throws(EngineFault) {
    executing.remove(message.key)
    startReady(&recommendations)
    guard let task = state.tasks[message.key] else { return }
    let span = StartStop(action: "compute", start: message.start, stop: message.stop)
    var told = request
    told.facts = TaskFacts(
      exceptionText: message.exceptionText, tracebackText: message.tracebackText,
      startStops: [span])
    let erred = TaskErred(
      key: task.key, worker: address, taskRunID: message.taskRunID,
      exceptionType: message.exceptionType, exceptionText: message.exceptionText,
      tracebackText: message.tracebackText, thread: message.thread,
      startStops: task.startStops + [span])
    let wasExecuting = task.state == .executing
    recommendations.update(try transition(task.key, .error, told))
    if wasExecuting { instruct(.taskErred(erred, stimulusID: request.stimulusID)) }
  }

  /// Dask's `_handle_gather_dep_success` and its kin.
  private func gathered(
    _ worker: String, _ nbytes: [(Key, Int64)], start: Double, stop: Double, _ request: Request
  ) throws(EngineFault) {
    let asked = inFlight.removeValue(forKey: worker) ?? []
    isHeldUpOver = true
    let sizes = Dictionary(nbytes, uniquingKeysWith: { first, _ in first })
    // One span for the whole transfer, booked on the first task that needs one of its results.
    var span: StartStop? = StartStop(
      action: "transfer", start: start, stop: stop, source: worker)
    var added: [Key] = []
    for key in asked {
      guard let task = state.tasks[key] else {
        if sizes[key] != nil { instruct(.drop(key)) }
        continue
      }
      var told = request
      if let size = sizes[key] {
        var facts = TaskFacts(nbytes: size)
        if let dependent = task.dependents.first, let transfer = span {
          facts.cause = dependent.key
          facts.startStops = [transfer]
          span = nil
        }
        told.facts = facts
        let before = task.state
        try transitions(try transition(key, .memory, told), request)
        if before == .flight { added.append(key) }
        // Was to be run here by now: that it has come is as good.
        if before == .resumed {
          instruct(.taskFinished(finishedMessage(task), stimulusID: request.stimulusID))
        }
      } else {
        let next: State = task.state == .cancelled ? .missing : .fetch
        try transitions(try transition(key, next, told), request)
      }
    }
    if !added.isEmpty { instruct(.addKeys(added, stimulusID: request.stimulusID)) }
  }

  /// Dask's `_handle_refresh_who_has`.
  private func refresh(
    _ whoHas: [(Key, [String])], _ request: Request, _ recommendations: inout Recommendations
  ) {
    isHeldUpOver = true
    emit(
      Event(
        .stimulus, time: request.time, stimulusID: request.stimulusID, worker: address,
        args: Args(named: [
          .init("op", "refresh-who-has"), .init("who_has", ComputeFacts.value(whoHas)),
        ])))
    for (key, _) in whoHas {
      if let task = state.tasks[key], task.state == .missing { recommendations[key] = .fetch }
    }
  }

  /// Dask's `_handle_acquire_replicas`.
  private func acquire(
    _ whoHas: [(Key, [String])], _ request: Request, _ recommendations: inout Recommendations
  ) {
    emit(
      Event(
        .stimulus, time: request.time, stimulusID: request.stimulusID, worker: address,
        args: Args(named: [
          .init("op", "acquire-replicas"), .init("who_has", ComputeFacts.value(whoHas)),
        ])))
    for (key, _) in whoHas {
      guard let task = state.tasks[key], task.state != .memory else { continue }
      replicasWanted.insert(key)
      recommendations[key] = .fetch
    }
  }

  // MARK: - Running and fetching

  /// Whether the end of the run or transfer of this task has yet to be told.
  func isUnderWay(_ task: WorkerTaskState) -> Bool {
    executing.contains(task.key) || task.comingFrom.map { inFlight[$0] != nil } ?? false
  }

  /// Dask's `_ensure_computing`.
  private func startReady(_ recommendations: inout Recommendations) {
    while executing.count < nthreads, let task = ready.popFirst() {
      guard task.state == .ready, !executing.contains(task.key) else { continue }
      executing.insert(task.key)
      recommendations[task.key] = .executing
    }
  }

  /// Dask's `_ensure_communicating`: one request to each worker that is not being asked already.
  private func fetchWhatIsNeeded(_ request: Request) throws(EngineFault) {
    if isHeldUpOver {
      isHeldUpOver = false
      // Those that wait longest first.
      for task in toFetch { heldUp.insert(task) }
      swap(&toFetch, &heldUp)
      heldUp.removeAll()
    }
    guard !toFetch.isEmpty else { return }
    var requests = OrderedMap<String, [Key]>()
    for task in toFetch where task.state == .fetch {
      guard let worker = task.whoHas.first(where: { inFlight[$0] == nil }) else {
        heldUp.insert(task)
        continue
      }
      requests[worker, default: []].append(task.key)
    }
    toFetch.removeAll()
    for (worker, keys) in requests {
      inFlight[worker] = keys
      var told = request
      told.facts = TaskFacts(comingFrom: worker)
      for key in keys { _ = try transition(key, .flight, told) }
      instruct(.gather(worker: worker, keys: keys))
    }
  }

  private func askForMissing(_ request: Request) {
    let keys = missing.filter { state.tasks[$0]?.state == .missing }
    missing.removeAll()
    guard !keys.isEmpty else { return }
    instruct(.requestRefreshWhoHas(keys, stimulusID: request.stimulusID))
  }
}
