import TaskLogPlugin

/// The scheduler without clock, network and threads: stimuli in, events and instructions out.
///
/// Modelled on Dask's `SchedulerState` (distributed/scheduler.py): each edge of the chart in
/// `SchedulerEdges.swift` decides one transition and recommends others, which are processed until
/// none is left. Every change of the state is an applied event.
///
/// Mutable properties are not checked for exclusivity at run time, as in the state: only one thread
/// at a time runs here, and no edge calls back into another.
final class SchedulerCore {
  /// The options of a scheduler.
  struct Options: Sendable {
    /// How many workers may die while running a task before it becomes erred; Dask's
    /// `allowed-failures`.
    var allowedFailures = 3
    /// How many root tasks are sent to a worker, as a factor of its threads, before they are queued
    /// here; Dask's `worker-saturation`. Infinite to queue nothing.
    var workerSaturation = 1.1
    /// Whether idle workers take tasks from overloaded ones; Dask's `work-stealing`.
    var workStealing = true
  }

  let options: Options
  let state: SchedulerState
  /// Called after each event has been applied, while a forgotten task can still be looked up.
  private let onEvent: (Event) -> Void
  /// Called with each edge taken, so that a test can find edges that are never taken.
  @exclusivity(unchecked) var onEdge: ((_ start: State, _ finish: State) -> Void)?
  @exclusivity(unchecked) private var instructions: [SchedulerInstruction] = []

  /// Incremented with each graph, so that older graphs run first.
  @exclusivity(unchecked) var generation = 0
  /// Rotates among idle workers.
  @exclusivity(unchecked) var turn = 0
  /// Counts the runs of all tasks. If an ID occurred twice for a key, before and after the key was
  /// forgotten, an outdated message would pass for a current one.
  @exclusivity(unchecked) var runCount: Int64 = 0
  /// The queued tasks by priority; an entry is valid while its task is `queued`.
  @exclusivity(unchecked) var queue = Heap<Priority, TaskState>()
  /// The workers that are being retired, and for each of their results that is being moved, the
  /// recipient.
  @exclusivity(unchecked) var retiring = OrderedMap<String, [Key: String]>()
  /// Tasks requested for a thief, by task.
  @exclusivity(unchecked) var inFlight = OrderedMap<ObjectIdentifier, Steal>()
  /// Counts the requests to steal.
  @exclusivity(unchecked) var stealCount = 0
  /// Since when tasks are in `no-worker`, in nanoseconds since 1970.
  @exclusivity(unchecked) var unrunnableSince: [ObjectIdentifier: Int64] = [:]
  /// Since when tasks have been waiting with no running worker, in nanoseconds since 1970.
  @exclusivity(unchecked) var noWorkersSince: Int64?

  init(
    _ options: Options = Options(), _ state: SchedulerState = SchedulerState(),
    onEvent: @escaping (Event) -> Void
  ) {
    self.options = options
    self.state = state
    self.onEvent = onEvent
  }

  /// Handles a stimulus and all its consequences.
  ///
  /// - Throws: `InternalError` if the engine contradicts itself.
  func handle(
    _ stimulus: SchedulerStimulus, stimulusID: String, time: Int64
  ) throws(InternalError) -> [SchedulerInstruction] {
    instructions = []
    let request = TransitionContext(stimulusID: stimulusID, time: time)
    try apply(stimulus, request)
    try fillSlots(request)
    recordWorkers(request)
    if !retiring.isEmpty { try continueRetiring(request) }
    return instructions
  }

