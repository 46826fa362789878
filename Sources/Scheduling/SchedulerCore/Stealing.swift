import TaskLogPlugin

/// A task requested for a thief.
struct Steal {
  var task: TaskState
  var victim: String
  var thief: String
  var stimulusID: String
}

/// The response of a victim.
struct StealResponse {
  var worker: String
  var key: Key
  /// The state of the task on the victim; `nil` if it is unknown there.
  var state: State?
  var stimulusID: String

  init(_ worker: String, _ key: Key, _ state: State?, _ stimulusID: String) {
    self.worker = worker
    self.key = key
    self.state = state
    self.stimulusID = stimulusID
  }
}

/// Work stealing, simplified from Dask's stealing.py: idle workers get tasks that wait on other
/// workers.
///
/// A task is requested first. The victim gives it up if it does not run there yet, and only then is
/// it sent to the thief; running tasks stay. Dask sorts tasks by the cost of moving them; here the
/// cost is estimated for each candidate in turn, the most recent tasks first.
extension SchedulerCore {
  /// Estimated seconds to move a task, in addition to its inputs; Dask's `LATENCY`.
  private static var latency: Double { 0.1 }

  /// Whether balancing can have an effect: one worker is idle, and another is overloaded.
  var mayBalance: Bool {
    guard options.workStealing, state.running.count > 1 else { return false }
    var (isIdle, isLoaded) = (false, false)
    for worker in state.running {
      let count = worker.processing.count
      if count < worker.nthreads { isIdle = true }
      if count > worker.nthreads { isLoaded = true }
    }
    return isIdle && isLoaded
  }

  /// Dask's `balance`.
  func balance(_ request: TransitionContext) {
    guard mayBalance else { return }
    var load: [String: (count: Int, seconds: Double)] = [:]
    for (address, worker) in state.workers {
      load[address] = (
        worker.processing.count, worker.processing.reduce(0) { $0 + duration($1) }
      )
    }
    for (_, steal) in inFlight {
      load[steal.victim]?.count -= 1
      load[steal.thief]?.count += 1
    }
    var thieves = state.workers.values.filter {
      $0.status == .running && load[$0.address, default: (0, 0)].count < $0.nthreads
    }
    let victims = state.workers.values.filter {
      load[$0.address, default: (0, 0)].count > $0.nthreads
    }.sorted {
      load[$0.address, default: (0, 0)].seconds > load[$1.address, default: (0, 0)].seconds
    }
    for victim in victims {
      for task in victim.processing.reversed() {
        guard !thieves.isEmpty, load[victim.address, default: (0, 0)].count > victim.nthreads
        else { break }
        guard isStealable(task, from: victim),
          let thief = thief(for: task, thieves, load.mapValues(\.seconds)),
          isWorthwhile(task, victim, thief, load.mapValues(\.seconds))
        else { continue }
        requestSteal(for: task, victim, thief, request)
        load[victim.address]?.count -= 1
        load[victim.address]?.seconds -= duration(task)
        load[thief.address]?.count += 1
        load[thief.address]?.seconds += duration(task)
        thieves.removeAll { load[$0.address, default: (0, 0)].count >= $0.nthreads }
      }
    }
  }

  private func isStealable(_ task: TaskState, from victim: WorkerInfo) -> Bool {
    !victim.longRunning.contains(task) && inFlight[ObjectIdentifier(task)] == nil
  }

  /// Dask's `_get_thief`.
  private func thief(
    for task: TaskState, _ thieves: [WorkerInfo], _ seconds: [String: Double]
  ) -> WorkerInfo? {
    let valid = thieves.filter { isValid($0, for: task) }
    let others = thieves.filter { isRunning($0, with: task.resourceRestrictions) }
    let pool = valid.isEmpty && task.looseRestrictions ? others : valid
    func objective(_ worker: WorkerInfo) -> Double {
      seconds[worker.address, default: 0] / Double(max(worker.nthreads, 1))
        + communication(task, worker)
    }
    return pool.min {
      let (first, second) = (objective($0), objective($1))
      return first == second ? $0.nbytes < $1.nbytes : first < second
    }
  }

  /// Whether the task finishes earlier if it is moved.
  private func isWorthwhile(
    _ task: TaskState, _ victim: WorkerInfo, _ thief: WorkerInfo, _ seconds: [String: Double]
  ) -> Bool {
    let compute = duration(task)
    if !task.dependencies.isEmpty {
      let bytes = task.dependencies.reduce(0) { $0 + Double($1.nbytes ?? 0) }
      // Dask's last level: moving it takes more than 2^8 times as long as running it.
      guard (bytes / Self.bandwidth + Self.latency) / max(compute, 1e-9) < 256 else { return false }
    }
    return seconds[thief.address, default: 0] + communication(task, thief) + compute
      <= seconds[victim.address, default: 0] - (communication(task, victim) + compute) / 2
  }

  /// Dask's `move_task_request`.
  private func requestSteal(
    for task: TaskState, _ victim: WorkerInfo, _ thief: WorkerInfo, _ request: TransitionContext
  ) {
    let id = "steal-\(stealCount)"
    stealCount += 1
    inFlight[ObjectIdentifier(task)] = Steal(
      task: task, victim: victim.address, thief: thief.address, stimulusID: id)
    instruct(.toWorker(address: victim.address, .stealRequest(task.key), stimulusID: id))
    logEvent(
      ["stealing"],
      .tuple([
        "request", task.key.value, .string(victim.address), .string(thief.address), .string(id),
      ]), request)
  }

  /// Dask's `move_task_confirm`.
  func confirmSteal(_ response: StealResponse, _ request: TransitionContext) throws(InternalError) {
    guard let task = state.tasks[response.key] else { return }
    let id = ObjectIdentifier(task)
    func log(_ action: String, _ more: [Value] = []) {
      let state: Value = response.state.map { .string($0.name) } ?? .null
      logEvent(
        ["stealing"],
        .tuple(
          [.string(action), response.key.value, state] + more + [.string(response.stimulusID)]),
        request)
    }
    guard let steal = inFlight[id] else {
      return log("already-aborted", [.string(response.worker)])
    }
    guard steal.stimulusID == response.stimulusID else {
      return log("stale-response", [.string(response.worker)])
    }
    inFlight[id] = nil
    let both: [Value] = [.string(steal.victim), .string(steal.thief)]
    switch response.state {
    case .ready, .constrained, .waiting:
      guard let thief = state.workers[steal.thief], thief.status == .running else {
        log("reschedule", both)
        return try reschedule(task.key, on: steal.victim, request)
      }
      move(task, to: thief, request)
      log("confirm", both)
    case nil, .released:
      log("reschedule", both)
      try reschedule(task.key, on: steal.victim, request)
    default: log("already-computing", both)
    }
  }

  private func move(_ task: TaskState, to thief: WorkerInfo, _ request: TransitionContext) {
    runCount += 1
    emit(
      Event(
        .stimulus, time: request.time, key: task.key, stimulusID: request.stimulusID,
        worker: thief.address, taskRunID: runCount, args: Args(named: [.init("op", "move-task")])))
    instruct(computeMessage(task, runCount, thief, request))
  }

  /// The estimated run time in seconds.
  private func duration(_ task: TaskState) -> Double {
    task.prefix.durationAverage ?? Self.unknownDuration
  }
}
