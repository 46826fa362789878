import Testing

@testable import TaskLogPlugin

/// Records each call with all its parameters.
private final class Witness: SchedulerPlugin {
  var calls: [String] = []

  func updateGraph(
    scheduler: Scheduler, client: String, keys: [Key], tasks: [Key], annotations: Value,
    priority: OrderedMap<Key, Priority>, stimulusID: String, args: Args
  ) {
    let priorities = priority.map { "\($0.key)=\($0.value.values)" }.joined(separator: " ")
    calls.append(
      "updateGraph \(scheduler.id) \(client) \(keys) \(tasks) \(annotations) \(priorities) "
        + "\(stimulusID) \(args.json)")
  }

  func restart(scheduler: Scheduler) { calls.append("restart \(scheduler.id)") }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    calls.append("transition \(key) \(start) \(finish) \(stimulusID) \(args.json)")
  }

  func addWorker(scheduler: Scheduler, worker: String) {
    calls.append("addWorker \(scheduler.id) \(worker)")
  }

  func removeWorker(scheduler: Scheduler, worker: String, stimulusID: String) {
    calls.append("removeWorker \(scheduler.id) \(worker) \(stimulusID)")
  }

  func addClient(scheduler: Scheduler, client: String) {
    calls.append("addClient \(scheduler.id) \(client)")
  }

  func removeClient(scheduler: Scheduler, client: String) {
    calls.append("removeClient \(scheduler.id) \(client)")
  }

  func validWorkersDownscaling(scheduler: Scheduler, workers: [WorkerInfo]) -> [WorkerInfo] {
    calls.append("validWorkersDownscaling \(scheduler.id) \(workers.map(\.address))")
    return []
  }

  func logEvent(topic: String, message: Value) { calls.append("logEvent \(topic) \(message)") }
}

private final class WorkerWitness: WorkerPlugin {
  var calls: [String] = []

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    calls.append("transition \(key) \(start) \(finish) \(stimulusID) \(args.json)")
  }
}

private final class Silent: SchedulerPlugin, WorkerPlugin {
  // Both protocols have this hook; a class that conforms to both must say which it means.
  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {}
}

private struct Failure: Error {}

private final class Failing: SchedulerPlugin {
  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) throws {
    throw Failure()
  }
}

@Suite struct PluginCallTests {
  private static let expectations: [(event: Event, call: String?)] = [
    (
      Event(
        .transition, time: 1, key: "x", start: .processing, finish: .memory, stimulusID: "s-1",
        args: Args(named: [.init("nbytes", 8)])),
      #"transition x processing memory s-1 {"nbytes":8}"#
    ),
    (
      Event(.transition, time: 1, key: "x", start: .processing, finish: .noWorker),
      "transition x processing no-worker  {}"
    ),
    (
      Event(
        .updateGraph, time: 1, stimulusID: "s-2",
        args: Args(
          positional: [7],
          named: [
            .init("client", "c"), .init("keys", ["b"]), .init("tasks", ["a", .tuple(["b", 1])]),
            .init("annotations", .object(["retries": .object(["a": 1])])),
            .init("priority", .dict([.init(.tuple(["b", 1]), .tuple([0, 2])), .init("a", [1])])),
            .init("dependencies", .dict([])),
          ])),
      #"updateGraph s c [b] [a, ('b', 1)] {"retries":{"a":1}} ('b', 1)=[0.0, 2.0] a=[1.0] s-2 "#
        + #"{"$args":[7],"dependencies":{}}"#
    ),
    (Event(.updateGraph, time: 1), "updateGraph s  [] [] {}   {}"),
    (Event(.restart, time: 1), "restart s"),
    (Event(.addWorker, time: 1, worker: "w"), "addWorker s w"),
    (Event(.removeWorker, time: 1, stimulusID: "s-3", worker: "w"), "removeWorker s w s-3"),
    (Event(.addClient, time: 1, args: Args(named: [.init("client", "c")])), "addClient s c"),
    (Event(.removeClient, time: 1, args: Args(named: [.init("client", "c")])), "removeClient s c"),
    (
      Event(
        .logEvent, time: 1, args: Args(named: [.init("topic", "t"), .init("message", [1, "m"])])),
      #"logEvent t [1,"m"]"#
    ),
    (Event(.logEvent, time: 1), "logEvent  null"),
    (
      Event(
        .validWorkersDownscaling, time: 1,
        args: Args(named: [.init("workers", ["unknown", "tcp://a:1", 5])])),
      #"validWorkersDownscaling s ["tcp://a:1"]"#
    ),
    // A transition without a key, async hooks and marks are not called.
    (Event(.transition, time: 1, start: .released, finish: .waiting), nil),
  ]

  private let scheduler: Scheduler = {
    let state = SchedulerState()
    let facts = WorkerSnapshot(address: "tcp://a:1", name: 0, serverID: "W", nthreads: 1)
    state.apply(Event(.addWorker, time: 0, worker: "tcp://a:1", snapshot: .worker(facts)))
    return Scheduler(id: "s") { state }
  }()

  @Test(arguments: expectations.indices)
  func `an event calls its hook of a scheduler plugin with its content`(place: Int) throws {
    let (event, call) = Self.expectations[place]
    let witness = Witness()
    try witness.call(event, scheduler: scheduler)
    #expect(witness.calls == [call].compactMap { $0 })
  }

  @Test func `async hooks, hooks of the other side and marks make no call`() throws {
    let witness = Witness()
    let hooks: [Hook] = [
      .start, .beforeClose, .close, .setup, .teardown, .attach, .detach, .stimulus,
      .clientDesiresKeys, .clientReleasesKeys, .addReplica, .removeReplica, .report,
      .heartbeat, .nanny, .message, .request, .lock, .plugin, .monitor, .profile, .submission,
      .other("transition2"),
    ]
    for hook in hooks {
      try witness.call(
        Event(hook, time: 1, key: "x", start: .waiting, finish: .memory), scheduler: scheduler)
    }
    #expect(witness.calls.isEmpty)
  }

  @Test func `a worker plugin is called for transitions only`() throws {
    let witness = WorkerWitness()
    for hook in Hook.known {
      try witness.call(
        Event(hook, time: 1, key: "x", start: .executing, finish: .error, stimulusID: "s-1"))
    }
    try witness.call(Event(.transition, time: 1, key: "x", start: .executing))
    #expect(witness.calls == ["transition x executing error s-1 {}"])
  }

  @Test func `every hook has a default that does nothing`() async throws {
    let plugin = Silent()
    for (event, _) in Self.expectations { try plugin.call(event, scheduler: scheduler) }
    try await plugin.start(scheduler: scheduler)
    try await plugin.beforeClose()
    try await plugin.close()
    let worker = Worker(id: "W", address: "tcp://a:1", name: 0) { WorkerState() }
    try await plugin.setup(worker: worker)
    try await plugin.teardown(worker: worker)
    let workers = scheduler.workers.values
    #expect(
      try plugin.validWorkersDownscaling(scheduler: scheduler, workers: workers).map(\.address)
        == workers.map(\.address))
  }

  @Test func `an error that a hook throws reaches the caller`() {
    let event = Event(.transition, time: 1, key: "x", start: .waiting, finish: .processing)
    #expect(throws: Failure.self) { try Failing().call(event, scheduler: scheduler) }
  }
}
