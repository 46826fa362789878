/// A task as the scheduler knows it: Dask's `scheduler.TaskState`.
///
/// Only `SchedulerState.apply(_:)` changes it, one event after the other and in one isolation. That
/// is why no access to what varies in the states is checked for exclusivity at run time; it would
/// take a tenth of what a transition costs.
public final class TaskState {
  public let key: Key
  public let prefix: TaskPrefix
  public let group: TaskGroup

  /// Never `.forgotten` in `scheduler.tasks` but during that task's last transition.
  @exclusivity(unchecked) public internal(set) var state: State = .released {
    didSet { group.moved(from: oldValue, to: state) }
  }
  /// Lower runs first.
  @exclusivity(unchecked) public internal(set) var priority: Priority?
  /// Annotations of this task by name, in their order.
  @exclusivity(unchecked) public internal(set) var annotations: [Value.Entry] = []
  /// Addresses of the workers that may run it; empty when all may.
  @exclusivity(unchecked) public internal(set) var workerRestrictions: [String] = []
  /// Others may run it as well when none of these is there.
  @exclusivity(unchecked) public internal(set) var looseRestrictions = false
  /// What a worker must have for it to run there.
  @exclusivity(unchecked) public internal(set) var resourceRestrictions: [Resource] = []
  /// It was scattered, and cannot be computed again when it is lost: Dask's task without a
  /// `run_spec`.
  @exclusivity(unchecked) public internal(set) var isPureData = false

  /// The tasks that this one needs. Never changes while the task is known, but for lost ones.
  @exclusivity(unchecked) public internal(set) var dependencies = OrderedSet<TaskState>()
  /// The tasks that need this one.
  @exclusivity(unchecked) public internal(set) var dependents = OrderedSet<TaskState>()
  /// The dependencies whose results are not in memory. Empty unless `waiting`.
  @exclusivity(unchecked) public internal(set) var waitingOn = OrderedSet<TaskState>()
  /// The dependents that have still to run.
  @exclusivity(unchecked) public internal(set) var waiters = OrderedSet<TaskState>()
  /// A dependency was forgotten: this task can never run again.
  @exclusivity(unchecked) public internal(set) var hasLostDependencies = false

  /// The clients that hold a future of it.
  @exclusivity(unchecked) public internal(set) var whoWants = OrderedSet<ClientInfo>()
  /// The workers that hold its result. Not empty exactly when `memory`.
  @exclusivity(unchecked) public internal(set) var whoHas = OrderedSet<WorkerInfo>()
  /// The worker that is to run it. Set exactly when `processing`.
  @exclusivity(unchecked) public internal(set) var processingOn: WorkerInfo?
  /// Told anew each time that the task is sent to a worker, and never twice by one scheduler;
  /// Dask's `run_id`. 0 before the first.
  @exclusivity(unchecked) public internal(set) var taskRunID: Int64 = 0

  /// Size of the result in bytes; nothing while unknown.
  @exclusivity(unchecked) public internal(set) var nbytes: Int64?
  @exclusivity(unchecked) public internal(set) var typeName: String?
  /// What the exception says of itself. Set on the task that failed, not on its dependents; stays
  /// when the task is tried again.
  @exclusivity(unchecked) public internal(set) var exceptionText: String?
  @exclusivity(unchecked) public internal(set) var tracebackText: String?
  /// The task whose failure made this one err, itself when it failed on its own.
  @exclusivity(unchecked) public internal(set) var exceptionBlame: TaskState?
  /// The workers on which it failed, by address.
  @exclusivity(unchecked) public internal(set) var erredOn: [String] = []
  /// How often the task may still fail before it errs.
  @exclusivity(unchecked) public internal(set) var retries = 0
  /// How often a worker died while it had this task.
  @exclusivity(unchecked) public internal(set) var suspicious = 0
  /// What it does, for the live engine alone, which keeps it here; nothing in a replay. Dask's
  /// `run_spec`.
  @exclusivity(unchecked) package var runSpec: (any AnyObject & Sendable)?

  /// The task whose failure keeps this one from running, when a dependency has erred.
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

  /// Lets go of every other task, so that no cycle of references stays behind.
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

/// What a worker is ready for: Dask's `Status`.
public enum WorkerStatus: String, Sendable {
  case running
  /// It gets no new tasks, and its results are being moved to others.
  case closingGracefully = "closing_gracefully"
  // Of Dask's workers only.
  /// It has little memory left, and gets no new tasks.
  case paused
  case starting = "init"
  case closing
}

/// A worker as the scheduler knows it: Dask's `scheduler.WorkerState`.
public final class WorkerInfo {
  public let facts: WorkerSnapshot
  public var address: String { facts.address }
  public var nthreads: Int { facts.nthreads }

  /// The tasks that it is to run or runs.
  @exclusivity(unchecked) public internal(set) var processing = OrderedSet<TaskState>()
  /// The tasks whose results it holds.
  @exclusivity(unchecked) public internal(set) var hasWhat = OrderedSet<TaskState>()
  /// Bytes of these results.
  @exclusivity(unchecked) public internal(set) var nbytes: Int64 = 0
  @exclusivity(unchecked) public internal(set) var status = WorkerStatus.running
  /// The tasks that have left their thread to others, and go on: Dask's `long_running`. All of them
  /// are `processing` too.
  @exclusivity(unchecked) public internal(set) var longRunning = OrderedSet<TaskState>()
  /// What the tasks that it is to run take up of its resources, by name.
  @exclusivity(unchecked) public internal(set) var usedResources = OrderedMap<String, Double>()

  init(facts: WorkerSnapshot) {
    self.facts = facts
    for resource in facts.resources { usedResources[resource.name] = 0 }
  }

  /// What Dask tells of it as it joins, or when a recorder finds it.
  func take(status value: Value?) {
    if let status = value?["status"]?.string.flatMap(WorkerStatus.init) { self.status = status }
  }

  /// Whether it has enough of each for a task, were it to run no other.
  public func supplies(_ restrictions: [Resource]) -> Bool {
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
