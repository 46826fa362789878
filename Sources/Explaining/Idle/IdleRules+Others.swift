import LogFormat
import TaskLogPlugin

/// The tasks that a worker did not have: at the scheduler and on other workers.
extension IdleRules {
  /// Since when the scheduler has had a task in its state, and by which event.
  private func since(_ task: TaskState) -> WorkerView.Task? { run.since[task.key.text] }

  private mutating func add(
    _ kind: IdleReason.Kind, _ tasks: [TaskState], other: String? = nil,
    _ evidence: [Int64?] = [], _ sentence: (Self, _ subject: String, _ lasting: String) -> String
  ) {
    guard let first = tasks.first else { return }
    let keys = tasks.map(\.key.text)
    let text = sentence(self, subject(keys), lasting(since(first)?.since))
    idle -= tasks.count
    add(
      kind, text, tasks: keys, other: other, since: since(first)?.since,
      [since(first)?.seq] + evidence)
  }

  // MARK: - The scheduler

  /// How late its event loop was, if it was.
  private var lateness: String {
    guard let late = worker.late, late >= 0.001 else { return "" }
    return " Its event loop was \(Units.duration(seconds: late)) late when it last measured that."
  }

  /// Tasks that it could have run while its own waited for inputs.
  mutating func addQueued() {
    let queued = byAge(run.state.queued.filter { canRun($0) })
    let (given, threads) = (worker.info.processing.count, worker.info.nthreads)
    if given >= threads {
      add(.saturation, queued) { rules, subject, lasting in
        "\(subject) \(rules.was(queued.count)) queued at the scheduler\(lasting): it sends no worker many "
          + "more tasks than it has threads, and worker \(rules.worker.label) had \(rules.count(given)) for "
          + "\(Units.count(Int64(threads), "thread"))."
      }
    } else if idle > 0 {
      add(.scheduler, queued) { rules, subject, lasting in
        "\(subject) \(rules.was(queued.count)) queued at the scheduler\(lasting), which had not sent "
          + "\(queued.count == 1 ? "it" : "them") yet although worker \(rules.worker.label) had room."
          + rules.lateness
      }
    }
  }

  mutating func addScheduler() {
    let unsent = byAge(
      run.state.tasks.values.filter { task in
        switch task.state {
        case .waiting: task.waitingOn.isEmpty && canRun(task)
        case .noWorker: canRun(task)
        default: false
        }
      })
    add(.scheduler, unsent) { rules, subject, lasting in
      "\(subject) waited\(lasting) for no other task, and the scheduler had not sent "
        + "\(unsent.count == 1 ? "it" : "them") yet.\(rules.lateness)"
    }
    addResults()
  }

  /// Tasks that wait only for results that the scheduler had not recorded.
  private mutating func addResults() {
    var ended: [ObjectIdentifier: WorkerView.Task] = [:]
    for task in run.state.tasks.values where task.state == .processing {
      guard let address = task.processingOn?.address,
        let there = run.views[address]?.tasks[task.key.text],
        there.state == State.memory.name, there.since >= since(task)?.since ?? .min
      else { continue }
      ended[ObjectIdentifier(task)] = there
    }
    guard !ended.isEmpty else { return }
    let waiting = byAge(
      run.state.tasks.values.filter { task in
        task.state == .waiting && !task.waitingOn.isEmpty && canRun(task)
          && task.waitingOn.allSatisfy { ended[ObjectIdentifier($0)] != nil }
      })
    guard let input = waiting.first?.waitingOn.first(where: { _ in true }),
      let end = ended[ObjectIdentifier(input)]
    else { return }
    add(.scheduler, waiting, [end.seq]) { rules, subject, _ in
      "\(subject) waited only for results that the scheduler had not recorded yet: task "
        + "'\(input.key.text)' had ended\(rules.ago(end.since)).\(rules.lateness)"
    }
  }

  private func canRun(_ task: TaskState) -> Bool {
    task.isAllowed(on: worker.info) && worker.info.supplies(task.resourceRestrictions)
  }

