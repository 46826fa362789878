import TaskLogPlugin

/// The scheduler without clock, network and threads: stimuli in, events and instructions out.
///
/// Modelled on Dask's `SchedulerState` (distributed/scheduler.py): each edge of the chart in
/// `SchedulerEdges.swift` decides one transition and recommends others, which are worked off until
/// none is left. Every change of the state is an event that has been applied.
final class SchedulerCore {
  let state = SchedulerState()
  /// Called after each event has been applied, while a forgotten task can still be looked up.
  private let onEvent: (Event) -> Void
  /// Called with each edge that is taken, so that a test can tell which ones none has taken.
  var onEdge: ((_ start: State, _ finish: State) -> Void)?
  private var instructions: [SchedulerInstruction] = []

  /// Counted up with each graph, so that older graphs run first.
  private var generation = 0
  /// Lets workers without work take turns.
  var turn = 0
  /// Counts the runs of all tasks. An id that comes twice for a key, before and after it was
  /// forgotten, would let old news pass for new.
  var runCount: Int64 = 0
  /// The workers that are being retired, and which of their results were asked to be taken over by
  /// whom.
  var retiring = OrderedMap<String, [Key: String]>()
  /// How many workers may die with a task before it errs; Dask's `allowed-failures`.
  let allowedFailures: Int

  init(allowedFailures: Int = 3, onEvent: @escaping (Event) -> Void) {
    self.allowedFailures = allowedFailures
    self.onEvent = onEvent
  }

  /// Takes in a stimulus and does all that follows from it.
  ///
  /// - Throws: `EngineFault` when the engine contradicts itself.
  func handle(
    _ stimulus: SchedulerStimulus, stimulusID: String, time: Int64
  ) throws(EngineFault) -> [SchedulerInstruction] {
    instructions.removeAll(keepingCapacity: true)
    let request = Request(stimulusID: stimulusID, time: time)
    switch stimulus {
    case .start: emit(Event(.start, time: time))
    case .beforeClose: emit(Event(.beforeClose, time: time))
    case .close: emit(Event(.close, time: time))
    case .addClient(let client): emit(clientEvent(.addClient, client, request))
    case .removeClient(let client): try removeClient(client, request)
    case .addWorker(let facts): try addWorker(facts, request)
    case .removeWorker(let address, let expected):
      try removeWorker(address, expected: expected, request)
    case .retireWorkers(let addresses): try retireWorkers(addresses, request)
    case .restart: try restart(request)
    case .updateGraph(let client, let tasks, let keys):
      try updateGraph(client, tasks, keys, request)
    case .clientReleasesKeys(let client, let keys): try release(keys, client, request)
    case .cancel(let client, let keys, let force):
      try cancel(keys, client, force: force, request)
    case .taskFinished(let message): try finished(message, request)
    case .taskErred(let message): try erred(message, request)
    case .addKeys(let worker, let keys): addKeys(worker, keys, request)
    case .requestRefreshWhoHas(let worker, let keys): refreshWhoHas(worker, keys, request)
    case .logEvent(let topic, let message):
      emit(
        Event(
          .logEvent, time: time, stimulusID: stimulusID,
          args: Args(named: [.init("topic", .string(topic)), .init("message", message)])))
    }
    if !retiring.isEmpty { try goOnRetiring(request) }
    return instructions
  }

  // MARK: - Events and transitions

  func emit(_ event: Event) {
    state.apply(event)
    onEvent(event)
    state.settle()
  }

  func instruct(_ instruction: SchedulerInstruction) {
    instructions.append(instruction)
  }

  /// Works off recommendations until none is left: Dask's `_transitions`.
  func transitions(
    _ recommendations: Recommendations, _ request: Request
  ) throws(EngineFault) {
    var recommendations = recommendations
    let plain = Request(stimulusID: request.stimulusID, time: request.time)
    while let (key, finish) = recommendations.popLast() {
      recommendations.update(try transition(key, finish, plain))
    }
  }

  /// One transition, through released where there is no direct edge: Dask's `_transition`.
  func transition(
    _ key: Key, _ finish: State, _ request: Request
  ) throws(EngineFault) -> Recommendations {
    guard let task = state.tasks[key], task.state != finish else { return Recommendations() }
    let start = task.state
    if let edge = Self.edges[start, finish] { return take(edge, to: finish, task, request) }

    guard start != .released, finish != .released, let release = Self.edges[start, .released]
    else { throw fault("impossible transition \(start) → \(finish)", task, request) }
    var recommendations = take(release, to: .released, task, request)
    let next = recommendations[key] ?? finish
    guard next != .released else { return recommendations }
    guard let edge = Self.edges[.released, next] else {
      throw fault("impossible transition released → \(next)", task, request)
    }
    // It has been followed: left behind, it would undo what the task comes to in between.
    recommendations[key] = nil
    recommendations.update(take(edge, to: next, task, request))
    return recommendations
  }

