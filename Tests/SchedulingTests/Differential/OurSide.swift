import TaskLogPlugin
import TestSupport
import Testing

@testable import Scheduling

/// One transition as both sides record it.
struct Transition: Equatable, CustomStringConvertible {
  var key: String
  var start: String
  var finish: String
  /// The names of the args, in alphabetical order.
  var args: [String] = []
  /// The args whose values are the same in every run.
  var values: [String: String] = [:]

  var description: String {
    let values = values.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    return "\(start) → \(finish)" + (args.isEmpty ? "" : " \(args)") + values
  }
}

/// The events that a graph caused, on either side.
struct GraphOutcome {
  var scheduler: [Transition]
  /// Every other hook of the scheduler, as text.
  var hooks: [String]
  /// By the number of the worker.
  var workers: [[Transition]]
}

/// What the tasks and plugins of a graph share.
final class SharedRun: Sendable {
  struct State {
    var gates: [String: Gate] = [:]
    var areAllOpen = false
    var started: [String: Int] = [:]
    var left: [String: Int] = [:]
    var workers: [[Transition]] = []
    var addresses: [String] = []
  }

  let state = Lock(State())

  func run(_ kind: String, _ key: String, _ inputs: [Int]) throws -> Int {
    state.withLock { $0.started[key, default: 0] += 1 }
    if kind.contains("secede") { TaskContext.current?.secede() }
    if kind.contains("gate") { gate(key).wait() }
    if kind.contains("flaky") {
      let left = state.withLock { state in
        state.left[key, default: 1] -= 1
        return state.left[key, default: 0] + 1
      }
      if left > 0 { throw Broken() }
    }
    if kind.contains("reschedule") {
      let left = state.withLock { state in
        state.left[key, default: 1] -= 1
        return state.left[key, default: 0] + 1
      }
      if left > 0 { throw Reschedule() }
    }
    if kind.contains("nest"), let context = TaskContext.current {
      let inner = context.client.submit("inner", key: Key(key + "-inner")) { [self] in
        try run("ok", key + "-inner", [])
      }
      return try context.result(of: inner) + 1
    }
    if kind.contains("fail") { throw Broken() }
    return inputs.reduce(1, +)
  }

  /// The gate of a key, created on first use by its task or by the step that opens it.
  private func gate(_ key: String) -> Gate {
    state.withLock { state in
      if let gate = state.gates[key] { return gate }
      let gate = Gate()
      if state.areAllOpen { gate.open() }
      state.gates[key] = gate
      return gate
    }
  }

  func open(_ keys: [String]) { for key in keys { gate(key).open() } }

  func openAll() {
    let gates = state.withLock { state in
      state.areAllOpen = true
      return Array(state.gates.values)
    }
    for gate in gates { gate.open() }
  }

  func number(_ address: String) -> String {
    state.withLock { $0.addresses.firstIndex(of: address).map(String.init) } ?? address
  }
}

/// Records the scheduler's calls of its plugins.
private final class SchedulerProbe: SchedulerPlugin {
  var transitions: [Transition] = []
  var hooks: [String] = []
  var scheduler: Scheduler?

  nonisolated(nonsending) func start(scheduler: Scheduler) async throws {
    self.scheduler = scheduler
  }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    let content = args.content
    var values: [String: String] = [:]
    for name in ["status", "cause", "worker"] { values[name] = content[name]?.string }
    transitions.append(
      Transition(
        key: key.text, start: start.name, finish: finish.name,
        args: content.named.map(\.name).sorted(), values: values))
  }

  func updateGraph(
    scheduler: Scheduler, client: String, keys: [Key], tasks: [Key], annotations: Value,
    priority: OrderedMap<Key, Priority>, stimulusID: String, args: Args
  ) {
    var names: [String] = []
    if case .dict(let entries) = annotations { names = entries.compactMap(\.key.string).sorted() }
    let priorities = priority.keys.map(\.text).sorted()
    hooks.append(
      "updateGraph \(keys.map(\.text).sorted()) \(tasks.map(\.text).sorted()) \(names) "
        + "\(priorities)")
  }

  func addClient(scheduler: Scheduler, client: String) { hooks.append("addClient -") }

  func restart(scheduler: Scheduler) { hooks.append("restart -") }

  func logEvent(topic: String, message: Value) {
    guard topic == "all", let action = message["action"]?.string, action != "gather" else { return }
    hooks.append("logEvent \(action)")
  }

  func addWorker(scheduler: Scheduler, worker: String) { hooks.append("addWorker \(worker)") }

  func removeWorker(scheduler: Scheduler, worker: String, stimulusID: String) {
    hooks.append("removeWorker \(worker)")
  }
}

