import Synchronization
import TaskLogKit

/// Where live plugins record what they see, so that it can be read after the cluster is closed.
final class Notes: Sendable {
  private let lines = Mutex<[String: [String]]>([:])

  func add(_ line: String, for owner: String) {
    lines.withLock { $0[owner, default: []].append(line) }
  }

  var all: [String: [String]] { lines.withLock { $0 } }

  func of(_ owner: String) -> [String] {
    lines.withLock { $0[owner] ?? [] }
  }
}

/// Records everything that it can see of a scheduler in each hook, from a given hook on.
final class SchedulerProbe: SchedulerPlugin {
  private var lines: [String] = []
  private var scheduler: Scheduler?
  private var hooks = 0
  private var from = 0

  init() {}

  /// - Parameter options: `from`, the number of the first transition in which it reads the state.
  init(options: [String: String]) {
    from = options["from"].flatMap(Int.init) ?? 0
  }

  var name: String { "probe" }

  func start(scheduler: Scheduler) async {
    self.scheduler = scheduler
    if from == 0 { lines.append("start: " + Dump.cluster(scheduler.state)) }
  }

  func addWorker(scheduler: Scheduler, worker: String) { note("addWorker \(worker)") }
  func removeWorker(scheduler: Scheduler, worker: String, stimulusID: String) {
    note("removeWorker \(worker)")
  }
  func addClient(scheduler: Scheduler, client: String) { note("addClient \(client)") }
  func removeClient(scheduler: Scheduler, client: String) { note("removeClient \(client)") }
  func updateGraph(
    scheduler: Scheduler, client: String, keys: [Key], tasks: [Key], annotations: Value,
    priority: OrderedMap<Key, Priority>, stimulusID: String, args: Args
  ) {
    let priorities = priority.map { "\($0.0): \($0.1)" }
    note("updateGraph \(keys) \(tasks) \(annotations) \(priorities) \(args.content)")
  }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    note("\(key) \(start) \(finish) \(stimulusID) \(args.content)", key)
  }

  func beforeClose() async { note("beforeClose") }
  func close() async { note("close") }

  private func note(_ what: String, _ key: Key? = nil) {
    hooks += 1
    guard hooks >= from, let scheduler else { return }
    let task = key.map { " | " + Dump.task(scheduler.tasks[$0]) } ?? ""
    lines.append("\(what)\(task) | \(Dump.cluster(scheduler.state))")
  }

  func report() -> Value { .list(lines.map(Value.string)) }
}

/// Records everything that it can see of a worker in each hook, from a given hook on.
final class WorkerProbe: WorkerPlugin {
  private var lines: [String] = []
  private var worker: Worker?
  private var hooks = 0
  private var from = 0
  private var notes: Notes?

  init() {}

  init(options: [String: String]) {
    from = options["from"].flatMap(Int.init) ?? 0
  }

  init(notes: Notes) {
    self.notes = notes
  }

  var name: String { "worker-probe" }

  func setup(worker: Worker) async {
    self.worker = worker
    if from == 0 { add("setup \(worker.id) \(worker.address) \(worker.name)") }
  }

  func teardown(worker: Worker) async { note("teardown", nil) }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    note("\(key) \(start) \(finish) \(stimulusID) \(args.content)", key)
  }

  private func note(_ what: String, _ key: Key?) {
    hooks += 1
    guard hooks >= from, let worker else { return }
    add("\(what) | \(key.map { Dump.task(worker.tasks[$0]) } ?? "")")
  }

  private func add(_ what: String) {
    guard let worker else { return }
    let state = worker.state
    let facts = state.facts.map { "\($0)" } ?? "nil"
    let line =
      "\(what) | tasks=\(state.tasks.map { "\($0.0)" }) facts=\(facts) "
      + "transitions=\(state.transitionCounter) mismatchCount=\(state.mismatchCount)"
    lines.append(line)
    notes?.add(line, for: worker.address)
  }

  func report() -> Value { .list(lines.map(Value.string)) }
}
