import TaskLogPlugin

/// Clients and the keys they want.
extension SchedulerCore {
  /// The client that wants fire-and-forget tasks, whose futures may all be gone, until they are
  /// done.
  static let fireAndForget = "fire-and-forget"

  /// Dask's `client_desires_keys`; unknown keys are skipped.
  func desire(_ keys: [Key], _ client: String, _ request: TransitionContext) {
    let knownKeys = keys.filter { state.tasks.contains($0) }
    guard !knownKeys.isEmpty else { return }
    // Fire-and-forget does not need tasks that are already done.
    let wantedKeys =
      client != Self.fireAndForget
      ? knownKeys
      : knownKeys.filter { key in
        switch state.tasks[key]?.state {
        case .memory, .erred: false
        default: true
        }
      }
    guard !wantedKeys.isEmpty else { return }
    emit(
      Event(
        .clientDesiresKeys, time: request.time, stimulusID: request.stimulusID,
        args: .keys(wantedKeys, of: client)))
    for key in wantedKeys { if let task = state.tasks[key] { report(task, to: client) } }
  }

  /// Dask's `report_on_key`: notifies a client of a task that is already done.
  func report(_ task: TaskState, to client: String) {
    switch task.state {
    case .memory: instruct(.keyInMemory(client: client, key: task.key))
    case .erred: instruct(erredMessage(client, task, task.exceptionBlame ?? task))
    default: break
    }
  }

  func addClient(_ client: String, _ request: TransitionContext) {
    logEvent(
      ["all", client],
      .object(["action": "add-client", "client": .string(client)]), request)
    emit(clientEvent(.addClient, client, request))
  }

  func removeClient(_ id: String, _ request: TransitionContext) throws(InternalError) {
    guard let client = state.clients[id] else { return }
    logEvent(
      ["all", id], .object(["action": "remove-client", "client": .string(id)]), request)
    try release(client.wantsWhat.map(\.key), id, request)
    emit(clientEvent(.removeClient, id, request))
  }

  private func clientEvent(_ hook: Hook, _ client: String, _ request: TransitionContext) -> Event {
    Event(
      hook, time: request.time, stimulusID: request.stimulusID,
      args: Args(named: [.init("client", .string(client))]))
  }

  /// Dask's `client_releases_keys`.
  func release(_ keys: [Key], _ id: String, _ request: TransitionContext) throws(InternalError) {
    guard let client = state.clients[id] else { return }
    let wantedKeys = keys.filter { key in
      state.tasks[key].map { client.wantsWhat.contains($0) } ?? false
    }
    guard !wantedKeys.isEmpty else { return }
    try transitions(releaseWanted(wantedKeys, id, request), request)
  }

  /// Dask's `_client_releases_keys`: the client no longer wants these keys.
  func releaseWanted(
    _ keys: [Key], _ id: String, _ request: TransitionContext
  ) -> Recommendations<TaskState> {
    emit(
      Event(
        .clientReleasesKeys, time: request.time, stimulusID: request.stimulusID,
        args: .keys(keys, of: id)))
    var recommendations = Recommendations<TaskState>()
    for task in keys.compactMap({ state.tasks[$0] }) where task.whoWants.isEmpty {
      if task.dependents.isEmpty {
        recommendations[task] = .forgotten
      } else if task.state != .erred, task.waiters.isEmpty {
        recommendations[task] = .released
      }
    }
    return recommendations
  }

  /// Dask's `stimulus_cancel`: the dependents of a task are cancelled before it.
  func cancel(
    _ keys: [Key], _ id: String, force: Bool, _ request: TransitionContext
  ) throws(InternalError) {
    logEvent(
      [id],
      .object([
        "action": "cancel", "count": .int(Int64(keys.count)), "force": .bool(force),
      ]), request)
    guard let client = state.clients[id] else { return }
    var cancelled: [Key] = []
    for key in keys {
      guard let task = state.tasks[key] else { continue }
      let isOnlyOurs = task.whoWants.allSatisfy { $0 === client }
      guard force || isOnlyOurs else { continue }
      if !task.dependents.isEmpty {
        try cancel(task.dependents.map(\.key), id, force: force, request)
      }
      cancelled.append(key)
    }
    let holders = force ? state.clients.keys : [id]
    for holder in holders { try release(cancelled, holder, request) }
    if !cancelled.isEmpty { instruct(.cancelled(cancelled)) }
  }

  func erredMessage(_ client: String, _ task: TaskState, _ blame: TaskState) -> SchedulerInstruction
  {
    .taskErred(
      client: client, key: task.key, blame: blame.key,
      exceptionText: blame.exceptionText ?? "", tracebackText: blame.tracebackText ?? "")
  }
}
