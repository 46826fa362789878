/// A task as a worker knows it: Dask's `worker_state_machine.TaskState`.
///
/// Only `WorkerState.apply(_:)` changes it.
public final class WorkerTaskState {
  public let key: Key
  /// `.forgotten` in `worker.tasks` only during that task's last transition.
  @exclusivity(unchecked) public internal(set) var state: State = .released
  /// The state before `cancelled` or `resumed`.
  @exclusivity(unchecked) public internal(set) var previous: State?
  /// Lower runs first.
  @exclusivity(unchecked) public internal(set) var priority: Priority?
  /// The run of the task that the scheduler requested last; 0 if it was never to run here.
  @exclusivity(unchecked) public internal(set) var taskRunID: Int64 = 0
  /// Annotations of this task by name, in order.
  @exclusivity(unchecked) public internal(set) var annotations: [Value.Entry] = []
  /// The worker's resources that it uses while it runs.
  @exclusivity(unchecked) public internal(set) var resourceRestrictions: [Resource] = []

  /// The tasks whose results this one needs.
  @exclusivity(unchecked) public internal(set) var dependencies = OrderedSet<WorkerTaskState>()
  /// The tasks on this worker that need this one.
  @exclusivity(unchecked) public internal(set) var dependents = OrderedSet<WorkerTaskState>()
  /// The dependencies that are not in memory here.
  @exclusivity(unchecked) public internal(set) var waitingForData = OrderedSet<WorkerTaskState>()
  /// The dependents that wait for this one.
  @exclusivity(unchecked) public internal(set) var waiters = OrderedSet<WorkerTaskState>()
  /// Addresses of the workers that hold the result, as far as this worker knows.
  @exclusivity(unchecked) public internal(set) var whoHas: [String] = []
  /// The worker that the result is being fetched from. Set while `flight`.
  @exclusivity(unchecked) public internal(set) var comingFrom: String?

  /// Size of the result in bytes; `nil` while unknown.
  @exclusivity(unchecked) public internal(set) var nbytes: Int64?
  @exclusivity(unchecked) public internal(set) var typeName: String?
  /// The work on it here, in all of its runs: computing, and transfers of what it needs.
  @exclusivity(unchecked) public internal(set) var startStops: [StartStop] = []
  /// The text of the exception. Set while `error`.
  @exclusivity(unchecked) public internal(set) var exceptionText: String?
  @exclusivity(unchecked) public internal(set) var tracebackText: String?
  /// What the task runs, stored here by the live engine only; `nil` in a replay. Dask's `run_spec`.
  @exclusivity(unchecked) package var runSpec: (any AnyObject & Sendable)?

  init(key: Key) {
    self.key = key
  }

  func unlink() {
    dependencies.removeAll()
    dependents.removeAll()
    waitingForData.removeAll()
    waiters.removeAll()
  }
}

/// The state of a worker's tasks: Dask's `worker_state_machine.WorkerState`.
///
/// State changes only in `apply(_:)`, live and in a replay.
public final class WorkerState {
  /// Every task known here, in the order of arrival.
  @exclusivity(unchecked) public internal(set) var tasks = OrderedMap<Key, WorkerTaskState>()
  /// The worker's snapshot when it joined; `nil` before its first event.
  @exclusivity(unchecked) package internal(set) var facts: WorkerSnapshot?
  /// The number of transitions so far.
  @exclusivity(unchecked) public internal(set) var transitionCounter: Int64 = 0
  /// The number of events that did not match the state. 0 for a complete log of this engine.
  @exclusivity(unchecked) public internal(set) var mismatchCount = 0
  /// Parts of the state that the log does not contain; empty for a live state.
  public let unknown: [UnavailableState]

  @exclusivity(unchecked) private var forgottenTasks: [WorkerTaskState] = []
  /// The last task that was looked up: events of one task often follow each other.
  @exclusivity(unchecked) private var lastTask: WorkerTaskState?

  package init(facts: WorkerSnapshot? = nil, unknown: [UnavailableState] = []) {
    self.facts = facts
    self.unknown = unknown
  }

  deinit {
    for (_, task) in tasks { task.unlink() }
  }

