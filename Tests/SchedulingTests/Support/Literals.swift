@testable import Scheduling
@testable import TaskLogPlugin

/// Events and instructions as one line of text each, so that a test can list them.
enum Literal {
  static func line(_ event: Event) -> String {
    var words = [event.hook.name]
    if let op = event.args["op"]?.string { words.append(op) }
    if let key = event.key { words.append(key.text) }
    if let start = event.start, let finish = event.finish { words.append("\(start)>\(finish)") }
    if let worker = event.worker { words.append("on=\(worker)") }
    if let run = event.taskRunID { words.append("run=\(run)") }
    return words.joined(separator: " ")
  }

  static func line(_ instruction: SchedulerInstruction) -> String {
    switch instruction {
    case .toWorker(let address, let stimulus, _): "\(address) <- \(line(stimulus))"
    case .keyInMemory(let client, let key): "\(client) <- in memory \(key)"
    case .taskErred(let client, let key, let blame, let exception, _):
      "\(client) <- erred \(key) by \(blame): \(exception)"
    case .lostData(let client, let key): "\(client) <- lost \(key)"
    case .cancelled(let keys): "cancelled \(list(keys))"
    case .retired(let address, let succeeded): "\(address) \(succeeded ? "retired" : "stays")"
    }
  }

  static func line(_ stimulus: WorkerStimulus) -> String {
    switch stimulus {
    case .computeTask(let task):
      "compute \(task.key) run=\(task.taskRunID)"
        + (task.whoHas.isEmpty ? "" : " with " + holders(task.whoHas))
    case .freeKeys(let keys): "free \(list(keys))"
    case .refreshWhoHas(let whoHas): "refresh " + holders(whoHas)
    case .acquireReplicas(let whoHas): "acquire " + holders(whoHas)
    case .removeWorker(let address): "remove \(address)"
    case .stealRequest(let key): "steal \(key)"
    default: "\(stimulus)"
    }
  }

  static func line(_ instruction: WorkerInstruction) -> String {
    switch instruction {
    case .execute(let key, let run): "execute \(key) run=\(run)"
    case .gather(let worker, let keys): "gather \(list(keys)) from \(worker)"
    case .drop(let key): "drop \(key)"
    case .taskFinished(let message, _):
      "finished \(message.key) run=\(message.taskRunID) nbytes=\(message.nbytes)"
    case .taskErred(let message, _):
      "erred \(message.key) run=\(message.taskRunID) \(message.exceptionText)"
    case .addKeys(let keys, _): "add \(list(keys))"
    case .requestRefreshWhoHas(let keys, _): "who has \(list(keys))"
    case .reschedule(let key, _): "reschedule \(key)"
    case .longRunning(let message, _):
      "long-running \(message.key) run=\(message.taskRunID)"
        + (message.computeSeconds.map { " after \($0)" } ?? "")
    case .stealResponse(let key, let state, let id):
      "\(id): \(key) is \(state?.name ?? "unknown")"
    }
  }

  private static func list(_ keys: [Key]) -> String { keys.map(\.text).joined(separator: ",") }

  private static func holders(_ whoHas: [(Key, [String])]) -> String {
    whoHas.map { "\($0.0)@" + $0.1.joined(separator: "+") }.joined(separator: " ")
  }
}

extension SchedulerStimulus {
  static func updateGraph(client: String, tasks: [NewTask], keys: [Key]) -> SchedulerStimulus {
    .updateGraph(NewGraph(client: client, tasks: tasks, keys: keys))
  }
}

/// A scheduler that is driven by hand.
final class HandDrivenScheduler {
  private(set) var core: SchedulerCore!
  private var events: [Event] = []
  private var stimuli = 0
  /// The edges that have been taken.
  private(set) var edges: Set<String> = []

  init(
    workers: [String] = ["w"], allowedFailures: Int = 3, workerSaturation: Double = 1.1
  ) throws {
    core = SchedulerCore(
      SchedulerCore.Options(
        allowedFailures: allowedFailures, workerSaturation: workerSaturation)
    ) { [unowned self] in
      events.append($0)
    }
    core.onEdge = { [unowned self] in note("scheduler \($0) → \($1)") }
    try tell(.addClient("c"))
    for worker in workers { try add(worker) }
  }

  private func note(_ edge: String) {
    edges.insert(edge)
    EdgeCoverage.note(edge)
  }

  @discardableResult
  func add(
    _ worker: String, threads: Int = 2, resources: [Resource] = []
  ) throws -> [String] {
    let facts = WorkerSnapshot(
      address: worker, name: .string(worker), serverID: "Worker-\(worker)", nthreads: threads,
      resources: resources)
    return try tell(.addWorker(facts))
  }

