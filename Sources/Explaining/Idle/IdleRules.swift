import LogFormat
import TaskLogPlugin

/// Says what a worker did at a moment, and why threads of it had nothing to do: pure.
///
/// Reasons are found in the order in which a task gets to a thread, from the end: the worker itself, the
/// tasks that it has, those that the scheduler could send it, those of others. The search ends with the
/// tasks that would have filled its threads.
struct IdleRules {
  private(set) var reasons: [IdleReason] = []
  let worker: WorkerMoment
  let run: StuckRun
  /// `Worker tcp://w:1`, at the beginning of a sentence.
  let name: String
  /// The threads that had nothing to do, and for which no task has been found.
  var idle: Int

  init(_ worker: WorkerMoment) {
    self.worker = worker
    run = worker.run
    name = "Worker \(worker.label)"
    idle = worker.info.nthreads
    find()
  }

  private mutating func find() {
    if let later = worker.setUpLater {
      return add(
        .starting,
        "\(name) was being started: it was ready \(duration(run.moment, later.time)) later.",
        since: worker.status?.time, [worker.status?.seq, later.seq])
    }
    addRunning()
    guard idle > 0 else { return }
    if !isAvailable() { return }
    if worker.state == nil, worker.unclear > 0 {
      return add(
        .unknown,
        "\(name) was not recorded, and \(Units.count(Int64(worker.unclear), "task")) that it had "
          + "\(worker.unclear == 1 ? "has" : "have") no result in the log: what it did is unknown.")
    }
    if worker.isInGap {
      return add(
        .unknown,
        "Events of the scheduler are missing from the log at that time: what it did is unknown.")
    }
    addOwnTasks()
    addQueued()
    if idle > 0 { addScheduler() }
    if idle > 0 { addOthers() }
    if reasons.allSatisfy({ $0.kind == .running }) { addNothingReady() }
  }

  mutating func add(
    _ kind: IdleReason.Kind, _ sentence: String, tasks: [String] = [], other: String? = nil,
    since: Int64? = nil, _ evidence: [Int64?] = []
  ) {
    var reason = IdleReason(kind, sentence)
    (reason.key, reason.tasks, reason.other) = (tasks.first, Int64(tasks.count), other)
    (reason.since, reason.evidence) = (since, evidence.compactMap { $0 })
    reasons.append(reason)
  }

  // MARK: - Words

  func duration(_ start: Int64, _ stop: Int64) -> String {
    Units.duration(nanoseconds: max(0, stop - start))
  }

  /// ` for 12 s`, or nothing if it is not known or has just begun.
  func lasting(_ since: Int64?) -> String {
    guard let since, since < run.moment else { return "" }
    return " for \(duration(since, run.moment))"
  }

  /// ` 12 s before`, or nothing if it is not known.
  func ago(_ since: Int64?) -> String {
    guard let since else { return "" }
    return since < run.moment ? " \(duration(since, run.moment)) before" : " at that moment"
  }

  func was(_ count: Int) -> String { count == 1 ? "was" : "were" }

  func was(_ tasks: [String]) -> String { was(tasks.count) }

  func count(_ number: Int) -> String { Units.count(Int64(number), "task") }

  /// `Task 'a'` or `3 tasks, such as 'a',`, at the beginning of a sentence.
  func subject(_ tasks: [String]) -> String {
    tasks.count == 1 ? "Task '\(tasks[0])'" : "\(count(tasks.count)), such as '\(tasks[0])',"
  }

  /// Those whose wait is the longest come first.
  func byAge(_ tasks: [TaskState]) -> [TaskState] {
    tasks.sorted {
      (run.since[$0.key.text]?.since ?? .max, $0.key.text)
        < (run.since[$1.key.text]?.since ?? .max, $1.key.text)
    }
  }

  // MARK: - The worker

  private mutating func addRunning() {
    var tasks: [(key: String, since: Int64?, seq: Int64?)] = []
    if let state = worker.state {
      for (key, task) in state.tasks where task.holdsThread {
        let last = worker.last[key.text]
        tasks.append((key.text, last?.time, last?.seq))
      }
    } else {
      tasks = worker.computing.map { ($0.key, $0.value, run.since[$0.key]?.seq) }
    }
    tasks.sort { ($0.since ?? 0, $0.key) < ($1.since ?? 0, $1.key) }
    let threads = worker.info.nthreads
    idle = max(0, max(0, threads) - tasks.count)
    guard let first = tasks.first else { return }
    let waits = run.views[worker.info.address]?.waits ?? [:]
    var names = tasks.prefix(3).map { task in
      let wait = waits[task.key].map { wait in
        ", which waited for \(wait.name.map { "\(wait.kind) '\($0)'" } ?? "a \(wait.kind)")"
      }
      return "'\(task.key)'\(lasting(task.since))\(wait ?? "")"
    }
    if tasks.count > 3 { names.append("\(tasks.count - 3) others") }
    let list = Words.list(names)
    let all = threads == 1 ? "its thread" : "its \(threads) threads"
    let sentence =
      idle == 0
      ? "\(name) was not idle: \(all) ran \(list)."
      : "\(tasks.count) of the \(threads) threads of worker \(worker.label) ran \(list); "
        + "\(idle) had nothing to do."
    add(
      .running, sentence, tasks: tasks.map(\.key), since: first.since,
      tasks.prefix(3).map(\.seq))
  }

  /// Whether the worker could start tasks; else says why not.
  private mutating func isAvailable() -> Bool {
    let since = worker.status.map { lasting($0.time) } ?? ""
    switch worker.info.status {
    case .running: return true
    case .paused:
      let ready = (worker.state?.tasks.values.filter(\.isReady) ?? []).map(\.key.text).sorted()
      let tasks =
        ready.isEmpty
        ? "" : " \(subject(ready)) \(was(ready)) ready there."
      add(
        .paused,
        "\(name) had been paused\(since) for want of memory: it gets no tasks and starts none.\(tasks)",
        tasks: ready, since: worker.status?.time, [worker.status?.seq])
    case .starting:
      add(
        .starting, "\(name) had been starting\(since).", since: worker.status?.time,
        [worker.status?.seq])
    case .closing, .closingGracefully:
      add(
        .closing, "\(name) had been closing\(since): it gets no tasks.", since: worker.status?.time,
        [worker.status?.seq])
    }
    return false
  }
}
