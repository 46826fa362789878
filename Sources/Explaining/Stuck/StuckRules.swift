import EventLog
import LogFormat
import TaskLogPlugin

/// Says why a task that waits for no other task does not continue.
struct StuckRules {
  typealias End = (cause: StuckCause, group: String)

  let run: StuckRun

  init(_ run: StuckRun) { self.run = run }

  /// The cause, and what tasks with the same cause have in common; `nil` if the task waits for others that
  /// are unfinished.
  func cause(of task: TaskState) -> End? {
    switch task.state {
    case .waiting: waiting(task)
    case .noWorker: withoutWorker(task)
    case .queued: queued(task)
    case .processing: processing(task)
    default: nil
    }
  }

  /// `for 12 s`, or nothing if it is not known.
  func duration(_ since: Int64?) -> String {
    guard let since, run.moment >= since else { return "" }
    return " for \(Units.duration(nanoseconds: run.moment - since))"
  }

  private func end(
    _ kind: StuckCause.Kind, _ task: TaskState, group: String, _ sentence: String,
    worker: String? = nil, _ further: WorkerView.Task? = nil
  ) -> End {
    let own = run.since[task.key.text]
    var cause = StuckCause(kind, task.key.text, sentence)
    cause.worker = worker
    cause.since = further?.since ?? own?.since
    cause.evidence = [own?.seq, further?.seq].compactMap { $0 }
    if let worker, [.notReceived, .resultNotReceived, .disagreement].contains(kind) {
      cause.doubt = DoubtfulTask(key: task.key.text, worker: worker)
    }
    return (cause, "\(kind.rawValue) \(group)")
  }

  // MARK: - At the scheduler

  private func waiting(_ task: TaskState) -> End? {
    let key = task.key.text
    if task.waitingOn.contains(where: \.isUnfinished) { return nil }
    if let input = task.waitingOn.first(where: { _ in true }) {
      return end(
        .releasedInput, task, group: input.key.text,
        "Task '\(key)' waits for '\(input.key.text)', which is \(input.state.name) and is not being "
          + "computed.")
    }
    return end(
      .notSent, task, group: "",
      "Task '\(key)' is waiting, and waits for no task: nothing that the log says keeps the scheduler "
        + "from sending it.")
  }

  private func withoutWorker(_ task: TaskState) -> End {
    let key = task.key.text
    let workers = Array(run.state.workers.values)
    guard !workers.isEmpty else {
      return end(.noWorker, task, group: "", "Task '\(key)' has no worker: there is none.")
    }
    let allowed = workers.filter { task.isAllowed(on: $0) }
    if allowed.isEmpty {
      let names = task.workerRestrictions.sorted()
      return end(
        .restrictions, task, group: names.joined(separator: " "),
        "Task '\(key)' may run only on \(Words.list(names)), of which none is there.")
    }
    let able = allowed.filter { $0.supplies(task.resourceRestrictions) }
    if able.isEmpty {
      let needs = task.needs
      return end(
        .resources, task, group: needs.joined(separator: " "),
        "Task '\(key)' needs \(Words.list(needs)), which no worker "
          + (task.workerRestrictions.isEmpty ? "has." : "that it may run on has."))
    }
    if able.allSatisfy({ $0.status != .running }) {
      return notRunning(task, able)
    }
    return end(
      .notSent, task, group: "no-worker",
      "Task '\(key)' has no worker although it could run on \(able[0].address): nothing that the log "
        + "says keeps the scheduler from sending it.")
  }

  private func notRunning(_ task: TaskState, _ workers: [WorkerInfo]) -> End {
    let names = workers.map { "\($0.address) (\($0.status.rawValue))" }
    return end(
      workers.contains { $0.status == .paused } ? .pausedWorkers : .noWorker, task,
      group: names.joined(separator: " "),
      "Task '\(task.key.text)' could run only on workers that take no tasks now: \(Words.list(names)).",
      worker: workers.count == 1 ? workers[0].address : nil)
  }

  private func queued(_ task: TaskState) -> End {
    let running = run.state.running
    guard !running.isEmpty else {
      let workers = Array(run.state.workers.values)
      guard !workers.isEmpty else { return withoutWorker(task) }
      return notRunning(task, workers)
    }
    if let idle = running.first(where: { $0.processing.count < $0.nthreads }) {
      return end(
        .notSent, task, group: "queued",
        "Task '\(task.key.text)' is queued although worker \(idle.address) has "
          + "\(Units.count(Int64(idle.processing.count), "task")) for "
          + "\(Units.count(Int64(idle.nthreads), "thread")): nothing that the log says keeps the "
          + "scheduler from sending it.")
    }
    return end(
      .noThread, task, group: "queued",
      "Task '\(task.key.text)' is queued at the scheduler: all threads of "
        + "\(Units.count(Int64(running.count), "worker")) have tasks.")
  }

  // MARK: - At a worker

  private func processing(_ task: TaskState) -> End {
    let key = task.key.text
    guard let worker = task.processingOn?.address else {
      return end(
        .unknown, task, group: "", "On which worker task '\(key)' is, the log does not say.")
    }
    let sent = run.since[key]
    guard let view = run.views[worker] else {
      return end(
        .unknown, task, group: worker,
        "Task '\(key)' is on worker \(worker)\(duration(sent?.since)), which was not recorded: what it "
          + "does with the task is unknown.", worker: worker)
    }
    guard let there = view.tasks[key], there.seq >= sent?.seq ?? 0 || there.isActive else {
      return end(
        .notReceived, task, group: worker,
        "The scheduler sent task '\(key)' to worker \(worker), and the worker has recorded nothing of "
          + "it\(duration(sent?.since)).", worker: worker)
    }
    switch there.state {
    case State.executing.name, State.longRunning.name:
      return running(task, worker, view, there)
    case State.ready.name, State.constrained.name: return ready(task, worker, view, there)
    case State.waiting.name: return missingInput(task, worker, view, there)
    case State.memory.name, State.error.name, State.erred.name:
      return end(
        .resultNotReceived, task, group: worker,
        "Worker \(worker) finished task '\(key)' with \(there.state), and the scheduler has recorded "
          + "nothing of it\(duration(there.since)).", worker: worker, there)
    default:
      return end(
        .disagreement, task, group: worker,
        "The scheduler takes task '\(key)' to be on worker \(worker), where it has been "
          + "\(there.state)\(duration(there.since)).", worker: worker, there)
    }
  }