  private func apply(_ stimulus: SchedulerStimulus, _ request: TransitionContext)
    throws(InternalError)
  {
    switch stimulus {
    case .start: emit(Event(.start, time: request.time))
    case .beforeClose: emit(Event(.beforeClose, time: request.time))
    case .close: emit(Event(.close, time: request.time))
    case .addClient(let client): addClient(client, request)
    case .removeClient(let client): try removeClient(client, request)
    case .addWorker(let facts): try addWorker(facts, request)
    case .removeWorker(let address, let expected):
      try removeWorker(address, expected: expected, request)
    case .retireWorkers(let addresses): try retireWorkers(addresses, request)
    case .restart: try restart(request)
    case .updateGraph(let graph): try updateGraph(graph, request)
    case .clientReleasesKeys(let client, let keys): try release(keys, client, request)
    case .cancel(let client, let keys, let force):
      try cancel(keys, client, force: force, request)
    case .taskFinished(let message): try finished(message, request)
    case .taskErred(let message): try erred(message, request)
    case .addKeys(let worker, let keys): addKeys(worker, keys, request)
    case .requestRefreshWhoHas(let worker, let keys): refreshWhoHas(worker, keys, request)
    case .longRunning(let message): becameLongRunning(message, request)
    case .reschedule(let worker, let key): try reschedule(key, on: worker, request)
    case .updateData(let client, let data): updateData(client, data, request)
    case .clientDesiresKeys(let client, let keys): desire(keys, client, request)
    case .balance: balance(request)
    case .stealResponse(let worker, let key, let state, let stimulusID):
      try confirmSteal(StealResponse(worker, key, state, stimulusID), request)
    case .noWorkersTimeout(let nanoseconds): try failUnrunnable(after: nanoseconds, request)
    case .logEvent(let topic, let message): logEvent([topic], message, request)
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

  func instruct(_ instruction: SchedulerInstruction) {
    instructions.append(instruction)
  }

  /// Processes recommendations until none is left: Dask's `_transitions`.
  func transitions(
    _ recommendations: Recommendations<TaskState>, _ request: TransitionContext
  ) throws(InternalError) {
    var recommendations = recommendations
    let plain = TransitionContext(stimulusID: request.stimulusID, time: request.time)
    while let (task, finish) = recommendations.popLast() {
      recommendations.update(try transition(task, finish, plain))
    }
  }

  /// One transition, via released if there is no direct edge: Dask's `_transition`.
  func transition(
    _ task: TaskState, _ finish: State, _ request: TransitionContext
  ) throws(InternalError) -> Recommendations<TaskState> {
    let start = task.state
    guard start != finish, start != .forgotten else { return Recommendations() }
    if let edge = Self.edges[start, finish] { return follow(edge, to: finish, task, request) }

    guard start != .released, finish != .released, let release = Self.edges[start, .released]
    else { throw fault("impossible transition \(start) → \(finish)", task, request) }
    var recommendations = follow(release, to: .released, task, request)
    let next = recommendations[task] ?? finish
    guard next != .released else { return recommendations }
    guard let edge = Self.edges[.released, next] else {
      throw fault("impossible transition released → \(next)", task, request)
    }
    // It has been followed; if kept, it would undo states that the task reaches in between.
    recommendations[task] = nil
    recommendations.update(follow(edge, to: next, task, request))
    return recommendations
  }

  private func follow(
    _ edge: Edge, to finish: State, _ task: TaskState, _ request: TransitionContext
  ) -> Recommendations<TaskState> {
    let start = task.state
    onEdge?(start, finish)
    let decision = edge(self, task, request)
    emit(
      Event(
        .transition, time: request.time, key: task.key, start: start,
        finish: decision.finish, stimulusID: request.stimulusID, worker: decision.worker,
        taskRunID: decision.taskRunID, args: request.args, snapshot: decision.snapshot))
    instructions += decision.instructions
    var recommendations = decision.recommendations
    updateIndexes(task, from: start, request, &recommendations)
    return recommendations
  }

  /// Updates the core's own data structures after a task has entered a new state.
  private func updateIndexes(
    _ task: TaskState, from start: State, _ request: TransitionContext,
    _ recommendations: inout Recommendations<TaskState>
  ) {
    if start == .processing, !inFlight.isEmpty { inFlight[ObjectIdentifier(task)] = nil }
    if !unrunnableSince.isEmpty { unrunnableSince[ObjectIdentifier(task)] = nil }
    switch task.state {
    case .queued: queue.insert(task, priority: task.priority ?? Priority([]))
    case .noWorker: unrunnableSince[ObjectIdentifier(task)] = request.time
    case .memory, .erred:
      guard !task.whoWants.isEmpty, let fireAndForget = state.clients[Self.fireAndForget],
        fireAndForget.wantsWhat.contains(task)
      else { return }
      recommendations.update(releaseWanted([task.key], Self.fireAndForget, request))
    default: break
    }
  }

  private func fault(_ text: String, _ task: TaskState, _ request: TransitionContext)
    -> InternalError
  {
    InternalError(description: "scheduler: \(text) of \(task.key) by \(request.stimulusID)")
  }

  // MARK: - Topics

  /// Logs a message under each of the topics: Dask's `log_event`.
  func logEvent(_ topics: [String], _ message: Value, _ request: TransitionContext) {
    for topic in topics {
      emit(
        Event(
          .logEvent, time: request.time, stimulusID: request.stimulusID,
          args: Args(named: [.init("topic", .string(topic)), .init("message", message)])))
    }
  }
}