  private func take(
    _ edge: Edge, to finish: State, _ task: TaskState, _ request: Request
  ) -> Recommendations {
    onEdge?(task.state, finish)
    let decision = edge(self)(task, request)
    emit(
      Event(
        .transition, time: request.time, key: task.key, start: task.state,
        finish: decision.finish, stimulusID: request.stimulusID, worker: decision.worker,
        taskRunID: decision.taskRunID, args: request.args, snapshot: decision.snapshot))
    instructions += decision.instructions
    return decision.recommendations
  }

  private func fault(_ text: String, _ task: TaskState, _ request: Request) -> EngineFault {
    EngineFault(description: "scheduler: \(text) of \(task.key) by \(request.stimulusID)")
  }

  // MARK: - Clients

  private func clientEvent(_ hook: Hook, _ client: String, _ request: Request) -> Event {
    Event(
      hook, time: request.time, stimulusID: request.stimulusID,
      args: Args(named: [.init("client", .string(client))]))
  }

  private func removeClient(_ id: String, _ request: Request) throws(EngineFault) {
    guard let client = state.clients[id] else { return }
    try release(client.wantsWhat.map(\.key), id, request)
    emit(clientEvent(.removeClient, id, request))
  }

  /// Dask's `client_releases_keys`.
  func release(
    _ keys: [Key], _ id: String, _ request: Request
  ) throws(EngineFault) {
    guard let client = state.clients[id] else { return }
    let wanted = keys.filter { key in
      state.tasks[key].map { client.wantsWhat.contains($0) } ?? false
    }
    guard !wanted.isEmpty else { return }
    emit(
      Event(
        .clientReleasesKeys, time: request.time, stimulusID: request.stimulusID,
        args: .keys(wanted, of: id)))
    var recommendations = Recommendations()
    for task in wanted.compactMap({ state.tasks[$0] }) where task.whoWants.isEmpty {
      if task.dependents.isEmpty {
        recommendations[task.key] = .forgotten
      } else if task.state != .erred, task.waiters.isEmpty {
        recommendations[task.key] = .released
      }
    }
    try transitions(recommendations, request)
  }

  /// Dask's `update_graph`.
  private func updateGraph(
    _ client: String, _ tasks: [NewTask], _ keys: [Key], _ request: Request
  ) throws(EngineFault) {
    if let lost = lostDependency(tasks) {
      return refuse(client, tasks, keys, lost)
    }
    generation += 1
    var graph: [GraphTask] = []
    graph.reserveCapacity(tasks.count)
    var added: Set<Key> = []
    for (index, task) in tasks.enumerated()
    where state.tasks[task.key] == nil && added.insert(task.key).inserted {
      graph.append(
        GraphTask(
          key: task.key, dependencies: task.dependencies,
          priority: Priority(-task.userPriority, Double(generation), Double(index)),
          annotations: task.annotations, retries: task.retries,
          workerRestrictions: task.workers, looseRestrictions: task.allowOtherWorkers))
    }
    emit(
      Event(
        .updateGraph, time: request.time, stimulusID: request.stimulusID,
        args: graphArgs(client, tasks, keys, graph), snapshot: .graph(graph)))

    // What these need follows from them. A task that was known and is released counts as new.
    var recommendations = Recommendations()
    for task in byPriority(keys.compactMap { state.tasks[$0] }) where task.state == .released {
      recommendations[task.key] = .waiting
    }
    for facts in graph where state.tasks[facts.key]?.exceptionBlame != nil {
      recommendations[facts.key] = .erred
    }
    // A future of a task that is done already must be told so.
    for key in keys {
      guard let task = state.tasks[key] else { continue }
      if task.state == .memory { instruct(.keyInMemory(client: client, key: key)) }
      if task.state == .erred { instruct(erredMessage(client, task, task.exceptionBlame ?? task)) }
    }
    try transitions(recommendations, request)
  }

  /// A task that is needed and that nobody knows: it was forgotten, or belongs to another cluster.
  private func lostDependency(_ tasks: [NewTask]) -> Key? {
    var own: Set<Key>?
    for key in tasks.lazy.flatMap(\.dependencies) where !state.tasks.contains(key) {
      let known = own ?? Set(tasks.map(\.key))
      own = known
      if !known.contains(key) { return key }
    }
    return nil
  }

  /// Takes none of the tasks; the client is told.
  private func refuse(_ client: String, _ tasks: [NewTask], _ keys: [Key], _ lost: Key) {
    for key in keys {
      instruct(
        .taskErred(
          client: client, key: key, blame: lost,
          exceptionText: "the scheduler does not know task '\(lost)', which is needed",
          tracebackText: ""))
    }
    for task in tasks where !state.tasks.contains(task.key) {
      instruct(.forgotten(key: task.key))
    }
  }