  /// The results of a stimulus: the events, then the instructions.
  @discardableResult
  func tell(_ stimulus: SchedulerStimulus) throws -> [String] {
    events = []
    stimuli += 1
    let instructions = try core.handle(stimulus, stimulusID: "s\(stimuli)", time: Int64(stimuli))
    let violations = Invariants.violations(of: core)
    if !violations.isEmpty {
      throw Simulation.Failure(description: violations.joined(separator: "\n"))
    }
    return events.filter { $0.hook != .logEvent }.map(Literal.line)
      + instructions.map(Literal.line)
  }

  /// The events logged with the last stimulus, by topic.
  var notes: [String] {
    events.filter { $0.hook == .logEvent }.map { event in
      "\(event.args["topic"]?.string ?? ""): \(event.args["message"] ?? .null)"
    }
  }

  /// Submits tasks, each with the keys of its dependencies; the client wants `keys`.
  @discardableResult
  func submit(
    _ tasks: KeyValuePairs<Key, [Key]>, keys: [Key], retries: Int = 0, client: String = "c"
  ) throws -> [String] {
    try tell(
      .updateGraph(
        client: client,
        tasks: tasks.map { NewTask(key: $0.key, dependencies: $0.value, retries: retries) },
        keys: keys))
  }

  @discardableResult
  func finish(_ key: Key, on worker: String = "w", run: Int64) throws -> [String] {
    try tell(
      .taskFinished(
        TaskFinished(
          key: key, worker: worker, taskRunID: run, nbytes: 8, type: "Swift.Int", typeName: "Int",
          thread: 1, startStops: [StartStop(action: "compute", start: 1, stop: 2)])))
  }

  @discardableResult
  func fail(_ key: Key, on worker: String = "w", run: Int64) throws -> [String] {
    try tell(
      .taskErred(
        TaskErred(
          key: key, worker: worker, taskRunID: run, exceptionType: "Broken",
          exceptionText: "broken", tracebackText: "here", thread: 1, startStops: [])))
  }

  @discardableResult
  func release(_ keys: Key..., client: String = "c") throws -> [String] {
    try tell(.clientReleasesKeys(client: client, keys: keys))
  }

  func state(_ key: Key) -> String { core.state.tasks[key]?.state.name ?? "none" }
}

/// A worker that is driven by hand.
final class HandDrivenWorker {
  private(set) var core: WorkerCore!
  private var events: [Event] = []
  private var stimuli = 0
  /// The edges that have been taken.
  private(set) var edges: Set<String> = []

  init(nthreads: Int = 1, resources: [Resource] = []) {
    let facts = WorkerSnapshot(
      address: "w", name: 0, serverID: "Worker-w", nthreads: nthreads, resources: resources)
    core = WorkerCore(facts: facts) { [unowned self] in events.append($0) }
    core.onEdge = { [unowned self] in note("worker \($0) → \($1)") }
    core.start(facts, time: 0)
  }

  private func note(_ edge: String) {
    edges.insert(edge)
    EdgeCoverage.note(edge)
  }

  @discardableResult
  func tell(_ stimulus: WorkerStimulus) throws -> [String] {
    events = []
    stimuli += 1
    let instructions = try core.handle(stimulus, stimulusID: "s\(stimuli)", time: Int64(stimuli))
    let violations = Invariants.violations(of: core)
    if !violations.isEmpty {
      throw Simulation.Failure(description: violations.joined(separator: "\n"))
    }
    return events.map(Literal.line) + instructions.map(Literal.line)
  }

  @discardableResult
  func compute(
    _ key: Key, run: Int64, priority: Double = 0, with whoHas: [(Key, [String])] = [],
    resources: [Resource] = []
  ) throws -> [String] {
    try tell(
      .computeTask(
        ComputeTask(
          key: key, taskRunID: run, priority: Priority([0, 1, priority]), whoHas: whoHas,
          annotations: [], resourceRestrictions: resources)))
  }

  @discardableResult
  func succeed(_ key: Key, run: Int64) throws -> [String] {
    try tell(
      .executeSuccess(
        ExecuteSuccess(
          key: key, taskRunID: run, nbytes: 8, type: "Swift.Int", typeName: "Int", thread: 1,
          start: 1, stop: 2)))
  }

  @discardableResult
  func fail(_ key: Key, run: Int64) throws -> [String] {
    try tell(
      .executeFailure(
        ExecuteFailure(
          key: key, taskRunID: run, exceptionType: "Broken", exceptionText: "broken",
          tracebackText: "here", thread: 1, start: 1, stop: 2)))
  }

  @discardableResult
  func receive(_ keys: Key..., from worker: String) throws -> [String] {
    try tell(.gatherSuccess(worker: worker, nbytes: keys.map { ($0, 8) }, start: 1, stop: 2))
  }

  @discardableResult
  func free(_ keys: Key...) throws -> [String] { try tell(.freeKeys(keys)) }

  func state(_ key: Key) -> String { core.state.tasks[key]?.state.name ?? "none" }
}
