import TaskLogPlugin

/// Dask's choice of a worker, of which all candidates are kept.
extension DaskRules {
  package func placement(of task: TaskState, at event: Event) -> Placement {
    var placement: Placement
    let isRootish = isRootish(task)
    if event.start == .queued {
      placement = ofFreeThreads(task)
    } else if event.start != .noWorker, isRootish {
      let isQueued = settings.saturation.isFinite && isQueueable(task, event)
      placement = isQueued ? ofFreeThreads(task) : ofGroup(task)
    } else {
      placement = ofNonRootish(task)
    }
    placement.complete(task, state, isRootish: isRootish || event.start == .queued)
    return placement
  }

  /// Dask's `is_rootish`.
  private func isRootish(_ task: TaskState) -> Bool {
    if task.hints?.isProducer == true, !task.isRestricted { return true }
    return state.isRootish(
      task, groups: settings.rootishGroups, dependencies: settings.rootishDependencies)
  }

  /// A plugin may have changed it since the graph arrived.
  private func isQueueable(_ task: TaskState, _ event: Event) -> Bool {
    if task.hints?.isQueueable == false { return false }
    return event.snapshot.value?["task"]?["queueable"]?.bool != false
  }

  // MARK: - Rules

  /// Dask's `decide_worker_rootish_queuing_enabled`.
  private func ofFreeThreads(_ task: TaskState) -> Placement {
    let free = state.running.filter { !isFull($0) }
    let load = { (worker: WorkerInfo) in
      Double(worker.processing.count) / Double(max(worker.nthreads, 1))
    }
    let least = free.map(load).min()
    return Placement(
      rule: .freeThread,
      candidates: free.map { candidate($0, task, isBest: load($0) == least) })
  }

  /// Dask's `_worker_full`.
  private func isFull(_ worker: WorkerInfo) -> Bool {
    guard settings.saturation.isFinite else { return false }
    let slots = max((settings.saturation * Double(worker.nthreads)).rounded(.up), 1)
    return worker.processing.count - worker.longRunning.count >= Int(saturating: slots)
  }

  /// Dask's `decide_worker_rootish_queuing_disabled`.
  private func ofGroup(_ task: TaskState) -> Placement {
    let pool = idle.isEmpty ? state.running : Array(idle.values)
    let group = groups[task.group.name]
    if let group, group.left != 0, let address = group.worker,
      let last = state.workers[address], last.status == .running
    {
      var workers = pool
      if !workers.contains(where: { $0 === last }) { workers.append(last) }
      return Placement(
        rule: .group, candidates: workers.map { candidate($0, task, isBest: $0 === last) })
    }
    return Placement(rule: .group, candidates: soonest(pool, task))
  }

  /// Keeps the worker for the next tasks of the group, after one of it was sent there.
  func keep(_ task: TaskState, _ worker: WorkerInfo, _ event: Event) {
    guard event.start == .waiting, !settings.saturation.isFinite || !isQueueable(task, event),
      isRootish(task)
    else { return }
    let group = task.group
    var (last, left) = groups[group.name] ?? (nil, 0)
    let isKept = last == worker.address && left != 0 && state.workers[worker.address] === worker
    if !isKept {
      let share = Double(group.size) / Double(max(state.totalThreads, 1))
      left = max(0, Int(saturating: (share * Double(worker.nthreads)).rounded(.down)))
    }
    // The task itself has left `waiting` by now.
    let rest = (group.states[.released] ?? 0) + (group.states[.waiting] ?? 0)
    last = rest > 0 ? worker.address : nil
    groups[group.name] = (last, left &- 1)
  }

  /// Dask's `decide_worker_non_rootish`.
  private func ofNonRootish(_ task: TaskState) -> Placement {
    let areAllRunning = state.running.count == state.workers.count
    return task.dependencies.isEmpty && !task.isRestricted && areAllRunning
      ? withoutInputs(task) : ofInputs(task)
  }

  /// Dask's `decide_worker`.
  private func ofInputs(_ task: TaskState) -> Placement {
    let running = state.running
    let holders =
      task.hints?.isActor == true ? running : state.holders(of: task, among: running)
    let isPicky = task.isRestricted || running.count < state.workers.count
    var workers = holders
    var areHolders = true
    if isPicky {
      let valid = task.isRestricted ? state.validWorkers(task) : running
      workers = holders.filter { worker in valid.contains { $0 === worker } }
      if workers.isEmpty {
        (workers, areHolders) = (valid, false)
        if valid.isEmpty, task.looseRestrictions { (workers, areHolders) = (holders, true) }
      }
    }
    if workers.isEmpty, !isPicky || task.looseRestrictions {
      (workers, areHolders) = (running, false)
    }
    var placement = Placement(rule: .soonest, candidates: soonest(workers, task))
    placement.needsInputs = areHolders && task.hints?.isActor != true
    return placement
  }

  /// The fast path for tasks without inputs and restrictions.
  private func withoutInputs(_ task: TaskState) -> Placement {
    let pool = (idle.isEmpty ? state.workers.values : Array(idle.values))
      .sorted { $0.address < $1.address }
    guard !pool.isEmpty else { return Placement(rule: .leastWork) }
    // A file may have any number of tasks.
    let turn = Int(max(0, sentCount) % Int64(pool.count))
    func placement(_ rule: Placement.Rule, _ chosen: WorkerInfo) -> Placement {
      Placement(rule: rule, candidates: pool.map { candidate($0, task, isBest: $0 === chosen) })
    }
    guard pool.count < 20 else { return placement(.inTurn, pool[turn]) }
    let work = pool.map { occupancy(of: $0) }
    guard let least = work.min(), let first = work.firstIndex(of: least), least != 0 else {
      let next = pool.indices.lazy.map { ($0 + turn) % pool.count }.first { work[$0] == 0 }
      return placement(.inTurn, pool[next ?? 0])
    }
    return placement(.leastWork, pool[first])
  }

  // MARK: - Candidates

  /// Dask's `worker_objective`.
  private func objective(of worker: WorkerInfo, for task: TaskState) -> WorkerObjective {
    let start =
      occupancy(of: worker) / Double(max(worker.nthreads, 1))
      + state.missingBytes(of: task, on: worker) / settings.bandwidth
    let isActor = task.hints?.isActor == true
    return WorkerObjective(
      actors: isActor ? actors(on: worker) : 0, start: start, nbytes: worker.nbytes)
  }

  private func actors(on worker: WorkerInfo) -> Int {
    worker.hasWhat.count { $0.hints?.isActor == true }
      + worker.processing.count { $0.hints?.isActor == true }
  }

  private func soonest(_ workers: [WorkerInfo], _ task: TaskState) -> [Placement.Candidate] {
    let objectives = workers.map { objective(of: $0, for: task) }
    let best = objectives.min()
    return zip(workers, objectives).map { candidate($0, task, isBest: $1 == best) }
  }

  private func candidate(
    _ worker: WorkerInfo, _ task: TaskState, isBest: Bool
  ) -> Placement.Candidate {
    Placement.Candidate(
      address: worker.address, threads: worker.nthreads, occupancy: occupancy(of: worker),
      processing: worker.processing.count, longRunning: worker.longRunning.count,
      missingBytes: Int64(saturating: state.missingBytes(of: task, on: worker)),
      start: objective(of: worker, for: task).start, nbytes: worker.nbytes, isBest: isBest)
  }
}
