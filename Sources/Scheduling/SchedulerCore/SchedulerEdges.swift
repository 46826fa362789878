import TaskLogPlugin

/// What an edge has decided: the event in all but its fixed parts, and what is to follow.
struct SchedulerDecision {
  /// The state that the task will really be in.
  var finish: State
  var worker: String?
  var taskRunID: Int64?
  var snapshot: Snapshot = .none
  var recommendations = Recommendations()
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
///        │  │      no-worker   released
///        │  └──────► erred, forgotten
///        └── waiting, processing, no-worker, memory, erred
///
/// An edge reads the state as it is before the event and returns what it decides; it changes
/// nothing.
extension SchedulerCore {
  typealias Edge = @Sendable (SchedulerCore) -> (TaskState, Request) -> SchedulerDecision

  static let edges = EdgeTable<Edge>([
    (.released, .waiting, transitionReleasedWaiting),
    (.released, .erred, transitionReleasedErred),
    (.released, .forgotten, transitionReleasedForgotten),
    (.waiting, .processing, transitionWaitingProcessing),
    (.waiting, .noWorker, transitionWaitingNoWorker),
    (.waiting, .released, transitionWaitingReleased),
    (.noWorker, .processing, transitionNoWorkerProcessing),
    (.noWorker, .released, transitionNoWorkerReleased),
    (.processing, .memory, transitionProcessingMemory),
    (.processing, .erred, transitionProcessingErred),
    (.processing, .released, transitionProcessingReleased),
    (.memory, .released, transitionMemoryReleased),
    (.memory, .forgotten, transitionMemoryForgotten),
    (.erred, .released, transitionErredReleased),
  ])

  // MARK: - From released

  func transitionReleasedWaiting(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    guard !task.hasLostDependencies else {
      var decision = SchedulerDecision(.released)
      decision.recommendations[task.key] = .forgotten
      return decision
    }
    guard !task.dependencies.contains(where: { $0.state == .erred }) else {
      var decision = SchedulerDecision(.released)
      decision.recommendations[task.key] = .erred
      return decision
    }
    var decision = SchedulerDecision(.waiting)
    var isReady = true
    for dependency in task.dependencies {
      if dependency.whoHas.isEmpty { isReady = false }
      if dependency.state == .released { decision.recommendations[dependency.key] = .waiting }
    }
    if isReady { decision.recommendations[task.key] = .processing }
    return decision
  }

  func transitionReleasedErred(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    var decision = SchedulerDecision(.erred)
    for dependent in task.dependents where dependent.whoHas.isEmpty {
      decision.recommendations[dependent.key] = .erred
    }
    let blame = task.exceptionBlame ?? task.blameOfDependencies ?? task
    for client in task.whoWants {
      decision.instructions.append(erredMessage(client.id, task, blame))
    }
    return decision
  }

  func transitionReleasedForgotten(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    forgotten(task, request)
  }

  // MARK: - From waiting

  func transitionWaitingProcessing(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    guard let worker = decideWorker(task) else {
      var decision = SchedulerDecision(.waiting)
      decision.recommendations[task.key] = .noWorker
      return decision
    }
    return processing(task, worker, request)
  }

  func transitionWaitingNoWorker(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    SchedulerDecision(.noWorker)
  }

  func transitionWaitingReleased(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    var decision = SchedulerDecision(.released)
    for dependency in task.dependencies where dependency.waiters.contains(task) {
      recommendReleaseIfUnneeded(dependency, without: task, &decision)
    }
    let isWanted = !task.whoWants.isEmpty || !task.waiters.isEmpty
    if task.hasLostDependencies {
      decision.recommendations[task.key] = .forgotten
    } else if task.exceptionBlame == nil, isWanted {
      decision.recommendations[task.key] = .waiting
    }
    return decision
  }

  // MARK: - From no-worker

  func transitionNoWorkerProcessing(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    guard let worker = decideWorker(task) else { return SchedulerDecision(.noWorker) }
    return processing(task, worker, request)
  }

  func transitionNoWorkerReleased(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    released(task)
  }

  // MARK: - From processing

  func transitionProcessingMemory(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    guard let address = request.args.worker, state.workers[address] != nil else {
      var decision = SchedulerDecision(.processing)
      decision.recommendations[task.key] = .released
      return decision
    }
    var decision = SchedulerDecision(.memory)
    decision.worker = address
    decision.taskRunID = task.taskRunID
    // Worked off from the end: the dependent with the lowest priority number goes first.
    let ready = task.dependents.filter { dependent in
      dependent.waitingOn.count == 1 && dependent.waitingOn.contains(task)
    }
    for dependent in byPriority(ready) {
      decision.recommendations[dependent.key] = .processing
    }
    releaseUnneeded(of: task, &decision)
    if task.waiters.isEmpty, task.whoWants.isEmpty {
      decision.recommendations[task.key] = .released
    }
    for client in task.whoWants {
      decision.instructions.append(.keyInMemory(client: client.id, key: task.key))
    }
    return decision
  }

