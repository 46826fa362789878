import TaskLogPlugin

/// The choice of a worker for a task.
extension SchedulerCore {
  /// Assumed bytes per second of a transfer; Dask's `distributed.scheduler.bandwidth`.
  static var bandwidth: Double { 100_000_000 }
  /// Assumed seconds of a task with an unknown prefix; Dask's `unknown-task-duration`.
  static var unknownDuration: Double { 0.5 }

  /// The worker on which the task can start soonest, or `nil` if there is none: after Dask's
  /// `decide_worker_non_rootish`.
  ///
  /// Without dependencies that is the worker with the least work, rotating among idle workers. With
  /// dependencies it is one of the workers that hold some of them, by its load and the data that it
  /// would have to fetch.
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

  /// The seconds that a worker would need to fetch the task's missing inputs: Dask's
  /// `get_comm_cost`.
  func communication(_ task: TaskState, _ worker: WorkerInfo) -> Double {
    let missing = task.dependencies.reduce(0.0) { sum, dependency in
      dependency.whoHas.contains(worker) ? sum : sum + Double(dependency.nbytes ?? 0)
    }
    return missing / Self.bandwidth
  }

  /// The running workers that may run a task: Dask's `valid_workers`.
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

  /// Whether a worker is among `validWorkers(task)`.
  func isValid(_ worker: WorkerInfo, for task: TaskState) -> Bool {
    isRunning(worker, with: task.resourceRestrictions)
      && (task.workerRestrictions.isEmpty || task.workerRestrictions.contains(worker.address))
  }

  /// Whether a worker is running and has these resources. Loose restrictions allow other workers,
  /// but only those with the resources. (Dask sends the task regardless, and the worker fails.)
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
