@testable import Scheduling
@testable import TaskLogPlugin

/// What must hold of a state between two stimuli: Dask's `validate_state` and `validate_key`.
struct Invariants {
  private(set) var violations: [String] = []
  private var subject = ""

  private mutating func check(_ holds: Bool, _ rule: @autoclosure () -> String) {
    if !holds { violations.append("\(subject): \(rule())") }
  }

  static func violations(of state: SchedulerState) -> [String] {
    var check = Invariants()
    for (key, task) in state.tasks {
      check.subject = "scheduler: '\(key)' \(task.state)"
      check.check(task.key == key, "is listed under another key")
      check.links(of: task, state)
      check.state(of: task, state)
    }
    check.workers(of: state)
    check.clients(of: state)
    check.groups(of: state)
    check.subject = "scheduler"
    check.check(state.mismatchCount == 0, "\(state.mismatchCount) mismatchCount")
    check.check(
      state.unrunnable.count == state.tasks.count { $0.value.state == .noWorker },
      "unrunnable holds others than the no-worker tasks")
    check.check(
      state.queued.count == state.tasks.count { $0.value.state == .queued },
      "queued holds others than the queued tasks")
    check.check(
      state.totalThreads == state.workers.reduce(0) { $0 + $1.value.nthreads }, "totalThreads")
    return check.violations
  }

  /// What must hold of a core in addition to its state.
  static func violations(of core: SchedulerCore) -> [String] {
    var check = Invariants()
    check.violations = violations(of: core.state)
    check.subject = "scheduler"
    let hasRoom = core.state.workers.contains {
      $0.value.status == .running && core.slots($0.value) > 0
    }
    check.check(core.state.queued.isEmpty || !hasRoom, "tasks are queued and a worker has room")
    for (_, steal) in core.inFlight {
      check.check(
        steal.task.processingOn?.address == steal.victim,
        "'\(steal.task.key)' is not with \(steal.victim), which it is to be stolen from")
    }
    check.check(
      core.unrunnableSince.count == core.state.unrunnable.count,
      "unrunnableSince has others than these")
    return check.violations
  }

  // MARK: - Scheduler

  private mutating func links(of task: TaskState, _ state: SchedulerState) {
    for dependency in task.dependencies {
      check(state.tasks[dependency.key] === dependency, "needs a stranger, \(dependency.key)")
      check(dependency.dependents.contains(task), "'\(dependency.key)' does not know it")
    }
    for dependent in task.dependents {
      check(state.tasks[dependent.key] === dependent, "is needed by a stranger, \(dependent.key)")
      check(dependent.dependencies.contains(task), "'\(dependent.key)' does not need it")
    }
    for other in task.waitingOn {
      check(task.dependencies.contains(other), "waits on '\(other.key)', not a dependency")
      check(other.whoHas.isEmpty, "waits on '\(other.key)', which is in memory")
      check(other.state != .released, "waits on '\(other.key)', which is released")
      check(other.state != .erred, "waits on '\(other.key)', which has erred")
    }
    for waiter in task.waiters {
      check(task.dependents.contains(waiter), "waiter '\(waiter.key)' is not a dependent")
      check(Self.isInProgress(waiter), "waiter '\(waiter.key)' is \(waiter.state)")
    }
    for worker in task.whoHas {
      check(worker.hasWhat.contains(task), "\(worker.address) does not list it")
      check(state.workers[worker.address] === worker, "is held by a worker that is gone")
    }
    for client in task.whoWants {
      check(client.wantsWhat.contains(task), "client \(client.id) does not list it")
      check(state.clients[client.id] === client, "is wanted by a client that is gone")
    }
    if Self.isInProgress(task) {
      for dependency in task.dependencies {
        check(
          task.waitingOn.contains(dependency) != !dependency.whoHas.isEmpty,
          "'\(dependency.key)' is neither waited for nor there, or both")
        check(dependency.waiters.contains(task), "'\(dependency.key)' has not got it as a waiter")
      }
    }
  }

