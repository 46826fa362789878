import Synchronization
import TaskLogPlugin
import TestSupport
import Testing

@testable import Scheduling

/// The calls in order; preloads are created by the cluster, which only knows their options.
private let ledgers = Mutex<[String: [String]]>([:])

private func note(_ line: String, _ name: String) {
  ledgers.withLock { $0[name, default: []].append(line) }
}

private func ledger(_ name: String) -> [String] { ledgers.withLock { $0[name] ?? [] } }

private final class Added: SchedulerPlugin {
  private let ledger: String
  init() { ledger = "" }
  init(ledger: String) { self.ledger = ledger }

  func start(scheduler: Scheduler) { note("plugin starts", ledger) }
  func addWorker(scheduler: Scheduler, worker: String) { note("plugin: a worker", ledger) }
  func beforeClose() { note("plugin: before close", ledger) }
  func close() { note("plugin closes", ledger) }
}

private final class Setup: Preload {
  private let ledger: String
  private let mustFail: Bool

  init() { fatalError("is made with options") }

  init(options: [String: String]) throws {
    ledger = options["ledger"] ?? ""
    mustFail = options["fail"] != nil
    if options["refuse"] != nil { throw Broken() }
  }

  func setup(scheduler: Scheduler) throws {
    note("set up beside \(scheduler.workers.count) workers", ledger)
    if mustFail { throw Broken() }
    scheduler.addPlugin(Added(ledger: ledger))
  }

  func teardown(scheduler: Scheduler) {
    note("torn down beside \(scheduler.workers.count) workers", ledger)
  }
}

/// Is a preload and a plugin, on the scheduler and on workers.
private final class Everything: Preload, SchedulerPlugin, WorkerPlugin {
  private let ledger: String
  init() { ledger = "" }
  init(options: [String: String]) { ledger = options["ledger"] ?? "" }

  func setup(scheduler: Scheduler) { note("preload", ledger) }
  func start(scheduler: Scheduler) { note("plugin", ledger) }
  func setup(worker: Worker) { note("on worker \(worker.name)", ledger) }
  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {}
}

/// Adds a plugin in the middle of a run.
private final class Late: SchedulerPlugin {
  private let ledger: String
  private var hasAdded = false
  init() { ledger = "" }
  init(ledger: String) { self.ledger = ledger }

  func updateGraph(
    scheduler: Scheduler, client: String, keys: [Key], tasks: [Key], annotations: Value,
    priority: OrderedMap<Key, Priority>, stimulusID: String, args: Args
  ) {
    if !hasAdded { scheduler.addPlugin(Added(ledger: ledger)) }
    hasAdded = true
  }
}

@Suite struct PreloadTests {
  @Test func `a preload is set up first and torn down before plugins close`()
    async throws
  {
    let cluster = try await LocalCluster(
      workers: 2, preloads: [PreloadSpec(Setup.self, options: ["ledger": "order"])])
    await cluster.close()
    #expect(
      ledger("order") == [
        "set up beside 0 workers", "plugin starts", "plugin: a worker", "plugin: a worker",
        "plugin: before close", "torn down beside 2 workers", "plugin closes",
      ])
  }

  @Test func `one class can be everything that is preloaded`() async throws {
    let cluster = try await LocalCluster(
      workers: 2, preloads: [PreloadSpec(Everything.self, options: ["ledger": "all"])])
    await cluster.close()
    #expect(ledger("all") == ["preload", "plugin", "on worker 0", "on worker 1"])
  }

  @Test func `an error of setup is reported, and the cluster runs all the same`() async throws {
    let cluster = try await LocalCluster(
      workers: 1, preloads: [PreloadSpec(Setup.self, options: ["ledger": "failed", "fail": ""])])
    expect(try await cluster.client.submit("one") { 1 }.result(), is: 1)
    await cluster.close()
    #expect(
      ledger("failed") == ["set up beside 0 workers", "torn down beside 1 workers"])
  }

  @Test func `a preload that cannot be created is an error of the cluster`() async throws {
    await #expect(throws: Broken.self) {
      _ = try await LocalCluster(
        workers: 1, preloads: [PreloadSpec(Setup.self, options: ["refuse": ""])])
    }
  }

  @Test func `a plugin may add another in the middle of a run`() async throws {
    let cluster = try await LocalCluster(workers: 1)
    await cluster.scheduler.addPlugin(Late(ledger: "late"))
    expect(try await cluster.client.submit("one") { 1 }.result(), is: 1)
    #expect(await eventually { ledger("late") == ["plugin starts"] })
    await cluster.close()
    #expect(ledger("late") == ["plugin starts", "plugin: before close", "plugin closes"])
  }
}
