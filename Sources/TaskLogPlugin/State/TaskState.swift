/// A task as the scheduler knows it: Dask's `scheduler.TaskState`.
///
/// Changed only by `SchedulerState.apply(_:)`, one event at a time and in one isolation. That is
/// why the variables of the states are not checked for exclusive access at run time, which would
/// take a tenth of the cost of a transition.
public final class TaskState {
  public let key: Key
  public let prefix: TaskPrefix
  public let group: TaskGroup

  /// `.forgotten` in `scheduler.tasks` only during that task's last transition.
  @exclusivity(unchecked) public internal(set) var state: State = .released {
    didSet { group.moved(from: oldValue, to: state) }
  }
  /// Lower runs first.
  @exclusivity(unchecked) public internal(set) var priority: Priority?
  /// Annotations of this task by name, in order.
  @exclusivity(unchecked) public internal(set) var annotations: [Value.Entry] = []
  /// Addresses of the workers that may run it; empty if all may.
  @exclusivity(unchecked) public internal(set) var workerRestrictions: [String] = []
  /// Whether other workers may run it if none of these is available.
  @exclusivity(unchecked) public internal(set) var looseRestrictions = false
  /// The resources that a worker must have to run it.
  @exclusivity(unchecked) public internal(set) var resourceRestrictions: [Resource] = []
  @exclusivity(unchecked) package internal(set) var hints: PlacementHints?
  /// Whether it was scattered and cannot be recomputed if lost: Dask's task without a `run_spec`.
  @exclusivity(unchecked) public internal(set) var isPureData = false

  /// The tasks that this one needs. Constant while the task is known, except for lost ones.
  @exclusivity(unchecked) public internal(set) var dependencies = OrderedSet<TaskState>()
  /// The tasks that need this one.
  @exclusivity(unchecked) public internal(set) var dependents = OrderedSet<TaskState>()
  /// The dependencies whose results are not in memory. Empty unless `waiting`.
  @exclusivity(unchecked) public internal(set) var waitingOn = OrderedSet<TaskState>()
  /// The dependents that still have to run.
  @exclusivity(unchecked) public internal(set) var waiters = OrderedSet<TaskState>()
  /// Whether a dependency was forgotten: this task can never run again.
  @exclusivity(unchecked) public internal(set) var hasLostDependencies = false

  /// The clients that hold a future of it.
  @exclusivity(unchecked) public internal(set) var whoWants = OrderedSet<ClientInfo>()
  /// The workers that hold its result. Not empty exactly if `memory`.
  @exclusivity(unchecked) public internal(set) var whoHas = OrderedSet<WorkerInfo>()
  /// The worker that is to run it. Set exactly if `processing`.
  @exclusivity(unchecked) public internal(set) var processingOn: WorkerInfo?
  /// Changes each time the task is sent to a worker, and is never reused by a scheduler; Dask's
  /// `run_id`. 0 before the first time.
  @exclusivity(unchecked) public internal(set) var taskRunID: Int64 = 0

  /// Size of the result in bytes; `nil` while unknown.
  @exclusivity(unchecked) public internal(set) var nbytes: Int64?
  @exclusivity(unchecked) public internal(set) var typeName: String?
  /// The text of the exception. Set on the task that failed, not on its dependents; stays when the
  /// task is retried.
  @exclusivity(unchecked) public internal(set) var exceptionText: String?
  @exclusivity(unchecked) public internal(set) var tracebackText: String?
  /// The task whose failure made this one err; itself if it failed on its own.
  @exclusivity(unchecked) public internal(set) var exceptionBlame: TaskState?
  /// Addresses of the workers on which it failed.
  @exclusivity(unchecked) public internal(set) var erredOn: [String] = []
  /// The number of failures left before the task errs.
  @exclusivity(unchecked) public internal(set) var retries = 0
  /// The number of times that a worker died while it had this task.
  @exclusivity(unchecked) public internal(set) var suspicious = 0
  /// What the task runs, stored here by the live engine only; `nil` in a replay. Dask's `run_spec`.
  @exclusivity(unchecked) package var runSpec: (any AnyObject & Sendable)?