  private func running(
    _ task: TaskState, _ worker: String, _ view: WorkerView, _ there: WorkerView.Task
  ) -> End {
    let key = task.key.text
    guard let wait = view.waits[key] else {
      return end(
        .running, task, group: "",
        "Task '\(key)' has been running on worker \(worker)\(duration(there.since)); whether it makes "
          + "progress, the log does not say.", worker: worker, there)
    }
    let lock = wait.name.map { "\(wait.kind) '\($0)'" } ?? "a \(wait.kind) without a name"
    var found = end(
      .lock, task, group: lock,
      "Task '\(key)' on worker \(worker) has waited for \(lock)\(duration(wait.since)). "
        + holder(wait), worker: worker, there)
    found.cause.since = wait.since
    found.cause.evidence.append(wait.seq)
    if let lease = wait.name.flatMap({ run.leases[$0]?.first }) {
      found.cause.evidence.append(lease.seq)
    }
    return found
  }

  /// Who keeps a task from going on, as far as the log says.
  private func holder(_ wait: WorkerView.Wait) -> String {
    guard ["lock", "semaphore"].contains(wait.kind) else {
      return "Whether a task is to end this, the log does not say."
    }
    guard let lease = wait.name.flatMap({ run.leases[$0]?.first }) else {
      return "Who holds it, the log does not say."
    }
    let running = run.views.flatMap { address, view in
      view.tasks.compactMap { key, task -> String? in
        guard task.isRunning, task.since <= lease.since, view.waits[key]?.name != wait.name else {
          return nil
        }
        return "'\(key)' on worker \(address)"
      }
    }.sorted()
    let given =
      "The scheduler gave it \(Units.duration(nanoseconds: max(0, run.moment - lease.since))) ago, and "
      + "it was not released; to which task, the log does not say."
    switch running.count {
    case 0: return "\(given) No recorded task that ran then still runs."
    case 1: return "\(given) Only task \(running[0]) ran then and still runs."
    default:
      return "\(given) \(running.count) tasks ran then and still run, such as \(running[0])."
    }
  }

  private func ready(
    _ task: TaskState, _ worker: String, _ view: WorkerView, _ there: WorkerView.Task
  ) -> End {
    let running = view.tasks.filter { $0.value.isRunning }.keys.sorted()
    let status = run.state.workers[worker]?.status
    if status == .paused {
      return end(
        .pausedWorkers, task, group: worker,
        "Task '\(task.key.text)' is ready on worker \(worker), which is paused\(duration(there.since)).",
        worker: worker, there)
    }
    let names = running.prefix(3).map { "'\($0)'" }
    let others =
      names.isEmpty
      ? "; what its threads do, the log does not say"
      : ", which runs \(Words.list(Array(names)))\(running.count > 3 ? " and others" : "")"
    return end(
      .noThread, task, group: worker,
      "Task '\(task.key.text)' waits for a thread of worker \(worker)\(others).", worker: worker,
      there)
  }

  private func missingInput(
    _ task: TaskState, _ worker: String, _ view: WorkerView, _ there: WorkerView.Task
  ) -> End {
    let missing = task.dependencies.filter {
      view.tasks[$0.key.text]?.state != State.memory.name
    }
    let names = missing.prefix(3).map {
      "'\($0.key.text)' (\(view.tasks[$0.key.text]?.state ?? "unknown there"))"
    }
    var found = end(
      .missingInput, task, group: worker,
      "Task '\(task.key.text)' on worker \(worker) has waited\(duration(there.since)) for inputs"
        + (names.isEmpty ? "." : ": \(Words.list(Array(names)))."), worker: worker, there)
    for input in missing {
      let key = input.key.text
      guard
        let holder = input.whoHas.map(\.address).first(where: {
          run.views[$0].map { $0.tasks[key]?.state != State.memory.name } ?? false
        })
      else { continue }
      let state = run.views[holder]?.tasks[key]?.state
      found.cause.sentence +=
        " The scheduler takes '\(key)' to be on worker \(holder), "
        + (state.map { "where it is \($0)." } ?? "which recorded nothing of it.")
      found.cause.doubt = DoubtfulTask(key: key, worker: holder)
      break
    }
    return found
  }
}

extension WorkerView.Task {
  /// Whether the worker has something to do about it.
  var isActive: Bool {
    isRunning || [State.waiting, .ready, .constrained].contains { $0.name == state }
  }

  var isRunning: Bool { [State.executing, .longRunning].contains { $0.name == state } }
}

extension WorkerTaskState {
  /// Whether the worker has something to do about it.
  var isActive: Bool {
    holdsThread || [.waiting, .ready, .constrained, .longRunning].contains(state)
  }

  var isReady: Bool { state == .ready || state == .constrained }

  /// Whether it has a thread: one that is cancelled while it runs keeps it.
  var holdsThread: Bool {
    state == .executing || ((state == .cancelled || state == .resumed) && previous == .executing)
  }
}
