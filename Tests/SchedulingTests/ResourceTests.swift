import Testing

@testable import Scheduling
@testable import TaskLogPlugin

/// Tasks that require resources that only some workers have, and only in limited amounts.
@Suite struct ResourceTests {
  private static let gpu = [Resource("GPU", 1)]

  private static func submit(
    _ key: Key, to scheduler: HandDrivenScheduler, _ resources: [Resource] = gpu
  ) throws -> [String] {
    try scheduler.tell(
      .updateGraph(
        client: "c", tasks: [NewTask(key: key, dependencies: [], resources: resources)],
        keys: [key]))
  }

  @Test func `a task is assigned to a worker with enough resources, or waits for one`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["u", "v"])
    #expect(try Self.submit("a", to: scheduler).last == "transition a waiting>no-worker")
    try scheduler.add("w", resources: [Resource("GPU", 0.5)])
    #expect(scheduler.state("a") == "no-worker")
    #expect(
      try scheduler.add("x", resources: Self.gpu) == [
        "addWorker on=x", "transition a no-worker>processing on=x run=1", "x <- compute a run=1",
      ])
    #expect(scheduler.core.state.workers["x"]?.usedResources["GPU"] == 1)
    try scheduler.finish("a", on: "x", run: 1)
    #expect(scheduler.core.state.workers["x"]?.usedResources["GPU"] == 0)
  }

  @Test func `a task that no worker could run for too long errs`() throws {
    let scheduler = try HandDrivenScheduler()
    _ = try Self.submit("a", to: scheduler)
    #expect(
      try scheduler.tell(.noWorkersTimeout(nanoseconds: 0)) == [
        "transition a no-worker>erred",
        "c <- erred a by a: NoValidWorkerError: no worker meets the restrictions of task 'a'",
      ])
  }

  @Test func `tasks of a worker run while resources suffice, and others overtake them`() throws {
    let worker = HandDrivenWorker(nthreads: 3, resources: Self.gpu)
    try worker.compute("a", run: 1, resources: Self.gpu)
    #expect(
      try worker.compute("b", run: 2, resources: Self.gpu) == [
        "stimulus compute-task b run=2", "transition b released>waiting run=2",
        "transition b waiting>waiting run=2", "transition b waiting>constrained run=2",
      ])
    #expect(try worker.compute("c", run: 3).last == "execute c run=3")
    #expect(worker.core.availableResources["GPU"] == 0)
    #expect(
      try worker.succeed("a", run: 1) == [
        "transition a executing>memory run=1", "transition b constrained>executing run=2",
        "finished a run=1 nbytes=8", "execute b run=2",
      ])
  }

  @Test func `the more urgent one of a ready and a constrained task runs first`() throws {
    let worker = HandDrivenWorker(nthreads: 1, resources: Self.gpu)
    try worker.compute("a", run: 1)
    try worker.compute("late", run: 2, priority: 9, resources: Self.gpu)
    try worker.compute("ready", run: 3, priority: 5)
    try worker.compute("early", run: 4, priority: 1, resources: Self.gpu)
    #expect(try worker.succeed("a", run: 1).last == "execute early run=4")
    #expect(try worker.fail("early", run: 4).last == "execute ready run=3")
    #expect(try worker.succeed("ready", run: 3).last == "execute late run=2")
  }

  @Test func `a constrained task that is freed is forgotten`() throws {
    let worker = HandDrivenWorker(nthreads: 2, resources: Self.gpu)
    try worker.compute("a", run: 1, resources: Self.gpu)
    try worker.compute("b", run: 2, resources: Self.gpu)
    #expect(
      try worker.free("b") == [
        "transition b constrained>released run=2", "transition b released>forgotten run=2",
      ])
  }

  @Test func `the resources of a cancelled task are returned when it ends`() throws {
    let worker = HandDrivenWorker(nthreads: 2, resources: Self.gpu)
    try worker.compute("a", run: 1, resources: Self.gpu)
    try worker.free("a")
    try worker.compute("b", run: 2, resources: Self.gpu)
    #expect(worker.state("b") == "constrained")
    try worker.succeed("a", run: 1)
    #expect(worker.state("b") == "executing")
  }

  @Test func `no more tasks run at a time than a cluster's resources allow`() async throws {
    let running = Lock((now: 0, most: 0))
    let cluster = try await LocalCluster(
      workers: 1, threadsPerWorker: 4, resources: ["GPU": 1])
    let futures = cluster.client.map("use", Array(0..<20), resources: ["GPU": 1]) { number in
      running.withLock {
        $0.now += 1
        $0.most = max($0.most, $0.now)
      }
      defer { running.withLock { $0.now -= 1 } }
      return number
    }
    expect(try await cluster.client.gather(futures), is: Array(0..<20))
    #expect(running.withLock { $0.most } == 1)
    await cluster.close()
  }
}