  func transitionProcessingErred(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    var decision = SchedulerDecision(.erred)
    decision.worker = request.args.worker
    decision.taskRunID = task.taskRunID
    for waiter in task.waiters { decision.recommendations[waiter.key] = .erred }
    releaseUnneeded(of: task, &decision)
    let args = request.args.content
    let exceptionText = args["exception_text"] ?? args["exception"]?["description"]
    for client in task.whoWants {
      decision.instructions.append(
        .taskErred(
          client: client.id, key: task.key, blame: task.key,
          exceptionText: exceptionText?.string ?? "",
          tracebackText: args["traceback_text"]?.string ?? ""))
    }
    return decision
  }

  func transitionProcessingReleased(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    var decision = released(task)
    if let facts = request.facts { decision.snapshot = .task(facts) }
    if let worker = task.processingOn, state.workers.contains(worker.address) {
      decision.worker = worker.address
      decision.instructions.append(
        .toWorker(
          address: worker.address, .freeKeys([task.key]), stimulusID: request.stimulusID))
    }
    return decision
  }

  // MARK: - From memory

  func transitionMemoryReleased(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    var decision = SchedulerDecision(.released)
    freeReplicas(of: task, request, &decision)
    for client in task.whoWants {
      decision.instructions.append(.lostData(client: client.id, key: task.key))
    }
    let isWanted = !task.whoWants.isEmpty || !task.waiters.isEmpty
    if task.hasLostDependencies {
      decision.recommendations[task.key] = .forgotten
    } else if isWanted {
      decision.recommendations[task.key] = .waiting
    }
    for waiter in task.waiters {
      switch waiter.state {
      case .noWorker, .processing, .queued: decision.recommendations[waiter.key] = .waiting
      default: break
      }
    }
    return decision
  }

  func transitionMemoryForgotten(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    forgotten(task, request)
  }

  // MARK: - From erred

  func transitionErredReleased(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    var decision = SchedulerDecision(.released)
    for dependent in task.dependents where dependent.state == .erred {
      decision.recommendations[dependent.key] = .waiting
    }
    for address in task.erredOn where state.workers.contains(address) {
      decision.instructions.append(
        .toWorker(address: address, .freeKeys([task.key]), stimulusID: request.stimulusID))
    }
    return decision
  }

  // MARK: - What several edges share

  /// Dask's `_add_to_processing`.
  private func processing(
    _ task: TaskState, _ worker: WorkerInfo, _ request: Request
  ) -> SchedulerDecision {
    var decision = SchedulerDecision(.processing)
    runCount += 1
    let runID = runCount
    decision.worker = worker.address
    decision.taskRunID = runID
    let message = ComputeTask(
      key: task.key, taskRunID: runID, priority: task.priority ?? Priority([]),
      whoHas: task.dependencies.map { ($0.key, $0.whoHas.map(\.address)) },
      annotations: task.annotations)
    decision.instructions.append(
      .toWorker(
        address: worker.address, .computeTask(message), stimulusID: request.stimulusID))
    return decision
  }

  /// Dask's `_propagate_released`.
  private func released(_ task: TaskState) -> SchedulerDecision {
    var decision = SchedulerDecision(.released)
    if task.hasLostDependencies {
      decision.recommendations[task.key] = .forgotten
    } else if !task.waiters.isEmpty || !task.whoWants.isEmpty {
      decision.recommendations[task.key] = .waiting
      return decision
    }
    for dependency in task.dependencies where dependency.state != .released {
      recommendReleaseIfUnneeded(dependency, without: task, &decision)
    }
    return decision
  }

  /// Dask's `_propagate_forgotten`.
  private func forgotten(_ task: TaskState, _ request: Request) -> SchedulerDecision {
    var decision = SchedulerDecision(.forgotten)
    for dependent in task.dependents where dependent.state != .memory && dependent.state != .erred {
      decision.recommendations[dependent.key] = .forgotten
    }
    for dependency in task.dependencies
    where dependency.dependents.count == 1 && dependency.whoWants.isEmpty {
      decision.recommendations[dependency.key] = .forgotten
    }
    freeReplicas(of: task, request, &decision)
    decision.instructions.append(.forgotten(key: task.key))
    return decision
  }

  /// The dependencies of a task that has come to an end, when nobody else needs them.
  private func releaseUnneeded(of task: TaskState, _ decision: inout SchedulerDecision) {
    for dependency in task.dependencies {
      recommendReleaseIfUnneeded(dependency, without: task, &decision)
    }
  }

  private func recommendReleaseIfUnneeded(
    _ dependency: TaskState, without task: TaskState, _ decision: inout SchedulerDecision
  ) {
    // What has failed stays so, or it would be run once more.
    guard dependency.state != .erred else { return }
    let others = dependency.waiters.count - (dependency.waiters.contains(task) ? 1 : 0)
    if others == 0, dependency.whoWants.isEmpty {
      decision.recommendations[dependency.key] = .released
    }
  }

  private func freeReplicas(
    of task: TaskState, _ request: Request, _ decision: inout SchedulerDecision
  ) {
    for worker in task.whoHas where state.workers.contains(worker.address) {
      decision.instructions.append(
        .toWorker(
          address: worker.address, .freeKeys([task.key]), stimulusID: request.stimulusID))
    }
  }
}