  private mutating func state(of task: TaskState, _ state: SchedulerState) {
    check((task.processingOn != nil) == (task.state == .processing), "processingOn")
    check(!task.whoHas.isEmpty == (task.state == .memory), "whoHas")
    check(state.unrunnable.contains(task) == (task.state == .noWorker), "unrunnable")
    check(state.queued.contains(task) == (task.state == .queued), "queued")
    check(!task.waitingOn.isEmpty == (task.state == .waiting), "waitingOn")
    switch task.state {
    case .released:
      check(task.waiters.isEmpty, "has waiters")
      check(task.whoWants.isEmpty, "is wanted and nothing is done for it")
      check(!task.dependencies.contains { $0.waiters.contains(task) }, "is a waiter")
    case .processing:
      if let worker = task.processingOn {
        check(worker.processing.contains(task), "\(worker.address) does not list it")
        check(state.workers[worker.address] === worker, "is with a worker that is gone")
      }
      check(task.taskRunID > 0, "has no run id")
    case .memory:
      check(!task.waiters.isEmpty || !task.whoWants.isEmpty, "is in memory without a need")
      check(task.nbytes != nil, "its size is not known")
      check(task.typeName != nil || task.taskRunID == 0, "its type is not known")
      for dependent in task.dependents {
        check(
          task.waiters.contains(dependent) == Self.isInProgress(dependent),
          "dependent '\(dependent.key)' is \(dependent.state)")
      }
    case .erred:
      check(task.exceptionBlame != nil, "has no blamed task")
      check(task.waiters.isEmpty, "has waiters")
      for dependent in task.dependents {
        check(!Self.isInProgress(dependent), "dependent '\(dependent.key)' is \(dependent.state)")
      }
    case .waiting, .noWorker, .queued: break
    default: check(false, "a state that the engine has not got")
    }
  }

  private static func isInProgress(_ task: TaskState) -> Bool {
    switch task.state {
    case .waiting, .queued, .processing, .noWorker: true
    default: false
    }
  }

  private mutating func workers(of state: SchedulerState) {
    for (address, worker) in state.workers {
      subject = "scheduler: worker \(address)"
      check(worker.address == address, "is listed under another address")
      check(
        worker.nbytes == worker.hasWhat.reduce(0) { $0 + ($1.nbytes ?? 0) }, "nbytes is not the sum"
      )
      for task in worker.hasWhat {
        check(state.tasks[task.key] === task, "holds a stranger, \(task.key)")
        check(task.whoHas.contains(worker), "'\(task.key)' is not held by it")
      }
      for task in worker.processing {
        check(state.tasks[task.key] === task, "is to run a stranger, \(task.key)")
        check(task.processingOn === worker, "'\(task.key)' is not with it")
      }
      for task in worker.longRunning {
        check(worker.processing.contains(task), "'\(task.key)' is long-running elsewhere")
      }
      for resource in worker.facts.resources {
        let used = worker.processing.reduce(0.0) { sum, task in
          task.resourceRestrictions.reduce(sum) {
            $1.name == resource.name ? $0 + $1.amount : $0
          }
        }
        check(worker.usedResources[resource.name] == used, "\(resource.name) is not the sum")
      }
    }
  }

  private mutating func clients(of state: SchedulerState) {
    for (id, client) in state.clients {
      subject = "scheduler: client \(id)"
      check(client.id == id, "is listed under another id")
      for task in client.wantsWhat {
        check(state.tasks[task.key] === task, "wants a stranger, \(task.key)")
        check(task.whoWants.contains(client), "'\(task.key)' is not wanted by it")
      }
    }
  }

  private mutating func groups(of state: SchedulerState) {
    var expected: [String: [State: Int]] = [:]
    var ofPrefix: [String: [State: Int]] = [:]
    for (_, task) in state.tasks {
      expected[task.group.name, default: [:]][task.state, default: 0] += 1
      ofPrefix[task.prefix.name, default: [:]][task.state, default: 0] += 1
      subject = "scheduler: '\(task.key)'"
      check(state.groups[task.group.name] === task.group, "is in a group that is gone")
      check(state.prefixes[task.prefix.name] === task.prefix, "has a prefix that is gone")
    }
    func living(_ states: [State: Int]) -> [State: Int] {
      states.filter { $0.key != .forgotten && $0.value != 0 }
    }
    for (name, group) in state.groups {
      subject = "scheduler: group \(name)"
      check(living(group.states) == expected[name] ?? [:], "counts \(group.states)")
      check(group.count > 0, "is empty and still there")
    }
    for (name, prefix) in state.prefixes {
      subject = "scheduler: prefix \(name)"
      check(living(prefix.states) == ofPrefix[name] ?? [:], "counts \(prefix.states)")
    }
  }

  // MARK: - Worker

