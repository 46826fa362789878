import TaskLogPlugin

/// What Dask's scheduler knows when it chooses a worker, rebuilt from its events.
///
/// After distributed 2026.8.0. It is updated where Dask updates it, so that even what is out of date in
/// Dask (which workers are idle) is out of date here.
package final class DaskRules: PlacementRules {
  package let state: SchedulerState
  var settings = DaskSettings()
  /// Which workers are idle, by address: Dask's `idle`.
  private(set) var idle: [String: WorkerInfo] = [:]
  /// The number of tasks sent to workers so far: Dask's `n_tasks`.
  package private(set) var sentCount: Int64 = 0
  /// Without a queue, by group: the worker that gets its next tasks, and how many.
  var groups: [String: (worker: String?, left: Int)] = [:]

  /// What changes is added here, if it is for an index.
  package var changes: DaskChanges?

  private var loads: [ObjectIdentifier: DaskLoad] = [:]
  private var durations: [String: DaskDuration] = [:]
  private var total = (counts: OrderedMap<String, Int>(), networkBytes: Int64(0))

  package init(_ state: SchedulerState = SchedulerState()) { self.state = state }

  /// For one choice only.
  package init(_ state: SchedulerState, _ moment: DaskMoment, _ group: String) {
    self.state = state
    settings = moment.settings
    sentCount = moment.sentCount
    groups[group] = moment.group
    durations = moment.durations.mapValues {
      DaskDuration(average: $0.average, longest: $0.longest)
    }
    let workers = state.workers.values
    for (worker, moment) in zip(workers, moment.workers) {
      if moment.isIdle { idle[worker.address] = worker }
      let load = load(of: worker)
      load.counts = moment.counts
      load.networkBytes = moment.networkBytes
    }
  }

  // MARK: - Estimates

  func occupancy(of worker: WorkerInfo) -> Double {
    let load = load(of: worker)
    return seconds(load.counts, load.networkBytes)
  }

  /// Dask's `total_occupancy`.
  private var totalOccupancy: Double { seconds(total.counts, total.networkBytes) }

  private func seconds(_ counts: OrderedMap<String, Int>, _ bytes: Int64) -> Double {
    var sum = 0.0
    for (name, count) in counts { sum += duration(name) * Double(count) }
    return max(sum + Double(bytes) / settings.bandwidth, 0)
  }

  func duration(_ prefix: String) -> Double {
    known(prefix).estimate(unknown: settings.unknownDuration)
  }

  func known(_ prefix: String) -> DaskDuration {
    durations[prefix] ?? DaskDuration(average: settings.durations[prefix] ?? -1)
  }

  private func update(_ prefix: String, _ change: (inout DaskDuration) -> Void) {
    var duration = known(prefix)
    change(&duration)
    durations[prefix] = duration
    changes?.prefixes.append(prefix)
  }

  func load(of worker: WorkerInfo) -> DaskLoad {
    let id = ObjectIdentifier(worker)
    if let load = loads[id] { return load }
    let load = DaskLoad(worker)
    loads[id] = load
    return load
  }

  // MARK: - Events

  package func apply(_ event: Event) {
    let task = event.key.flatMap { state.tasks[$0] }
    let before = task?.processingOn
    let wasLongRunning = task.map { before?.longRunning.contains($0) ?? false } ?? false
    state.apply(event)
    switch event.hook {
    case .transition: transition(event, task, before, wasLongRunning)
    case .heartbeat: heartbeat(event)
    case .stimulus: stimulus(event, task)
    case .logEvent:
      if let task, let before, let thief = task.processingOn, thief !== before {
        move(task, from: before, to: thief, wasLongRunning)
      }
    case .addReplica:
      if let task, let worker = state.workers[event.worker ?? ""] { receive(task, worker) }
    case .addWorker: join(event)
    case .removeWorker: if let address = event.worker { leave(address) }
    case .restart:
      (durations, groups) = ([:], [:])
      changes?.areAll = true
    case .attach: attach(event)
    default: break
    }
    state.settle()
  }

  private func transition(
    _ event: Event, _ known: TaskState?, _ before: WorkerInfo?, _ wasLongRunning: Bool
  ) {
    guard let task = known ?? event.key.flatMap({ state.tasks[$0] }), event.start != event.finish
    else { return }
    if event.finish == .forgotten, task.group.count == 0 { groups[task.group.name] = nil }
    if event.finish == .processing {
      guard let worker = task.processingOn, worker !== before else { return }
      add(task, to: worker)
      checkIdle(worker)
      sentCount += 1
      keep(task, worker, event)
    } else if let before, task.processingOn == nil {
      if event.finish == .memory { addDurations(event, task) }
      remove(task, from: before, wasLongRunning)
      if state.workers[before.address] === before { checkIdle(before) }
      if event.finish == .memory {
        for worker in task.whoHas { receive(task, worker) }
      }
    }
  }

  private func addDurations(_ event: Event, _ task: TaskState) {
    update(task.prefix.name) { for span in event.reportedSpans { $0.add(span) } }
  }

  private func heartbeat(_ event: Event) {
    let args = event.args.content
    settings.bandwidth = args["bandwidth"]?.number ?? settings.bandwidth
    guard case .dict(let entries)? = args["executing"] else { return }
    for entry in entries {
      guard let seconds = entry.value.number, let task = Key(entry.key).flatMap({ state.tasks[$0] })
      else { continue }
      update(task.prefix.name) { $0.add(running: seconds) }
    }
  }

  private func stimulus(_ event: Event, _ task: TaskState?) {
    let args = event.args.content
    switch args["op"]?.string {
    case "long-running":
      guard let task, let worker = task.processingOn, worker.longRunning.contains(task) else {
        return
      }
      if let seconds = args["compute_duration"]?.number {
        update(task.prefix.name) { $0.add(longRunning: seconds) }
      }
      count(-1, task, on: worker)
      checkIdle(worker)
    case "check-idle-saturated":
      guard let worker = state.workers[event.worker ?? ""] else { return }
      set(worker, isIdle: args["idle"]?.bool == true)
    case "worker-status-change":
      if let worker = state.workers[event.worker ?? ""] { checkIdle(worker) }
    case "remove-worker": if let address = event.worker { leave(address) }
    default: break
    }
  }

  private func join(_ event: Event) {
    guard let worker = state.workers[event.worker ?? ""] else { return }
    // Its first heartbeat, for which there is no event.
    let own = event.snapshot.value?["worker"]?["metrics"]?["bandwidth"]?["total"]?.number
    if let own {
      let share = 1 / Double(max(state.workers.count, 1))
      settings.bandwidth = settings.bandwidth * (1 - share) + own * share
    }
    checkIdle(worker)
  }

  private func leave(_ address: String) {
    if let worker = idle[address] { set(worker, isIdle: false) }
  }

  private func set(_ worker: WorkerInfo, isIdle: Bool) {
    idle[worker.address] = isIdle ? worker : nil
    guard let changes else { return }
    changes.workers.append(worker)
    if isIdle, state.workers[worker.address] !== worker { changes.isUnknown = true }
  }

  private func attach(_ event: Event) {
    settings.take(event)
    changes?.areAll = true
    sentCount = event.args["nTasks"]?.int ?? sentCount
    let attached = event.snapshot.value?["attach"]
    if case .dict(let entries)? = attached?["prefixes"] {
      for entry in entries {
        guard let name = entry.key.string else { continue }
        durations[name] = DaskDuration(
          average: entry.value["duration_average"]?.number ?? -1,
          longest: entry.value["max_exec_time"]?.number ?? -1)
      }
    }
    if case .dict(let entries)? = attached?["groups"] {
      for entry in entries {
        guard let name = entry.key.string, let worker = entry.value["lastWorker"]?.string else {
          continue
        }
        let left = entry.value["last_worker_tasks_left"]?.int.flatMap(Int.init(exactly:)) ?? 0
        groups[name] = (worker, left)
      }
    }
    for (_, worker) in state.workers {
      for task in worker.processing {
        add(task, to: worker)
        if worker.longRunning.contains(task) { count(-1, task, on: worker) }
      }
    }
    for (_, worker) in state.workers { checkIdle(worker) }
  }

  // MARK: - Loads

  private func count(_ difference: Int, _ task: TaskState, on worker: WorkerInfo) {
    load(of: worker).counts.add(difference, to: task.prefix.name)
    changes?.counts.append((worker, task.prefix.name, difference))
    total.counts.add(difference, to: task.prefix.name)
  }

  /// Dask's `add_to_processing`.
  private func add(_ task: TaskState, to worker: WorkerInfo) {
    count(1, task, on: worker)
    let load = load(of: worker)
    for input in task.dependencies where !input.whoHas.contains(worker) {
      total.networkBytes &+= load.need(input)
    }
  }

  /// Dask's `remove_from_processing`.
  private func remove(_ task: TaskState, from worker: WorkerInfo, _ wasLongRunning: Bool) {
    if !wasLongRunning { count(-1, task, on: worker) }
    let load = load(of: worker)
    for input in task.dependencies { fetchLess(load.needLess(input)) }
    if worker.processing.isEmpty, state.workers[worker.address] !== worker {
      loads[ObjectIdentifier(worker)] = nil
    }
  }

  private func receive(_ task: TaskState, _ worker: WorkerInfo) {
    fetchLess(load(of: worker).receive(task))
    changes?.workers.append(worker)
  }

  private func fetchLess(_ change: Int64) {
    total.networkBytes &-= min(-change, total.networkBytes)
  }

  /// A steal.
  private func move(
    _ task: TaskState, from victim: WorkerInfo, to thief: WorkerInfo, _ wasLongRunning: Bool
  ) {
    remove(task, from: victim, wasLongRunning)
    add(task, to: thief)
    checkIdle(thief)
    checkIdle(victim)
  }

  /// Dask's `check_idle_saturated`.
  private func checkIdle(_ worker: WorkerInfo) {
    guard state.totalThreads > 0 else { return }
    let isIdle =
      worker.status == .running
      && (worker.processing.count < worker.nthreads
        || occupancy(of: worker) < Double(worker.nthreads)
          * (totalOccupancy / Double(state.totalThreads)) / 2)
    set(worker, isIdle: isIdle)
  }
}
