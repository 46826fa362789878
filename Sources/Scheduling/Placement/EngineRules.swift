import TaskLogPlugin

/// The rules of this engine, as `SchedulerCore` applies them.
package final class EngineRules: PlacementRules {
  package let state: SchedulerState
  private let core: SchedulerCore

  package convenience init() { self.init(SchedulerState(), .init()) }

  /// For one choice only.
  package convenience init(_ state: SchedulerState) { self.init(state, .init()) }

  init(_ state: SchedulerState, _ options: SchedulerCore.Options) {
    self.state = state
    core = SchedulerCore(options, state) { _ in }
  }

  package func apply(_ event: Event) {
    state.apply(event)
    state.settle()
  }

  package func placement(of task: TaskState, at event: Event) -> Placement {
    let isRootish = event.start == .queued || event.start == .waiting && core.isRootish(task)
    var placement = isRootish ? ofFreeThreads(task) : ofPool(task)
    placement.complete(task, state, isRootish: isRootish)
    return placement
  }

  private func ofFreeThreads(_ task: TaskState) -> Placement {
    let free = state.running.filter { core.slots($0) > 0 }
    return Placement(
      rule: .freeThread,
      candidates: candidates(free, task) { WorkerObjective(start: core.load($0), nbytes: 0) })
  }

  private func ofPool(_ task: TaskState) -> Placement {
    let (workers, isByInputs) = core.pool(for: task)
    guard isByInputs else {
      return Placement(
        rule: .leastWork,
        candidates: candidates(workers, task) { WorkerObjective(start: core.load($0), nbytes: 0) })
    }
    var placement = Placement(
      rule: .soonest, candidates: candidates(workers, task) { core.objective(of: $0, for: task) })
    placement.needsInputs = true
    return placement
  }

  private func candidates(
    _ workers: [WorkerInfo], _ task: TaskState, by objective: (WorkerInfo) -> WorkerObjective
  ) -> [Placement.Candidate] {
    let best = workers.map(objective).min()
    let duration = task.prefix.durationAverage ?? SchedulerCore.unknownDuration
    return workers.map { worker in
      Placement.Candidate(
        address: worker.address, threads: worker.nthreads,
        occupancy: Double(worker.processing.count) * duration, processing: worker.processing.count,
        longRunning: worker.longRunning.count,
        missingBytes: Int64(saturating: state.missingBytes(of: task, on: worker)),
        start: core.objective(of: worker, for: task).start, nbytes: worker.nbytes,
        isBest: objective(worker) == best)
    }
  }
}
