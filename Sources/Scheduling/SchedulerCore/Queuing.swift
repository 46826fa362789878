import TaskLogPlugin

/// Queuing beyond saturation: a worker is sent only a few more root tasks of a large group than it
/// has threads, so that their dependents run before more of them.
extension SchedulerCore {
  /// Groups with more dependency groups, or larger ones, do not count as root-ish; Dask's
  /// `rootish-taskgroup` and `rootish-taskgroup-dependencies`.
  private static var rootishGroups: Int { 5 }
  private static var rootishDependencies: Int { 5 }

  /// Whether a task is one of many with few or no dependencies: Dask's `is_rootish`.
  func isRootish(_ task: TaskState) -> Bool {
    state.isRootish(task, groups: Self.rootishGroups, dependencies: Self.rootishDependencies)
  }

  /// How many more tasks can be sent to a worker: Dask's `_task_slots_available`.
  func slots(_ worker: WorkerInfo) -> Int {
    guard options.workerSaturation.isFinite else { return .max }
    let maximum = max((options.workerSaturation * Double(worker.nthreads)).rounded(.up), 1)
    return Int(saturating: maximum) - (worker.processing.count - worker.longRunning.count)
  }

  /// The least busy worker with a free slot, or `nil` if all are full: Dask's
  /// `decide_worker_rootish_queuing_enabled`.
  func decideWorkerForRootish() -> WorkerInfo? {
    var best: WorkerInfo?
    var least = Double.infinity
    for worker in state.running where slots(worker) > 0 {
      let load = Double(worker.processing.count) / Double(max(worker.nthreads, 1))
      if load < least { (best, least) = (worker, load) }
    }
    return best
  }

  /// Dask's `stimulus_queue_slots_maybe_opened`: runs after every stimulus and all its
  /// consequences.
  func fillSlots(_ request: TransitionContext) throws(InternalError) {
    guard !state.queued.isEmpty else { return }
    var open = 0
    for worker in state.running { open += max(slots(worker), 0) }
    while open > 0, let task = queue.first {
      guard task.state == .queued else {
        _ = queue.popFirst()
        continue
      }
      open -= 1
      var recommendation = Recommendations<TaskState>()
      recommendation[task] = .processing
      try transitions(recommendation, request)
    }
    if state.queued.isEmpty { queue = Heap() }
  }
}
