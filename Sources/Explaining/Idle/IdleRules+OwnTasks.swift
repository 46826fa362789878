import LogFormat
import TaskLogPlugin

/// The tasks that a worker had, and why it did not start them.
extension IdleRules {
  mutating func addOwnTasks() {
    guard let state = worker.state else { return }
    addData(state)
    addReady(state)
    addConstrained(state)
    addNotReceived(state)
  }

  /// Whether a task's last event at the worker came before that of another.
  private func isOlder(_ one: String, _ other: String) -> Bool {
    (worker.last[one]?.time ?? .max, one) < (worker.last[other]?.time ?? .max, other)
  }

  private func keys(_ state: WorkerState, in wanted: State) -> [String] {
    state.tasks.values.filter { $0.state == wanted }.map(\.key.text).sorted(by: isOlder)
  }

  private mutating func addReady(_ state: WorkerState) {
    let ready = keys(state, in: .ready)
    guard let mark = ready.first.map({ worker.last[$0] }) else { return }
    idle -= ready.count
    add(
      .ready,
      "\(subject(ready)) had all inputs\(lasting(mark?.time)) and \(was(ready)) not started: the "
        + "worker's event loop was late, or it read inputs from disk.",
      tasks: ready, since: mark?.time, [mark?.seq])
  }

  private mutating func addConstrained(_ state: WorkerState) {
    let keys = keys(state, in: .constrained)
    guard let first = keys.first else { return }
    idle -= keys.count
    let mark = worker.last[first]
    let task = state.tasks.values.first { $0.key.text == first }
    let needs = Words.list((task?.resourceRestrictions ?? []).map(Words.amount))
    add(
      .resources,
      "\(subject(keys)) waited\(lasting(mark?.time)) for \(needs) of worker \(worker.label), which "
        + "other tasks used.", tasks: keys, since: mark?.time, [mark?.seq])
  }

  private mutating func addNotReceived(_ state: WorkerState) {
    let tasks = byAge(
      worker.info.processing.filter { task in
        guard let there = state.tasks[task.key] else { return true }
        if there.isActive || there.state == .memory || there.state == .error { return false }
        return worker.last[task.key.text]?.time ?? .min < run.since[task.key.text]?.since ?? .min
      }
    ).map(\.key.text)
    guard let since = tasks.first.map({ run.since[$0] }) else { return }
    idle -= tasks.count
    add(
      .notReceived,
      "\(subject(tasks)) had been sent to worker \(worker.label)\(ago(since?.since)), and the worker had "
        + "recorded nothing of \(tasks.count == 1 ? "it" : "them").",
      tasks: tasks, since: since?.since, [since?.seq])
  }

  // MARK: - Inputs

  /// Where an input is to come from.
  private struct Origin: Hashable {
    enum Stage: Int {
      /// It was being transferred, it had not been requested, or no worker was known to have it.
      case onItsWay, notAsked, missing
    }

    var stage: Stage
    var worker: String?

    init(_ input: WorkerTaskState) {
      worker = input.state == .flight ? input.comingFrom : input.whoHas.first
      stage = worker == nil ? .missing : input.state == .flight ? .onItsWay : .notAsked
    }
  }

  private mutating func addData(_ state: WorkerState) {
    var inputs: [Origin: [String: WorkerTaskState]] = [:]
    let waiting = keys(state, in: .waiting)
    for task in state.tasks.values where task.state == .waiting {
      for input in task.waitingForData {
        inputs[Origin(input), default: [:]][input.key.text] = input
      }
    }
    idle -= waiting.count
    let sorted = inputs.sorted {
      ($0.key.stage.rawValue, -$0.value.count, $0.key.worker ?? "")
        < ($1.key.stage.rawValue, -$1.value.count, $1.key.worker ?? "")
    }
    for (origin, inputs) in sorted { addData(origin, inputs) }
    if inputs.isEmpty, let first = waiting.first {
      add(
        .data,
        "\(subject(waiting)) waited\(lasting(worker.last[first]?.time)) for inputs on worker "
          + "\(worker.label), which the log does not name.",
        tasks: waiting, since: worker.last[first]?.time, [worker.last[first]?.seq])
    }
  }

  private mutating func addData(_ origin: Origin, _ inputs: [String: WorkerTaskState]) {
    let names = inputs.keys.sorted(by: isOlder)
    let mark = worker.last[names[0]]
    let tasks = Set(
      inputs.values.flatMap { $0.dependents.filter { $0.state == .waiting }.map(\.key.text) }
    ).sorted(by: isOlder)
    // Before it arrives, its worker may not know its size.
    let size = inputs.values.reduce(Int64(0)) {
      $0 &+ ($1.nbytes ?? run.state.tasks[$1.key]?.nbytes ?? 0)
    }
    let bytes = size > 0 ? " (\(Units.bytes(Double(size))))" : ""
    let one = names.count == 1
    let what =
      one
      ? "input '\(names[0])'\(bytes)"
      : "\(Units.count(Int64(names.count), "input"))\(bytes), such as '\(names[0])'"
    let other = origin.worker ?? "unknown"
    let stage =
      switch origin.stage {
      case .onItsWay:
        "\(one ? "was on its" : "were on their") way from worker \(other)\(lasting(mark?.time))"
      case .notAsked: "worker \(other) had and which it had not requested yet"
      case .missing: "no worker was known to have\(lasting(mark?.time))"
      }
    let needed =
      tasks.count == 1
      ? "Task '\(tasks[0])' needs \(one ? "it" : "them")."
      : "\(subject(tasks)) need \(one ? "it" : "them")."
    add(
      .data, "\(name) waited for \(what), which \(stage). \(needed)", tasks: tasks,
      other: origin.worker, since: mark?.time,
      [mark?.seq, tasks.first.flatMap { worker.last[$0]?.seq }])
  }
}