  static func violations(of core: WorkerCore) -> [String] {
    var check = Invariants()
    let state = core.state
    for (key, task) in state.tasks {
      check.subject = "worker \(core.address): '\(key)' \(task.state)"
      check.check(task.key == key, "is listed under another key")
      check.links(of: task, state)
      check.state(of: task, core)
    }
    check.subject = "worker \(core.address)"
    check.check(state.mismatchCount == 0, "\(state.mismatchCount) mismatchCount")
    for (keys, run) in [(core.executing, State.executing), (core.longRunning, .longRunning)] {
      for key in keys {
        check.check(
          state.tasks[key].map { $0.state == run || $0.previous == run } ?? false,
          "'\(key)' is \(run) and \(state.tasks[key]?.state.name ?? "unknown")")
      }
    }
    for resource in state.facts?.resources ?? [] {
      let used = core.executing.union(core.longRunning).reduce(0.0) { sum, key in
        (state.tasks[key]?.resourceRestrictions ?? []).reduce(sum) {
          $1.name == resource.name ? $0 + $1.amount : $0
        }
      }
      check.check(
        core.availableResources[resource.name] == resource.amount - used,
        "\(resource.name) is not what running tasks leave of it")
    }
    for (worker, keys) in core.inFlight {
      check.check(worker != core.address, "fetches from itself")
      check.check(Set(keys).count == keys.count, "a key is fetched twice from \(worker)")
      for key in keys {
        check.check(
          state.tasks[key]?.comingFrom == worker, "'\(key)' is not coming from \(worker)")
      }
    }
    let isReady = state.tasks.contains { $0.value.state == .ready }
    check.check(!isReady || core.executing.count == core.nthreads, "a thread is idle")
    check.check(core.executing.count <= core.nthreads, "more tasks run than there are threads")
    return check.violations
  }

  private mutating func links(of task: WorkerTaskState, _ state: WorkerState) {
    for dependency in task.dependencies {
      check(state.tasks[dependency.key] === dependency, "needs a stranger, \(dependency.key)")
      check(dependency.dependents.contains(task), "'\(dependency.key)' does not know it")
    }
    for dependent in task.dependents {
      check(state.tasks[dependent.key] === dependent, "is needed by a stranger, \(dependent.key)")
      check(dependent.dependencies.contains(task), "'\(dependent.key)' does not need it")
    }
    for waiter in task.waiters {
      check(task.dependents.contains(waiter), "waiter '\(waiter.key)' is not a dependent")
    }
    check(!task.whoHas.contains(state.facts?.address ?? ""), "would be fetched from here")
  }

  private mutating func state(of task: WorkerTaskState, _ core: WorkerCore) {
    let runs = core.executing.contains(task.key)
    let goesOn = core.longRunning.contains(task.key)
    let comes = core.inFlight.contains { $0.value.contains(task.key) }
    switch task.state {
    case .executing: check(runs && !comes, "does not run")
    case .longRunning: check(goesOn && !runs && !comes, "does not go on")
    case .flight: check(comes && !runs, "is not coming")
    case .cancelled, .resumed:
      if task.previous == .executing {
        check(runs && !comes, "does not run")
      } else if task.previous == .longRunning {
        check(goesOn && !comes, "does not go on")
      } else {
        check(task.previous == .flight, "was \(task.previous?.name ?? "nothing")")
        check(comes && !runs, "is not coming")
      }
    default: check(!runs && !goesOn && !comes, "runs or is coming")
    }
    check((task.comingFrom != nil) == comes, "comingFrom")
    let hasPrevious = task.state == .cancelled || task.state == .resumed
    check((task.previous != nil) == hasPrevious, "previous")
    switch task.state {
    case .waiting:
      check(!task.waitingForData.isEmpty, "waits for nothing")
      for dependency in task.dependencies {
        check(
          task.waitingForData.contains(dependency) == (dependency.state != .memory),
          "'\(dependency.key)' is \(dependency.state)")
        check(dependency.state != .released, "waits for '\(dependency.key)', which is released")
        check(dependency.state != .cancelled, "waits for '\(dependency.key)', which is cancelled")
      }
    case .ready, .constrained:
      check(task.dependencies.allSatisfy { $0.state == .memory }, "is not ready")
      check(task.resourceRestrictions.isEmpty == (task.state == .ready), "resources")
    case .fetch: check(!task.whoHas.isEmpty, "has no holder")
    case .missing: check(task.whoHas.isEmpty, "has a holder")
    case .memory: check(task.nbytes != nil, "its size is not known")
    case .error: check(task.exceptionText != nil, "its error is not known")
    case .released: check(!task.dependents.isEmpty, "is not forgotten")
    case .executing, .longRunning, .flight, .cancelled, .resumed: break
    default: check(false, "a state that the engine has not got")
    }
    if task.state != .waiting { check(task.waitingForData.isEmpty, "waits for data") }
  }
}