  /// Worked off from the end, the one with the lowest priority number goes first.
  func byPriority(_ tasks: [TaskState]) -> [TaskState] {
    let last = Priority([.infinity])
    return tasks.sorted { ($1.priority ?? last) < ($0.priority ?? last) }
  }

  private func graphArgs(
    _ client: String, _ tasks: [NewTask], _ keys: [Key], _ graph: [GraphTask]
  ) -> Args {
    var annotations: [Value.Entry] = []
    for facts in graph {
      for annotation in facts.annotations {
        let entry = Value.Entry(facts.key.value, annotation.value)
        if let place = annotations.firstIndex(where: { $0.key == annotation.key }),
          case .dict(let entries) = annotations[place].value
        {
          annotations[place].value = .dict(entries + [entry])
        } else {
          annotations.append(.init(annotation.key, .dict([entry])))
        }
      }
    }
    return .graph(
      GraphFacts(
        client: client, keys: keys, tasks: tasks.map(\.key), annotations: .dict(annotations),
        added: graph))
  }

  // MARK: - Workers

  /// Dask's `stimulus_task_finished`.
  private func finished(_ message: TaskFinished, _ request: Request) throws(EngineFault) {
    // Late news of a run that nobody waits for any more.
    guard let task = state.tasks[message.key],
      task.state == .processing || task.state == .memory
    else { return free([message.key], on: message.worker, request) }
    guard task.taskRunID == message.taskRunID else {
      return try stale(task, on: message.worker, frees: true, request)
    }
    guard task.state == .processing else {
      return addKeys(message.worker, [message.key], request)
    }
    var told = request
    told.args = message.args
    try transitions(try transition(message.key, .memory, told), request)
  }

  /// Dask's `stimulus_task_erred`.
  private func erred(_ message: TaskErred, _ request: Request) throws(EngineFault) {
    guard let task = state.tasks[message.key], task.state == .processing else { return }
    guard task.taskRunID == message.taskRunID else {
      return try stale(task, on: message.worker, frees: false, request)
    }
    if task.retries > 0 {
      var told = request
      told.facts = TaskFacts(retries: task.retries - 1)
      try transitions(try transition(message.key, .waiting, told), request)
    } else {
      var told = request
      told.args = message.args
      try transitions(try transition(message.key, .erred, told), request)
    }
  }

  /// News of an older run of a task. When the worker is the one that was asked for the newer run, the
  /// older one has taken its place, and the task has to be run once more.
  private func stale(
    _ task: TaskState, on worker: String, frees: Bool, _ request: Request
  ) throws(EngineFault) {
    if task.processingOn?.address == worker {
      try transitions(try transition(task.key, .released, request), request)
    } else if frees {
      free([task.key], on: worker, request)
    }
  }

  private func addKeys(_ worker: String, _ keys: [Key], _ request: Request) {
    for key in keys {
      let task = state.tasks[key]
      // It will answer with what it has got when it comes to be asked to run the task. To be freed
      // after that answer would take away a result that is counted on.
      if let task, task.state == .processing, task.processingOn?.address == worker { continue }
      guard let task, task.state == .memory, state.workers[worker] != nil else {
        free([key], on: worker, request)
        continue
      }
      emit(
        Event(
          .addReplica, time: request.time, key: key, stimulusID: request.stimulusID,
          worker: worker))
    }
  }

  /// Dask's `handle_request_refresh_who_has`. Of a task that is nowhere there is nothing to tell:
  /// what needs it is being taken away from the worker. When nothing does, it is freed: it was to be
  /// kept for a worker that is gone since.
  private func refreshWhoHas(_ worker: String, _ keys: [Key], _ request: Request) {
    let needless = keys.filter { key in
      guard let task = state.tasks[key] else { return true }
      return task.processingOn?.address != worker
        && !task.whoHas.contains { $0.address != worker }
        && !task.dependents.contains { $0.processingOn?.address == worker }
    }
    if !needless.isEmpty { free(needless, on: worker, request) }
    let held = keys.compactMap { key -> (Key, [String])? in
      let holders = state.tasks[key]?.whoHas.map(\.address).filter { $0 != worker } ?? []
      return holders.isEmpty ? nil : (key, holders)
    }
    guard !held.isEmpty else { return }
    instruct(
      .toWorker(address: worker, .refreshWhoHas(held), stimulusID: request.stimulusID))
  }

  func free(_ keys: [Key], on worker: String, _ request: Request) {
    instruct(
      .toWorker(address: worker, .freeKeys(keys), stimulusID: request.stimulusID))
  }

  func erredMessage(_ client: String, _ task: TaskState, _ blame: TaskState) -> SchedulerInstruction
  {
    .taskErred(
      client: client, key: task.key, blame: blame.key,
      exceptionText: blame.exceptionText ?? "", tracebackText: blame.tracebackText ?? "")
  }
}
