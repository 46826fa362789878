/// A task as a worker knows it: Dask's `worker_state_machine.TaskState`.
///
/// Only `WorkerState.apply(_:)` changes it.
public final class WorkerTaskState {
  public let key: Key
  /// Never `.forgotten` in `worker.tasks` but during that task's last transition.
  @exclusivity(unchecked) public internal(set) var state: State = .released
  /// The state before `cancelled` or `resumed`.
  @exclusivity(unchecked) public internal(set) var previous: State?
  /// Lower runs first.
  @exclusivity(unchecked) public internal(set) var priority: Priority?
  /// Which run of the task the scheduler has asked for last; 0 when it never was to run here.
  @exclusivity(unchecked) public internal(set) var taskRunID: Int64 = 0
  /// Annotations of this task by name, in their order.
  @exclusivity(unchecked) public internal(set) var annotations: [Value.Entry] = []
  /// What it takes up of the worker's resources while it runs.
  @exclusivity(unchecked) public internal(set) var resourceRestrictions: [Resource] = []

  /// The tasks whose results this one needs.
  @exclusivity(unchecked) public internal(set) var dependencies = OrderedSet<WorkerTaskState>()
  /// The tasks on this worker that need this one.
  @exclusivity(unchecked) public internal(set) var dependents = OrderedSet<WorkerTaskState>()
  /// The dependencies that are not in memory here.
  @exclusivity(unchecked) public internal(set) var waitingForData = OrderedSet<WorkerTaskState>()
  /// The dependents that wait for this one.
  @exclusivity(unchecked) public internal(set) var waiters = OrderedSet<WorkerTaskState>()
  /// Addresses of the workers that hold the result, as far as this worker has been told.
  @exclusivity(unchecked) public internal(set) var whoHas: [String] = []
  /// The worker that the result is being fetched from. Set while `flight`.
  @exclusivity(unchecked) public internal(set) var comingFrom: String?

  /// Size of the result in bytes; nothing while unknown.
  @exclusivity(unchecked) public internal(set) var nbytes: Int64?
  @exclusivity(unchecked) public internal(set) var typeName: String?
  /// What was done for it here, in all of its runs: computing, and transfers of what it needs.
  @exclusivity(unchecked) public internal(set) var startStops: [StartStop] = []
  /// What the exception says of itself. Set while `error`.
  @exclusivity(unchecked) public internal(set) var exceptionText: String?
  @exclusivity(unchecked) public internal(set) var tracebackText: String?
  /// What it does, for the live engine alone, which keeps it here; nothing in a replay. Dask's
  /// `run_spec`.
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

/// Everything that a worker knows of its tasks: Dask's `worker_state_machine.WorkerState`.
///
/// State changes only in `apply(_:)`, live and in a replay.
public final class WorkerState {
  /// Every task that is known here, in the order of arrival.
  @exclusivity(unchecked) public internal(set) var tasks = OrderedMap<Key, WorkerTaskState>()
  /// What the worker told of itself when it joined; nothing before its first event.
  @exclusivity(unchecked) public internal(set) var facts: WorkerSnapshot?
  /// How many transitions there have been.
  @exclusivity(unchecked) public internal(set) var transitionCounter: Int64 = 0
  /// How many events did not fit the state they came upon. 0 for a whole log of our own engine.
  @exclusivity(unchecked) public internal(set) var mismatchCount = 0
  /// What this state does not know, because its log does not tell; nothing in a live one.
  public let unknown: [UnavailableState]

  @exclusivity(unchecked) private var leaving: [WorkerTaskState] = []
  /// The task that was found last: events of one come one after the other.
  @exclusivity(unchecked) private var lastTask: WorkerTaskState?

  public init(facts: WorkerSnapshot? = nil, unknown: [UnavailableState] = []) {
    self.facts = facts
    self.unknown = unknown
  }

  deinit {
    for (_, task) in tasks { task.unlink() }
  }

  /// Changes the state by one event of the worker.
  ///
  /// Afterwards plugins are called, and then `settle()`.
  public func apply(_ event: Event) {
    switch event.hook {
    case .setup, .attach:
      if case .worker(let facts) = event.snapshot.decoded { self.facts = facts }
      if event.hook == .attach { applyAttach(event) }
    case .stimulus: applyStimulus(event)
    case .transition: applyTransition(event)
    default: break
    }
  }