/// Records a worker's calls of its plugins.
private final class WorkerProbe: WorkerPlugin {
  private var run: SharedRun?
  private var number = 0

  required init() {}

  init(_ run: SharedRun) {
    self.run = run
  }

  nonisolated(nonsending) func setup(worker: Worker) async throws {
    guard let run else { return }
    number = run.state.withLock { state in
      state.addresses.append(worker.address)
      state.workers.append([])
      return state.workers.count - 1
    }
  }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    run?.state.withLock { state in
      state.workers[number].append(
        Transition(key: key.text, start: start.name, finish: finish.name))
    }
  }
}

/// Runs a graph of graphs.json on our engine; `Side` of dask_side.py runs it on Dask.
final class OurSide {
  struct Stuck: Error, CustomStringConvertible {
    var description: String
  }

  private let cluster: LocalCluster
  private let run = SharedRun()
  private var futures: [(key: String, future: Future<Int>)] = []
  private var frozen: [Int: [Transition]] = [:]

  static func outcome(of graph: Value) async throws -> GraphOutcome {
    let side = try await OurSide(graph)
    do {
      let outcome = try await side.outcome(graph)
      await side.cluster.close()
      return outcome
    } catch {
      side.run.openAll()
      await side.cluster.close()
      throw error
    }
  }

  private init(_ graph: Value) async throws {
    cluster = try await LocalCluster(
      workers: 1, threadsPerWorker: Int(graph["threads"]?.int ?? 1),
      allowedFailures: Int(graph["allowedFailures"]?.int ?? 3),
      workStealing: graph["stealing"]?.bool ?? false,
      resources: Self.resources(graph) ?? [:])
    let run = run
    await cluster.client.registerPlugin { WorkerProbe(run) }
    for _ in 1..<(graph["workers"]?.int ?? 1) { try await cluster.addWorker() }
    await cluster.scheduler.addPlugin(SchedulerProbe())
  }

  private func outcome(_ graph: Value) async throws -> GraphOutcome {
    for step in graph["steps"]?.elements ?? [] { try await take(step) }
    run.openAll()
    while !futures.isEmpty { futures.removeFirst() }
    try await eventually("the end of all tasks") { await self.isOver() }
    let told = await cluster.scheduler.withPlugin(SchedulerProbe.self) {
      ($0.transitions, $0.hooks)
    }
    let (transitions, hooks) = try #require(told)
    let addresses = run.state.withLock { $0.addresses }
    var workers = run.state.withLock { $0.workers }
    for (number, transitions) in frozen { workers[number] = transitions }
    return GraphOutcome(
      scheduler: transitions.map { transition in
        var transition = transition
        if let worker = transition.values["worker"] {
          transition.values["worker"] = run.number(worker)
        }
        return transition
      },
      hooks: hooks.map { hook in
        let words = hook.split(separator: " ", maxSplits: 1).map(String.init)
        return "\(words[0]) \(addresses.contains(words[1]) ? run.number(words[1]) : words[1])"
      }, workers: workers)
  }