  /// Changes the state by one event of the worker.
  ///
  /// Call the plugins and then `settle()` afterwards.
  package func apply(_ event: Event) {
    switch event.hook {
    case .setup, .attach:
      if case .worker(let snapshot) = event.snapshot.decoded { self.facts = snapshot }
      if event.hook == .attach { applyAttach(event) }
    case .stimulus: applyStimulus(event)
    case .transition: applyTransition(event)
    default: break
    }
  }

  /// Removes forgotten tasks, which had to stay until plugins were called.
  package func settle() {
    guard !forgottenTasks.isEmpty else { return }
    lastTask = nil
    for task in forgottenTasks {
      tasks.removeValue(forKey: task.key)
      task.unlink()
    }
    forgottenTasks.removeAll(keepingCapacity: true)
  }

  func task(_ key: Key) -> WorkerTaskState {
    if let last = lastTask, last.key.isCopy(of: key) { return last }
    if let task = tasks[key] {
      lastTask = task
      return task
    }
    let task = WorkerTaskState(key: key)
    tasks[key] = task
    return task
  }

  /// `compute-task`: the scheduler asks for a task to be run here. `refresh-who-has`: it sends the
  /// holders of results that this worker has been missing. `acquire-replicas`: it wants results to
  /// be copied here. `update-data`: data comes from outside. `remove-worker`: another worker has
  /// left.
  private func applyStimulus(_ event: Event) {
    if case .other(let content) = event.snapshot.decoded {
      addSpans(content["spans"]?.elements ?? [])
    }
    if case .compute(let request) = event.args.storage { return computeTask(event, request) }
    if let stimulus = event.args.encoded.flatMap({ ComputeStimulus(fast: $0) }) {
      return computeTask(event, stimulus)
    }
    let args = event.args.content
    switch args["op"]?.string {
    case "compute-task": computeTask(event, ComputeStimulus(args))
    case "refresh-who-has": updateWhoHas(ComputeStimulus.whoHas(args))
    case "acquire-replicas": acquireReplicas(args)
    case "update-data":
      for key in (args["keys"]?.elements ?? []).lazy.compactMap(Key.init) { _ = task(key) }
    case "remove-worker":
      let address = args["worker"]?.string
      for (_, task) in tasks { task.whoHas.removeAll { $0 == address } }
    default: break
    }
  }

  /// Adds the spans that Dask assigns to tasks outside of its state machine: transfers, each on one
  /// of the tasks that it was made for, whether that is done or not, and disk reads.
  private func addSpans(_ spans: [Value]) {
    for value in spans {
      guard let key = value["key"].flatMap(Key.init), let span = StartStop(value) else {
        continue
      }
      tasks[key]?.startStops.append(span)
    }
  }

  /// Dask's `_update_who_has`; a task is not fetched from this worker itself.
  private func updateWhoHas(_ whoHas: [(Key, [String])]) {
    for (key, addresses) in whoHas {
      guard let task = tasks[key] else { continue }
      task.whoHas = addresses.filter { $0 != facts?.address }
    }
  }

  private func acquireReplicas(_ args: Args.Content) {
    guard case .dict(let holders)? = args["who_has"] else { return }
    for key in holders.lazy.compactMap({ Key($0.key) }) {
      let task = task(key)
      if task.priority == nil { task.priority = Priority([1]) }
    }
    set(sizes: ComputeStimulus.sizes(args))
    updateWhoHas(ComputeStimulus.whoHas(args))
  }

  /// Sets the sizes of results to be fetched, as sent by Dask.
  private func set(sizes: [(key: Key, nbytes: Int64?)]) {
    for (key, nbytes) in sizes {
      guard let task = tasks[key], task.state != .memory else { continue }
      task.nbytes = nbytes
    }
  }

  private func computeTask(_ event: Event, _ stimulus: ComputeStimulus) {
    computeTask(event, stimulus.facts)
    set(sizes: stimulus.sizes)
  }