  // MARK: - Other workers

  mutating func addOthers() {
    var pending: [TaskState] = []
    for other in run.state.workers.values where other !== worker.info {
      pending += self.pending(on: other)
    }
    let stranded = run.state.tasks.values.filter { $0.state == .noWorker }
    addRestricted(pending + stranded)
    let able = Dictionary(grouping: pending.filter(canRun)) { $0.processingOn?.address ?? "" }
    for (address, tasks) in able.sorted(by: {
      (-$0.value.count, $0.key) < (-$1.value.count, $1.key)
    }) {
      let tasks = byAge(tasks)
      add(.elsewhere, tasks, other: address) { rules, subject, lasting in
        "\(subject) \(rules.was(tasks.count)) ready on worker \(address)\(lasting) and could have run on "
          + "worker \(rules.worker.label): the scheduler had sent \(tasks.count == 1 ? "it" : "them") there."
      }
    }
  }

  /// The tasks of another worker that waited for a thread there. Of one that was not recorded, those that it
  /// was sent last.
  private func pending(on other: WorkerInfo) -> [TaskState] {
    guard let view = run.views[other.address] else {
      let tasks = byAge(Array(other.processing))
      return Array(tasks.dropFirst(max(0, other.nthreads)))
    }
    return other.processing.filter { task in
      let state = view.tasks[task.key.text]?.state
      return state == State.ready.name || state == State.constrained.name
    }
  }

  private mutating func addRestricted(_ tasks: [TaskState]) {
    let tasks = tasks.filter { !canRun($0) }
    let groups = Dictionary(grouping: tasks) { task in
      task.isAllowed(on: worker.info)
        ? "need \(Words.list(task.needs)), which worker \(worker.label) does not have"
        : "may run only on \(Words.list(task.workerRestrictions.sorted()))"
    }
    for (why, group) in groups.sorted(by: { (-$0.value.count, $0.key) < (-$1.value.count, $1.key) })
    {
      let group = byAge(group)
      let verb =
        group.count > 1 ? why : why.hasPrefix("need ") ? "needs " + why.dropFirst(5) : why
      add(.restrictions, group) { rules, subject, lasting in
        "\(subject) \(rules.was(group.count)) ready\(lasting), and \(verb)."
      }
    }
  }

  // MARK: - Nothing to do

  mutating func addNothingReady() {
    let unfinished = byAge(run.state.tasks.values.filter(\.isUnfinished))
    guard let first = unfinished.first else {
      return add(
        .noTasks,
        worker.lastEnd.map { "No task was unfinished: the last one had ended\(ago($0.time))." }
          ?? "No task was unfinished: none had ended until then.",
        since: worker.lastEnd?.time, [worker.lastEnd?.seq])
    }
    let given = unfinished.filter { $0.state == .processing }
    let running = given.filter { task in
      task.processingOn.flatMap { run.views[$0.address]?.tasks[task.key.text] }?.isRunning ?? false
    }
    var parts: [String] = []
    func part(_ count: Int, _ what: String) { if count > 0 { parts.append("\(count) \(what)") } }
    part(running.count, "ran")
    part(given.count - running.count, "\(was(given.count - running.count)) on other workers")
    part(unfinished.count - given.count, "waited for others")
    let shown = running.first ?? given.first ?? first
    let place = shown.processingOn.map { " on worker \($0.address)" } ?? ""
    add(
      .nothingReady,
      "No task was ready to run: of \(count(unfinished.count)) that \(was(unfinished.count)) unfinished, "
        + "\(Words.list(parts)). Task '\(shown.key.text)' was \(shown.state.name)\(place)"
        + "\(lasting(since(shown)?.since)).",
      tasks: [shown.key.text] + unfinished.filter { $0 !== shown }.map(\.key.text),
      other: shown.processingOn?.address, since: since(shown)?.since, [since(shown)?.seq])
  }
}
