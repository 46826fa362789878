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
    let (workers, isByInputs) = pool(for: task)
    guard isByInputs else { return workers.isEmpty ? nil : leastOccupied(workers) }
    return workers.min { objective(of: $0, for: task) < objective(of: $1, for: task) }
  }

  /// The workers among which one is chosen, and whether that is by the task's inputs.
  func pool(for task: TaskState) -> (workers: [WorkerInfo], isByInputs: Bool) {
    var workers = state.validWorkers(task)
    if workers.isEmpty, task.looseRestrictions {
      workers = state.running.filter { $0.supplies(task.resourceRestrictions) }
    }
    if task.dependencies.isEmpty { return (workers, false) }
    let holders = state.holders(of: task, among: workers)
    return holders.isEmpty ? (workers, false) : (holders, true)
  }

  /// How soon a worker can start a task: its tasks are taken to be as long as this one.
  func objective(of worker: WorkerInfo, for task: TaskState) -> WorkerObjective {
    let duration = task.prefix.durationAverage ?? Self.unknownDuration
    return WorkerObjective(
      start: load(worker) * duration + communication(task, worker), nbytes: worker.nbytes)
  }

  /// The seconds that a worker would need to fetch the task's missing inputs: Dask's
  /// `get_comm_cost`.
  func communication(_ task: TaskState, _ worker: WorkerInfo) -> Double {
    state.missingBytes(of: task, on: worker) / Self.bandwidth
  }

  /// Whether a worker is among `state.validWorkers(task)`.
  func isValid(_ worker: WorkerInfo, for task: TaskState) -> Bool {
    isRunning(worker, with: task.resourceRestrictions)
      && (task.workerRestrictions.isEmpty || task.workerRestrictions.contains(worker.address))
  }

  /// Whether a worker is running and has these resources. Loose restrictions allow other workers,
  /// but only those with the resources. (Dask sends the task regardless, and the worker fails.)
  func isRunning(_ worker: WorkerInfo, with resources: [Resource]) -> Bool {
    worker.status == .running && worker.supplies(resources)
  }

  func load(_ worker: WorkerInfo) -> Double {
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