  private func take(_ step: Value) async throws {
    let keys = (step["keys"]?.elements ?? []).compactMap(\.string)
    switch step["op"]?.string {
    case "submit": submit(step)
    case "map":
      let (run, kind) = (run, step["kind"]?.string ?? "ok")
      let made = cluster.client.map("map", keys, keys: keys.map { Key($0) }) {
        try run.run(kind, $0, [])
      }
      futures += zip(keys, made).map { ($0, $1) }
    case "release": for key in keys { futures.removeAll { $0.key == key } }
    case "cancel":
      cluster.client.cancel(futures.filter { keys.contains($0.key) }.map(\.future))
    case "open": run.open(keys)
    case "add_worker": try await cluster.addWorker(resources: Self.resources(step))
    case "scatter":
      futures += try await zip(
        keys,
        cluster.client.scatter(
          keys.map { _ in 1 }, keys: keys.map { Key($0) }, workers: addresses(step))
      ).map { ($0, $1) }
    case "forget":
      for key in keys {
        if let future = futures.first(where: { $0.key == key })?.future {
          cluster.client.fireAndForget(future)
        }
        futures.removeAll { $0.key == key }
      }
    case "retire":
      let number = Int(step["worker"]?.int ?? 0)
      let address = run.state.withLock { $0.addresses[number] }
      await cluster.retireWorkers([address])
      frozen[number] = run.state.withLock { $0.workers[number] }
    case "restart":
      for (number, transitions) in run.state.withLock({ $0.workers }).enumerated()
      where frozen[number] == nil { frozen[number] = transitions }
      try await cluster.restart()
      futures.removeAll()
    case "kill":
      let number = Int(step["worker"]?.int ?? 0)
      frozen[number] = run.state.withLock { $0.workers[number] }
      try await cluster.killWorker(run.state.withLock { $0.addresses[number] })
    case "until": try await eventually("\(step)") { await self.holds(step) }
    case let op: throw Stuck(description: "unknown step \(op ?? "without a name")")
    }
  }

  /// At most one, which is called `GPU`.
  private static func resources(_ value: Value) -> KeyValuePairs<String, Double>? {
    value["resources"]?["GPU"]?.number.map { ["GPU": $0] }
  }

  private func submit(_ step: Value) {
    let (run, key) = (run, step["key"]?.string ?? "")
    let kind = step["kind"]?.string ?? "ok"
    let inputs = (step["inputs"]?.elements ?? []).compactMap { input in
      futures.first { $0.key == input.string }?.future
    }
    let future: Future<Int> = cluster.client.submit(
      key, all: inputs, key: Key(key), priority: step["priority"]?.number ?? 0,
      retries: Int(step["retries"]?.int ?? 0), workers: addresses(step),
      allowOtherWorkers: step["allowOthers"]?.bool ?? false,
      resources: Self.resources(step) ?? [:]
    ) { try run.run(kind, key, $0) }
    futures.append((key, future))
  }

  /// The addresses of the workers that a step names by their numbers.
  private func addresses(_ step: Value) -> [String] {
    (step["workers"]?.elements ?? []).compactMap(\.int).map { number in
      run.state.withLock { state in
        state.addresses.indices.contains(Int(number))
          ? state.addresses[Int(number)] : "inproc://localhost/0/\(number)"
      }
    }
  }

  private func holds(_ step: Value) async -> Bool {
    if case .dict(let counts)? = step["started"] {
      let started = run.state.withLock { $0.started }
      for entry in counts where started[entry.key.string ?? "", default: 0] < entry.value.int ?? 0 {
        return false
      }
    }
    if case .dict(let states)? = step["onWorker"] {
      let workers = run.state.withLock { $0.workers }
      for entry in states {
        let isReached = workers.contains { transitions in
          transitions.last { $0.key == entry.key.string }?.finish == entry.value.string
        }
        guard isReached else { return false }
      }
    }
    guard case .dict(let states)? = step["states"] else { return true }
    return await cluster.scheduler.withPlugin(SchedulerProbe.self) { probe in
      states.allSatisfy { entry in
        let task = probe.scheduler?.tasks[Key(entry.key.string ?? "")]
        return task?.state.name ?? "gone" == entry.value.string
      }
    } ?? false
  }

  /// No worker has any task any more.
  private func isOver() async -> Bool {
    let isEmpty = await cluster.scheduler.withPlugin(SchedulerProbe.self) {
      $0.scheduler?.tasks.isEmpty == true
    }
    guard isEmpty == true else { return false }
    let workers = run.state.withLock { $0.workers }
    return workers.indices.filter { frozen[$0] == nil }.allSatisfy { number in
      var last: [String: String] = [:]
      for transition in workers[number] { last[transition.key] = transition.finish }
      return last.values.allSatisfy { $0 == "forgotten" }
    }
  }

}