  private func computeTask(_ event: Event, _ request: ComputeRequest) {
    guard let key = event.key else {
      mismatchCount += 1
      return
    }
    let task = task(key)
    task.taskRunID = event.taskRunID ?? task.taskRunID
    // A task that is already being run or done only gets the new run id.
    switch task.state {
    case .waiting, .ready, .constrained, .executing, .longRunning, .memory: return
    default: break
    }
    task.priority = request.priority
    // A running task keeps its resources.
    if task.previous != .executing, task.previous != .longRunning {
      task.resourceRestrictions = request.resourceRestrictions
    }
    if let annotations = request.annotations { task.annotations = annotations }
    task.exceptionText = nil
    task.tracebackText = nil
    for (key, _) in request.whoHas {
      let dependency = self.task(key)
      task.dependencies.insert(dependency)
      dependency.dependents.insert(task)
      if dependency.priority == nil { dependency.priority = task.priority }
    }
    updateWhoHas(request.whoHas)
  }

  private func applyTransition(_ event: Event) {
    guard let key = event.key, let start = event.start, var finish = event.finish else {
      mismatchCount += 1
      return
    }
    transitionCounter += 1
    let task = task(key)
    if task.state != start { mismatchCount += 1 }
    if case .task(let snapshot) = event.snapshot.decoded {
      applySnapshot(snapshot, task)
      // Dask calls its hook with the recommended state.
      finish = snapshot.state ?? finish
    }
    guard start != finish else { return }

    switch (start, finish) {
    case (.executing, .cancelled), (.longRunning, .cancelled), (.flight, .cancelled):
      task.previous = start
    case (_, .cancelled), (_, .resumed): break
    default: task.previous = nil
    }
    if start == .flight, finish == .fetch || finish == .missing {
      // The worker that was asked does not have it.
      task.whoHas.removeAll { $0 == task.comingFrom }
    }
    switch finish {
    case .flight, .cancelled, .resumed: break
    default: task.comingFrom = nil
    }
    switch finish {
    case .waiting:
      if start == .missing { purge(task) }
      wait(task)
    case .memory:
      for dependent in task.dependents { dependent.waitingForData.remove(task) }
    case .released, .rescheduled:
      let holders = task.whoHas
      purge(task)
      // A result that failed here is to be fetched from its holders.
      if start == .resumed { task.whoHas = holders }
    case .forgotten: forget(task)
    default: break
    }
    // Dask reports this state for a task that reschedules itself, and releases it.
    task.state = finish == .rescheduled ? .released : finish
  }

  private func applySnapshot(_ snapshot: TaskSnapshot, _ task: WorkerTaskState) {
    if let nbytes = snapshot.nbytes { task.nbytes = nbytes }
    if let name = snapshot.typeName { task.typeName = name }
    if let text = snapshot.exceptionText { task.exceptionText = text }
    if let text = snapshot.tracebackText { task.tracebackText = text }
    if let worker = snapshot.comingFrom { task.comingFrom = worker }
    if let previous = snapshot.previous { task.previous = previous }
    // A transfer is assigned to the task that it was made for, as in Dask.
    let owner = snapshot.cause.flatMap { tasks[$0] } ?? task
    if snapshot.startStops.starts(with: owner.startStops) {
      // Dask records the complete list.
      owner.startStops = snapshot.startStops
    } else {
      owner.startStops += snapshot.startStops
    }
  }

  func wait(_ task: WorkerTaskState) {
    task.waitingForData.removeAll()
    for dependency in task.dependencies where dependency.state != .memory {
      task.waitingForData.insert(dependency)
      dependency.waiters.insert(task)
    }
  }

  /// Resets everything that a run of the task has set: Dask's `_purge_state`.
  private func purge(_ task: WorkerTaskState) {
    for dependency in task.dependencies { dependency.waiters.remove(task) }
    task.waitingForData.removeAll()
    task.whoHas = []
    task.nbytes = nil
    task.typeName = nil
    task.previous = nil
    task.comingFrom = nil
    task.tracebackText = nil
  }

  private func forget(_ task: WorkerTaskState) {
    for dependency in task.dependencies {
      dependency.dependents.remove(task)
      dependency.waiters.remove(task)
    }
    for dependent in task.dependents { dependent.waitingForData.remove(task) }
    forgottenTasks.append(task)
  }
}