  /// Lets go of what only had to stay until the plugins were told: forgotten tasks.
  public func settle() {
    guard !leaving.isEmpty else { return }
    lastTask = nil
    for task in leaving {
      tasks.removeValue(forKey: task.key)
      task.unlink()
    }
    leaving.removeAll(keepingCapacity: true)
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

  /// `compute-task`: the scheduler asks for a task to be run here. `refresh-who-has`: it says where
  /// the results are that this worker has been missing. `acquire-replicas`: it wants results to be
  /// kept here as well. `update-data`: data comes from outside. `remove-worker`: another worker is
  /// gone.
  private func applyStimulus(_ event: Event) {
    if case .other(let told) = event.snapshot.decoded { book(told["spans"]?.elements ?? []) }
    if case .compute(let facts) = event.args.storage { return computeTask(event, facts) }
    if let told = event.args.encoded.flatMap({ ComputeStimulus(quickly: $0) }) {
      return computeTask(event, told)
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

  /// What Dask has booked on tasks outside of its state machine: transfers, on one of the tasks that
  /// each was made for, whether that is done or not, and disk reads.
  private func book(_ spans: [Value]) {
    for booked in spans {
      guard let key = booked["key"].flatMap(Key.init), let span = StartStop(booked) else {
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
    take(sizes: ComputeStimulus.sizes(args))
    updateWhoHas(ComputeStimulus.whoHas(args))
  }

  /// Dask tells the size of what is to be fetched.
  private func take(sizes: [(key: Key, nbytes: Int64?)]) {
    for (key, nbytes) in sizes {
      guard let task = tasks[key], task.state != .memory else { continue }
      task.nbytes = nbytes
    }
  }

  private func computeTask(_ event: Event, _ told: ComputeStimulus) {
    computeTask(event, told.facts)
    take(sizes: told.sizes)
  }

  private func computeTask(_ event: Event, _ told: ComputeRequest) {
    guard let key = event.key else {
      mismatchCount += 1
      return
    }
    let task = task(key)
    task.taskRunID = event.taskRunID ?? task.taskRunID
    // A task that is already under way or done only takes the new run id.
    switch task.state {
    case .waiting, .ready, .constrained, .executing, .longRunning, .memory: return
    default: break
    }
    task.priority = told.priority
    // What runs goes on with what it has taken up.
    if task.previous != .executing, task.previous != .longRunning {
      task.resourceRestrictions = told.resourceRestrictions
    }
    if let annotations = told.annotations { task.annotations = annotations }
    task.exceptionText = nil
    task.tracebackText = nil
    for (key, _) in told.whoHas {
      let dependency = self.task(key)
      task.dependencies.insert(dependency)
      dependency.dependents.insert(task)
      if dependency.priority == nil { dependency.priority = task.priority }
    }
    updateWhoHas(told.whoHas)
  }

  private func applyTransition(_ event: Event) {
    guard let key = event.key, let start = event.start, var finish = event.finish else {
      mismatchCount += 1
      return
    }
    transitionCounter += 1
    let task = task(key)
    if task.state != start { mismatchCount += 1 }
    if case .task(let facts) = event.snapshot.decoded {
      take(facts, task)
      // Dask calls its hook with the state that was recommended.
      finish = facts.state ?? finish
    }
    guard start != finish else { return }

    switch (start, finish) {
    case (.executing, .cancelled), (.longRunning, .cancelled), (.flight, .cancelled):
      task.previous = start
    case (_, .cancelled), (_, .resumed): break
    default: task.previous = nil
    }
    if start == .flight, finish == .fetch || finish == .missing {
      // The one that was asked does not have it.
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
      // What has failed here is to be fetched from them.
      if start == .resumed { task.whoHas = holders }
    case .forgotten: forget(task)
    default: break
    }
    // Dask says so of a task that gives itself up, and releases it.
    task.state = finish == .rescheduled ? .released : finish
  }

  private func take(_ facts: TaskSnapshot, _ task: WorkerTaskState) {
    if let nbytes = facts.nbytes { task.nbytes = nbytes }
    if let name = facts.typeName { task.typeName = name }
    if let text = facts.exceptionText { task.exceptionText = text }
    if let text = facts.tracebackText { task.tracebackText = text }
    if let worker = facts.comingFrom { task.comingFrom = worker }
    if let previous = facts.previous { task.previous = previous }
    // A transfer is booked on the task that it was made for, as Dask does.
    let booked = facts.cause.flatMap { tasks[$0] } ?? task
    if facts.startStops.starts(with: booked.startStops) {
      // Dask tells all that there are.
      booked.startStops = facts.startStops
    } else {
      booked.startStops += facts.startStops
    }
  }

  func wait(_ task: WorkerTaskState) {
    task.waitingForData.removeAll()
    for dependency in task.dependencies where dependency.state != .memory {
      task.waitingForData.insert(dependency)
      dependency.waiters.insert(task)
    }
  }

  /// Puts everything back that a run of the task has left: Dask's `_purge_state`.
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
    leaving.append(task)
  }
}
