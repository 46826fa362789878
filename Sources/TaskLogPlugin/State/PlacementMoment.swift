/// What the choice of a worker for one task depends on, as plain values: the part of a scheduler's state
/// from which the choice can be made again.
package struct PlacementMoment: Sendable {
  package struct Worker: Sendable {
    package var facts: WorkerSnapshot
    package var status = WorkerStatus.running
    /// Bytes of the results that it holds.
    package var nbytes: Int64 = 0
    /// The number of tasks that it runs or is to run, and how many of these have left their thread.
    package var processing = 0
    package var longRunning = 0
    /// The number of its actors; needed only if the task is one.
    package var actors = 0

    /// - Parameter value: see `WorkerInfo.value`.
    package init?(_ value: Value) {
      guard let facts = WorkerSnapshot(value) else { return nil }
      self.facts = facts
    }
  }

  package struct Input: Sendable {
    package var nbytes: Int64?
    /// The workers that hold it, by their indexes.
    package var holders: [Int]

    package init(nbytes: Int64?, holders: [Int]) { (self.nbytes, self.holders) = (nbytes, holders) }
  }

  /// The workers in the order of joining.
  package var workers: [Worker] = []
  package var totalThreads = 0
  package var mismatchCount = 0

  package var key: Key
  /// See `TaskState.placementTerms`; `nil` if any worker may run it, and nothing else is unusual.
  package var terms: Value?
  package var inputs: [Input] = []
  /// The number of tasks of its group, and of each group that this one depends on.
  package var groupSize = 0
  package var dependencySizes: [Int] = []
  /// Mean seconds of its prefix; `nil` if unknown.
  package var durationAverage: Double?

  package init(key: Key) { self.key = key }
}

extension SchedulerState {
  /// A state for one choice only: its other tasks are without keys and inputs, and only counted.
  ///
  /// - Returns: the state and the task.
  package static func at(_ moment: PlacementMoment) -> (state: SchedulerState, task: TaskState) {
    let state = SchedulerState()
    let key = moment.key
    let task = state.task(key)
    state.add(moment.workers)
    state.totalThreads = moment.totalThreads
    state.mismatchCount = moment.mismatchCount
    if let terms = moment.terms { task.take(placementTerms: terms) }
    let others = TaskGroup(name: "", prefix: TaskPrefix(name: "", totals: state.totals))
    let workers = state.workers.values
    for input in moment.inputs {
      let dependency = TaskState(key: "", prefix: others.prefix, group: others)
      dependency.nbytes = input.nbytes
      for index in input.holders { dependency.whoHas.insert(workers[index]) }
      task.dependencies.insert(dependency)
    }
    for size in moment.dependencySizes {
      let group = TaskGroup(name: "", prefix: others.prefix)
      group.restore(size: size, count: size, states: [:])
      task.group.dependencies.insert(group)
    }
    task.group.restore(size: moment.groupSize, count: moment.groupSize, states: [:])
    if let seconds = moment.durationAverage {
      task.prefix.allDurations["compute"] = seconds
      task.prefix.computeCount = 1
    }
    return (state, task)
  }

  private func add(_ moments: [PlacementMoment.Worker]) {
    let others = TaskGroup(name: "", prefix: TaskPrefix(name: "", totals: totals))
    func counted() -> TaskState { TaskState(key: "", prefix: others.prefix, group: others) }
    for moment in moments {
      let worker = WorkerInfo(facts: moment.facts)
      worker.status = moment.status
      worker.nbytes = moment.nbytes
      for index in 0..<moment.processing {
        let task = counted()
        worker.processing.insert(task)
        if index < moment.longRunning { worker.longRunning.insert(task) }
      }
      for _ in 0..<moment.actors {
        let task = counted()
        task.hints = PlacementHints(.object(["actor": true]))
        worker.hasWhat.insert(task)
      }
      workers[worker.address] = worker
    }
    recordRunning()
  }
}

extension WorkerInfo {
  /// What it was as it joined.
  package var value: Value { facts.fields }
}

extension TaskState {
  /// Which workers may run it, and what else is unusual for a choice; `nil` if nothing is.
  package var placementTerms: Value? {
    guard
      !workerRestrictions.isEmpty || looseRestrictions || !resourceRestrictions.isEmpty
        || hints != nil
    else { return nil }
    return .object([
      "workers": .list(workerRestrictions.map(Value.string)), "loose": .bool(looseRestrictions),
      "resources": Resource.value(resourceRestrictions), "actor": .bool(hints?.isActor == true),
      "dataProducer": .bool(hints?.isProducer == true),
      "queueable": .bool(hints?.isQueueable != false),
      "hostRestrictions": .list((hints?.hosts ?? []).map(Value.string)),
    ])
  }

  fileprivate func take(placementTerms terms: Value) {
    workerRestrictions = (terms["workers"]?.elements ?? []).compactMap(\.string)
    looseRestrictions = terms["loose"]?.bool == true
    resourceRestrictions = Resource.list(terms["resources"])
    hints = PlacementHints(terms)
  }
}
