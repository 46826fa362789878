import TaskLogPlugin
import Testing

@testable import Scheduling

private struct Refusal: Error {}

/// Records every call.
private class Noter: SchedulerPlugin {
  var calls: [String] = []
  var forgotten: [String] = []
  private var scheduler: Scheduler?
  required init() {}

  nonisolated(nonsending) func start(scheduler: Scheduler) async throws {
    self.scheduler = scheduler
    calls.append("start")
  }
  nonisolated(nonsending) func beforeClose() async throws { calls.append("beforeClose") }
  nonisolated(nonsending) func close() async throws { calls.append("close") }
  func updateGraph(
    scheduler: Scheduler, client: String, keys: [Key], tasks: [Key], annotations: Value,
    priority: OrderedMap<Key, Priority>, stimulusID: String, args: Args
  ) {
    let known = tasks.allSatisfy { scheduler.tasks.contains($0) }
    let named = scheduler.clients.contains(client)
    calls.append("updateGraph \(keys) \(tasks) \(priority.count) \(known) \(named)")
  }
  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    guard let task = scheduler?.tasks[key] else {
      calls.append("unknown \(key)")
      return
    }
    let isTrue = task.state == finish
    var line = "\(key) \(start)>\(finish)\(isTrue ? "" : " but \(task.state)")"
    if finish == .processing { line += task.processingOn == nil ? " nowhere" : " somewhere" }
    if finish == .memory {
      line += " \(args["typename"]?.string ?? "") \(task.nbytes ?? 0) \(task.whoHas.count)"
    }
    if finish == .forgotten { forgotten.append(task.key.text) }
    calls.append(line)
    if key == "x", finish == .memory {
      scheduler?.logEvent(topic: "done", message: .string(key.text))
    }
  }
  func addWorker(scheduler: Scheduler, worker: String) {
    calls.append("addWorker \(scheduler.workers.contains(worker))")
  }
  func removeWorker(scheduler: Scheduler, worker: String, stimulusID: String) {
    calls.append("removeWorker \(scheduler.workers.contains(worker))")
  }
  func addClient(scheduler: Scheduler, client: String) { calls.append("addClient") }
  func removeClient(scheduler: Scheduler, client: String) { calls.append("removeClient") }
  func logEvent(topic: String, message: Value) { calls.append("logEvent \(topic) \(message)") }
}

private final class Ledger: Sendable {
  let calls = Lock<[String]>([])
}

/// Copies its records to a ledger when it is closed.
private final class LastWords: Noter {
  var ledger: Ledger?

  convenience init(_ ledger: Ledger) {
    self.init()
    self.ledger = ledger
  }
  override nonisolated(nonsending) func close() async throws {
    let all = calls + ["close"]
    ledger?.calls.withLock { $0 = all }
  }
}

private final class Thrower: SchedulerPlugin {
  nonisolated(nonsending) func start(scheduler: Scheduler) async throws { throw Refusal() }
  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) throws {
    throw Refusal()
  }
}

private final class Named: SchedulerPlugin {
  var number = 0
  var once = false
  init() {}
  init(_ number: Int, once: Bool) {
    self.number = number
    self.once = once
  }
  var name: String { "named" }
  var idempotent: Bool { once }
}

private final class WorkerNoter: WorkerPlugin {
  var calls: [String] = []
  private var worker: Worker?
  nonisolated(nonsending) func setup(worker: Worker) async throws {
    self.worker = worker
    calls.append("setup")
  }
  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    let state = worker?.tasks[key]?.state
    calls.append("\(key) \(start)>\(finish)\(state == finish ? "" : " but in another state")")
  }
}

/// Keeps all events in memory.
private final class Memory: RecordingPlugin {
  struct Entry: Sendable {
    var source: Source
    var event: Event
  }

  final class Channel: EventChannel {
    let source: Source
    let memory: Memory

    init(_ source: Source, _ memory: Memory) {
      self.source = source
      self.memory = memory
    }

    func record(_ event: Event) {
      memory.entries.withLock { $0.append(Entry(source: source, event: event)) }
    }
  }

  let entries = Lock<[Entry]>([])
  let finished = Lock(0)

  func channel(for source: Source) -> any EventChannel { Channel(source, self) }
  func finish() async { finished.withLock { $0 += 1 } }
}

