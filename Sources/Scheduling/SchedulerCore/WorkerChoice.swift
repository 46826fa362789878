import TaskLogPlugin

/// Which worker a task goes to.
extension SchedulerCore {
  /// Bytes a second that a transfer is reckoned to make; Dask's `distributed.scheduler.bandwidth`.
  static var bandwidth: Double { 100_000_000 }
  /// Seconds that a task of an unknown prefix is reckoned to take; Dask's
  /// `unknown-task-duration`.
  static var unknownDuration: Double { 0.5 }

  /// The worker on which the task can start the soonest, nothing when there is none: after Dask's
  /// `decide_worker_non_rootish`.
  ///
  /// Without dependencies that is the one with the least to do, workers without work taking turns.
  /// With dependencies it is one of those that hold some of them, reckoned by what it has to do and
  /// by what it would have to fetch.
  func decideWorker(_ task: TaskState) -> WorkerInfo? {
    var workers = validWorkers(task)
    if workers.isEmpty, task.looseRestrictions {
      workers = state.running.filter { $0.supplies(task.resourceRestrictions) }
    }
    guard !workers.isEmpty else { return nil }
    if task.dependencies.isEmpty { return leastOccupied(workers) }
    let holders = workers.filter { worker in
      task.dependencies.contains { $0.whoHas.contains(worker) }
    }
    guard !holders.isEmpty else { return leastOccupied(workers) }
    let duration = task.prefix.durationAverage ?? Self.unknownDuration
    func seconds(_ worker: WorkerInfo) -> Double {
      load(worker) * duration + communication(task, worker)
    }
    return holders.min { a, b in
      let (first, second) = (seconds(a), seconds(b))
      return first == second ? a.nbytes < b.nbytes : first < second
    }
  }

  /// Seconds that a worker would take to fetch what the task needs: Dask's `get_comm_cost`.
  func communication(_ task: TaskState, _ worker: WorkerInfo) -> Double {
    let missing = task.dependencies.reduce(0.0) { sum, dependency in
      dependency.whoHas.contains(worker) ? sum : sum + Double(dependency.nbytes ?? 0)
    }
    return missing / Self.bandwidth
  }

  /// The running workers that a task may go to: Dask's `valid_workers`.
  func validWorkers(_ task: TaskState) -> [WorkerInfo] {
    var workers = state.running
    if !task.workerRestrictions.isEmpty {
      workers = task.workerRestrictions.compactMap { state.workers[$0] }
        .filter { $0.status == .running }
    }
    if !task.resourceRestrictions.isEmpty {
      workers = workers.filter { $0.supplies(task.resourceRestrictions) }
    }
    return workers
  }

  /// Whether a worker is one of these.
  func isValid(_ worker: WorkerInfo, for task: TaskState) -> Bool {
    isRunning(worker, with: task.resourceRestrictions)
      && (task.workerRestrictions.isEmpty || task.workerRestrictions.contains(worker.address))
  }

  /// Others than those that a task is restricted to may stand in for them, but not without what it
  /// takes up. (Dask sends it there, and the worker fails.)
  func isRunning(_ worker: WorkerInfo, with resources: [Resource]) -> Bool {
    worker.status == .running && worker.supplies(resources)
  }

  private func load(_ worker: WorkerInfo) -> Double {
    Double(worker.processing.count) / Double(max(worker.nthreads, 1))
  }

  private func leastOccupied(_ workers: [WorkerInfo]) -> WorkerInfo? {
    turn += 1
    var (best, least) = (workers[turn % workers.count], Double.infinity)
    for step in workers.indices {
      let worker = workers[(turn + step) % workers.count]
      let load = load(worker)
      if load < least { (best, least) = (worker, load) }
    }
    return best
  }
}