  /// The task whose failure prevents this one from running, if a dependency has erred.
  public var blameOfDependencies: TaskState? {
    for dependency in dependencies where dependency.state == .erred {
      return dependency.exceptionBlame ?? dependency
    }
    return nil
  }

  init(key: Key, prefix: TaskPrefix, group: TaskGroup) {
    self.key = key
    self.prefix = prefix
    self.group = group
    group.moved(from: nil, to: .released)
  }

  /// Releases all other tasks, so that no reference cycle remains.
  func unlink() {
    dependencies.removeAll()
    dependents.removeAll()
    waitingOn.removeAll()
    waiters.removeAll()
    whoWants.removeAll()
    whoHas.removeAll()
    processingOn = nil
    exceptionBlame = nil
  }
}

/// The status of a worker: Dask's `Status`.
public enum WorkerStatus: String, Sendable {
  case running
  /// It gets no new tasks, and its results are being moved to others.
  case closingGracefully = "closing_gracefully"
  // Only for Dask's workers.
  /// It is low on memory, and gets no new tasks.
  case paused
  case starting = "init"
  case closing
}

/// A worker as the scheduler knows it: Dask's `scheduler.WorkerState`.
public final class WorkerInfo {
  package let facts: WorkerSnapshot
  public var address: String { facts.address }
  public var name: Value { facts.name }
  /// The worker's source id: Dask's `server_id`.
  public var serverID: String { facts.serverID }
  public var host: String { facts.host }
  public var pid: Int64 { facts.pid }
  public var nthreads: Int { facts.nthreads }
  /// Bytes; 0 if unlimited.
  public var memoryLimit: Int64 { facts.memoryLimit }
  /// The resources that its tasks can use.
  public var resources: [Resource] { facts.resources }

  /// The tasks that it runs or is to run.
  @exclusivity(unchecked) public internal(set) var processing = OrderedSet<TaskState>()
  /// The tasks whose results it holds.
  @exclusivity(unchecked) public internal(set) var hasWhat = OrderedSet<TaskState>()
  /// Bytes of these results.
  @exclusivity(unchecked) public internal(set) var nbytes: Int64 = 0
  @exclusivity(unchecked) public internal(set) var status = WorkerStatus.running
  /// The tasks that have seceded from their thread and continue: Dask's `long_running`. All of them
  /// are also `processing`.
  @exclusivity(unchecked) public internal(set) var longRunning = OrderedSet<TaskState>()
  /// The amounts of its resources used by tasks that it runs or is to run, by name.
  @exclusivity(unchecked) public internal(set) var usedResources = OrderedMap<String, Double>()

  init(facts: WorkerSnapshot) {
    self.facts = facts
    for resource in facts.resources { usedResources[resource.name] = 0 }
  }

  /// Sets the status that Dask records when a worker joins or a recorder is attached.
  func take(status value: Value?) {
    if let status = value?["status"]?.string.flatMap(WorkerStatus.init) { self.status = status }
  }

  /// Whether it has enough of each resource for a task, if it ran no other.
  package func supplies(_ restrictions: [Resource]) -> Bool {
    restrictions.allSatisfy { required in
      facts.resources.contains { $0.name == required.name && $0.amount >= required.amount }
    }
  }

  func take(_ task: TaskState) {
    processing.insert(task)
    for resource in task.resourceRestrictions {
      usedResources[resource.name, default: 0] += resource.amount
    }
  }

  func giveUp(_ task: TaskState) {
    processing.remove(task)
    if !longRunning.isEmpty { longRunning.remove(task) }
    for resource in task.resourceRestrictions {
      usedResources[resource.name, default: 0] -= resource.amount
    }
  }
}

/// A client as the scheduler knows it: Dask's `ClientState`.
public final class ClientInfo {
  public let id: String
  /// The tasks that it holds futures of.
  @exclusivity(unchecked) public internal(set) var wantsWhat = OrderedSet<TaskState>()

  init(id: String) {
    self.id = id
  }
}