@Suite struct LivePluginTests {
  @Test func `a plugin is called for every event in order, with the matching state`() async throws {
    let ledger = Ledger()
    let plugin = LastWords(ledger)
    let cluster = try await LocalCluster(workers: 1, plugins: [Thrower(), plugin])
    do {
      let x = cluster.client.submit("x", key: "x") { 5 }
      #expect(try await x.result() == 5)
    }
    await cluster.close()
    // `TopicTests` checks the events that the scheduler logs about itself.
    let calls = ledger.calls.withLock { $0 }.filter {
      !$0.hasPrefix("logEvent ") || $0.hasPrefix("logEvent done")
    }
    #expect(
      calls == [
        "start", "addWorker true", "addClient", "updateGraph [x] [x] 1 true true",
        "x released>waiting", "x waiting>processing somewhere", "x processing>memory Int 8 1",
        "logEvent done \"x\"", "x memory>forgotten", "beforeClose", "removeClient",
        "removeWorker false", "close",
      ])
  }

  @Test func `plugins are replaced, kept and removed by name`() async throws {
    let cluster = try await LocalCluster(workers: 1)
    let scheduler = cluster.scheduler
    await scheduler.addPlugin(Named(1, once: false))
    await scheduler.addPlugin(Named(2, once: false))
    #expect(await scheduler.withPlugin(Named.self) { $0.number } == 2)
    await scheduler.addPlugin(Named(3, once: true))
    #expect(await scheduler.withPlugin(Named.self) { $0.number } == 2)
    #expect(await scheduler.reports().map(\.name) == ["named"])
    #expect(await scheduler.removePlugin("named"))
    #expect(await !scheduler.removePlugin("named"))
    #expect(await scheduler.withPlugin(Named.self) { $0.number } == nil)
    await cluster.close()
  }

  @Test func `a worker plugin has an instance on every worker`() async throws {
    let cluster = try await LocalCluster(workers: 2)
    await cluster.client.registerPlugin { WorkerNoter() }
    let futures = cluster.client.map("n", [1, 2], keys: ["a", "b"]) { $0 }
    #expect(try await cluster.client.gather(futures) == [1, 2])
    let reports = await cluster.workerReports()
    #expect(reports.count == 2)
    let calls = reports.flatMap { $0.report["calls"]?.elements ?? [] }.compactMap(\.string)
    #expect(calls.count { $0 == "setup" } == 2)
    for key in ["a", "b"] {
      #expect(
        calls.filter { $0.hasPrefix(key + " ") } == [
          "\(key) released>waiting", "\(key) waiting>ready", "\(key) ready>executing",
          "\(key) executing>memory",
        ])
    }
    await cluster.close()
  }

  @Test func `a recorder receives every event of every source once and in order`() async throws {
    let memory = Memory()
    let cluster = try await LocalCluster(workers: 2, recorder: memory)
    do {
      let parts = cluster.client.map("part", Array(0..<20)) { $0 }
      let bad = cluster.client.submit("bad", parts[0]) { (_: Int) throws -> Int in throw Refusal() }
      let sum = cluster.client.submit("sum", all: parts) { $0.reduce(0, +) }
      #expect(try await sum.result() == 190)
      await #expect(throws: TaskError.self) { try await bad.wait() }
    }
    await cluster.close()
    await cluster.close()
    #expect(memory.finished.withLock { $0 } == 1)

    let entries = memory.entries.withLock { $0 }
    let sources = Set(entries.map(\.source))
    #expect(sources.count { $0.kind == .scheduler } == 1)
    #expect(sources.count { $0.kind == .worker } == 2)
    for source in sources {
      let events = entries.filter { $0.source == source }.map(\.event)
      let ends: (Hook, Hook) = source.kind == .scheduler ? (.start, .close) : (.setup, .teardown)
      #expect(events.first?.hook == ends.0)
      #expect(events.last?.hook == ends.1)
      // A replay of only the events confirms that none is missing or doubled.
      if source.kind == .scheduler {
        let state = SchedulerState()
        for event in events {
          state.apply(event)
          state.settle()
        }
        #expect(state.mismatchCount == 0)
        #expect(state.tasks.isEmpty)
      } else {
        let state = WorkerState()
        for event in events {
          state.apply(event)
          state.settle()
        }
        #expect(state.mismatchCount == 0)
      }
    }
    for (place, entry) in entries.enumerated()
    where entry.source.kind == .scheduler && entry.event.hook == .transition
      && entry.event.start == .processing
      && (entry.event.finish == .memory || entry.event.finish == .erred)
    {
      let before = entries[..<place].contains {
        $0.source.kind == .worker && $0.event.key == entry.event.key
          && $0.event.stimulusID == entry.event.stimulusID
          && ($0.event.finish == .memory || $0.event.finish == .error)
      }
      #expect(before, "the worker's event of \(entry.event) did not come before")
    }
  }
}
