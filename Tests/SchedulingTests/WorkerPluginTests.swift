import Testing

@testable import Scheduling
@testable import TaskLogPlugin

/// Records its life in a ledger that all instances share.
private final class Lifer: WorkerPlugin {
  final class Ledger: Sendable {
    let lines = Lock<[String]>([])
    let made = Lock(0)
    func note(_ line: String) { lines.withLock { $0.append(line) } }
  }

  private var ledger: Ledger?
  private var number = 0
  private var isIdempotent = false

  init() {}

  init(_ ledger: Ledger, idempotent: Bool = false) {
    self.ledger = ledger
    isIdempotent = idempotent
    number = ledger.made.withLock { made in
      made += 1
      return made
    }
  }

  var idempotent: Bool { isIdempotent }

  nonisolated(nonsending) func setup(worker: Worker) async throws {
    ledger?.note("setup \(number) on \(worker.name)")
  }

  nonisolated(nonsending) func teardown(worker: Worker) async throws {
    ledger?.note("teardown \(number) on \(worker.name)")
  }
}

/// Permits only some workers to be removed.
private final class Keeper: SchedulerPlugin {
  func validWorkersDownscaling(scheduler: Scheduler, workers: [WorkerInfo]) -> [WorkerInfo] {
    workers.filter { $0.facts.name != 0 }
  }
}

/// Keeps all events of the scheduler.
private final class Events: RecordingPlugin {
  final class Channel: EventChannel {
    let events = Lock<[Event]>([])
    func record(_ event: Event) { events.withLock { $0.append(event) } }
  }

  let scheduler = Channel()
  func channel(for source: Source) -> any EventChannel {
    source.kind == .scheduler ? scheduler : Channel()
  }
  func finish() async {}
}

/// Plugins that are on every worker, present and future.
@Suite struct WorkerPluginTests {
  @Test func `each worker has an instance, a worker that joins later too`() async throws {
    try await withCluster(workers: 2) { cluster in
      let ledger = Lifer.Ledger()
      await cluster.client.registerPlugin { Lifer(ledger) }
      try await cluster.addWorker()
      let lines = ledger.lines.withLock { $0 }
      #expect(lines == ["setup 1 on 0", "setup 2 on 1", "setup 3 on 2"])
    }
  }

  @Test func `a plugin of the same name replaces the first, unless it is idempotent`()
    async throws
  {
    try await withCluster(workers: 1) { cluster in
      let (ledger, other) = (Lifer.Ledger(), Lifer.Ledger())
      await cluster.client.registerPlugin { Lifer(ledger) }
      await cluster.client.registerPlugin { Lifer(ledger) }
      await cluster.client.registerPlugin { Lifer(other, idempotent: true) }
      await cluster.client.registerPlugin(name: "another") { Lifer(other, idempotent: true) }
      try await cluster.addWorker()
      #expect(
        ledger.lines.withLock { $0 } == [
          "setup 1 on 0", "teardown 1 on 0", "setup 2 on 0", "setup 3 on 1",
        ])
      #expect(other.lines.withLock { $0 } == ["setup 2 on 0", "setup 3 on 1"])
    }
  }

  @Test func `a plugin that is unregistered is torn down, and not on later workers`() async throws {
    try await withCluster(workers: 2) { cluster in
      let ledger = Lifer.Ledger()
      await cluster.client.registerPlugin { Lifer(ledger) }
      try await cluster.client.unregisterWorkerPlugin("Lifer")
      try await cluster.addWorker()
      #expect(
        ledger.lines.withLock { $0 } == [
          "setup 1 on 0", "setup 2 on 1", "teardown 1 on 0", "teardown 2 on 1",
        ])
      do {
        try await cluster.client.unregisterWorkerPlugin("Lifer")
        Issue.record("nothing was thrown")
      } catch ClusterError.unknownPlugin(let name) {
        #expect(name == "Lifer")
      }
    }
  }

  @Test func `plugins say which workers may be removed, and that is recorded`() async throws {
    let events = Events()
    let cluster = try await LocalCluster(workers: 3, recorder: events, plugins: [Keeper()])
    let workers = await cluster.workers
    expect(await cluster.scheduler.workersToClose(), is: [workers[1], workers[2]])
    expect(await cluster.scheduler.workersToClose(1), is: [workers[1]])
    expect(await cluster.scheduler.workersToClose(minimum: 2), is: [workers[1]])
    let event = events.scheduler.events.withLock {
      $0.first { $0.hook == .validWorkersDownscaling }
    }
    #expect(event?.args["workers"]?.elements?.count == 3)
    #expect(
      event?.args["answer"]?.elements == [.string(workers[1]), .string(workers[2])])
    await cluster.close()
  }
}
