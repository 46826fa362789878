import Testing

@testable import Scheduling
@testable import TaskLogPlugin

/// Data that a client scatters.
@Suite struct ScatterTests {
  private static func scatter(
    _ key: Key, to workers: [String], of scheduler: HandDrivenScheduler
  ) throws -> [String] {
    let data = ScatteredData(key: key, nbytes: 8, typeName: "Int")
    return try scheduler.tell(.updateData(client: "c", [(data, workers: workers)]))
  }

  @Test func `scattered data is in memory without a transition until its future is gone`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["v", "w"])
    #expect(
      try Self.scatter("x", to: ["v", "w"], of: scheduler) == [
        "stimulus update-data", "clientDesiresKeys", "c <- in memory x",
      ])
    #expect(scheduler.core.state.tasks["x"]?.isPureData == true)
    #expect(scheduler.core.state.workers["v"]?.nbytes == 8)
    #expect(
      try scheduler.release("x") == [
        "clientReleasesKeys", "transition x memory>forgotten", "v <- free x", "w <- free x",
      ])
  }

  @Test func `lost scattered data is forgotten, together with its dependents`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["v", "w"])
    _ = try Self.scatter("x", to: ["v"], of: scheduler)
    try scheduler.submit(["a": ["x"]], keys: ["a"])
    #expect(scheduler.core.state.tasks["a"]?.processingOn?.address == "v")
    let all = try scheduler.tell(.removeWorker(address: "v", expected: false))
    #expect(all.contains("transition x memory>forgotten"))
    #expect(all.contains("cancelled x"))
    #expect(all.contains("cancelled a"))
    #expect(scheduler.core.state.tasks.isEmpty)
  }

  @Test func `data for a task that is being computed is refused`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": []], keys: ["a"])
    #expect(
      try Self.scatter("a", to: ["w"], of: scheduler) == ["clientDesiresKeys", "w <- free a"])
    #expect(scheduler.state("a") == "processing")
  }

  @Test func `data in memory becomes a task if a graph defines its key`() throws {
    let scheduler = try HandDrivenScheduler()
    _ = try Self.scatter("x", to: ["w"], of: scheduler)
    try scheduler.submit(["x": []], keys: ["x"])
    #expect(scheduler.core.state.tasks["x"]?.isPureData == false)
    #expect(scheduler.state("x") == "memory")
  }

  @Test func `a worker stores data, also in place of a result that it waits for`() throws {
    let worker = HandDrivenWorker()
    let data = ScatteredData(key: "x", nbytes: 8, typeName: "Int")
    #expect(
      try worker.tell(.updateData([data])) == [
        "stimulus update-data on=w", "transition x released>memory",
      ])
    #expect(!worker.core.accepts("x"))
    #expect(
      try worker.free("x") == [
        "transition x memory>released", "transition x released>forgotten", "drop x",
      ])
    try worker.compute("b", run: 1, with: [("a", ["v"]), ("y", ["v"])])
    #expect(!worker.core.accepts("y"))
    try worker.compute("c", run: 2, with: [("z", ["v"])])
    #expect(worker.state("z") == "fetch")
    let other = ScatteredData(key: "z", nbytes: 8, typeName: "Int")
    #expect(
      try worker.tell(.updateData([other])) == [
        "stimulus update-data on=w", "transition z fetch>released", "transition z released>memory",
        "transition c waiting>ready run=2", "transition c ready>executing run=2",
        "execute c run=2",
      ])
  }

  @Test func `scattered values are inputs of tasks, wherever they run`() async throws {
    try await withCluster(workers: 2) { cluster in
      let client = cluster.client
      let numbers = try await client.scatter([1, 2, 3, 4])
      expect(try await client.gather(numbers), is: [1, 2, 3, 4])
      let sum = client.submit("sum", all: numbers) { $0.reduce(0, +) }
      expect(try await sum.result(), is: 10)
    }
  }

  @Test func `equal values have one key, unless they are not hashed`() async throws {
    try await withCluster { cluster in
      let client = cluster.client
      let first = try await client.scatter(["x", "y", "x"])
      #expect(first[0].key == first[2].key)
      #expect(first[0].key != first[1].key)
      let again = try await client.scatter(["x"])
      #expect(again[0].key == first[0].key)
      let apart = try await client.scatter(["x"], hash: false)
      #expect(apart[0].key != first[0].key)
      expect(try await apart[0].result(), is: "x")
      expect(try await again[0].result(), is: "x")
    }
  }

  @Test func `a broadcast value is on every worker`() async throws {
    try await withCluster(workers: 3) { cluster in
      await cluster.scheduler.addPlugin(Onlooker())
      let future = try await cluster.client.scatter([7], broadcast: true)[0]
      let holders = await cluster.scheduler.withPlugin(Onlooker.self) {
        $0.scheduler?.tasks[future.key]?.whoHas.count
      }
      #expect(holders == 3)
    }
  }

  @Test func `scattering to an unknown worker throws`() async throws {
    try await withCluster { cluster in
      do {
        _ = try await cluster.client.scatter([1], workers: ["nowhere"])
        Issue.record("nothing was thrown")
      } catch ClusterError.noWorkers {
      }
    }
  }

  @Test func `a future of data that died with its worker fails, and is not awaited for ever`()
    async throws
  {
    try await withCluster(workers: 2) { cluster in
      let target = await cluster.workers[0]
      let future = try await cluster.client.scatter([1], workers: [target])[0]
      try await cluster.killWorker(target)
      do {
        _ = try await future.result()
        Issue.record("nothing was thrown")
      } catch ClusterError.cancelled {
      }
    }
  }
}

/// Retains the scheduler for inspection.
final class Onlooker: SchedulerPlugin {
  var scheduler: Scheduler?

  nonisolated(nonsending) func start(scheduler: Scheduler) async throws {
    self.scheduler = scheduler
  }
}
