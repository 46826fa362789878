import TestSupport
import Testing

@testable import Scheduling
@testable import TaskLogPlugin

/// Idle workers steal tasks from those that have too many.
@Suite struct StealingTests {
  /// Four tasks on `v`, which has one thread, and none on `w`, which has just joined.
  private static func unequal() throws -> HandDrivenScheduler {
    let scheduler = try HandDrivenScheduler(workers: [], workerSaturation: .infinity)
    try scheduler.add("v", threads: 1)
    for key in ["a", "b", "c", "d"] { try scheduler.submit([Key(key): []], keys: [Key(key)]) }
    try scheduler.add("w", threads: 1)
    return scheduler
  }

  private static func answer(
    _ state: State?, _ key: Key = "d", id: String = "steal-0", to scheduler: HandDrivenScheduler
  ) throws -> [String] {
    try scheduler.tell(.stealResponse(worker: "v", key: key, state: state, stimulusID: id))
  }

  @Test func `an idle worker gets the newest task, once the other has given it away`()
    throws
  {
    let scheduler = try Self.unequal()
    #expect(try scheduler.tell(.balance) == ["v <- steal d"])
    #expect(scheduler.core.state.tasks["d"]?.processingOn?.address == "v")
    #expect(
      try Self.answer(.ready, to: scheduler) == [
        "stimulus move-task d on=w run=5", "w <- compute d run=5",
      ])
    #expect(scheduler.core.state.tasks["d"]?.processingOn?.address == "w")
    #expect(scheduler.core.state.workers["v"]?.processing.map(\.key) == ["a", "b", "c"])
    try scheduler.finish("d", on: "w", run: 5)
    #expect(scheduler.state("d") == "memory")
  }

  @Test func `a running task is not stolen`() throws {
    let scheduler = try Self.unequal()
    try scheduler.tell(.balance)
    #expect(try Self.answer(.executing, to: scheduler) == [])
    #expect(scheduler.core.state.tasks["d"]?.processingOn?.address == "v")
    #expect(try scheduler.tell(.balance) == ["v <- steal d"])
  }

  @Test func `a task unknown to the victim, or without a waiting thief, is run again`()
    throws
  {
    let scheduler = try Self.unequal()
    try scheduler.tell(.balance)
    #expect(try Self.answer(nil, to: scheduler).contains("transition d processing>released on=v"))
    let other = try Self.unequal()
    try other.tell(.balance)
    try other.tell(.removeWorker(address: "w", expected: false))
    #expect(
      try Self.answer(.ready, to: other).contains("transition d waiting>processing on=v run=5"))
  }

  @Test func `an answer that arrives too late changes nothing`() throws {
    let scheduler = try Self.unequal()
    try scheduler.tell(.balance)
    #expect(try Self.answer(.ready, id: "steal-9", to: scheduler) == [])
    try scheduler.finish("d", on: "v", run: 4)
    #expect(try Self.answer(.ready, to: scheduler) == [])
    #expect(scheduler.core.inFlight.isEmpty)
    #expect(try Self.answer(.ready, "gone", to: scheduler) == [])
  }

  @Test func `no task is stolen if no worker is idle, or if it would not pay`() throws {
    let scheduler = try Self.unequal()
    try scheduler.tell(.balance)
    // One task is on its way to the only idle worker.
    #expect(try scheduler.tell(.balance) == [])
    let off = SchedulerCore(SchedulerCore.Options(workStealing: false)) { _ in }
    #expect(!off.mayBalance)
  }

  @Test func `a task is stolen only for a worker that may run it, and no long-running one is`()
    throws
  {
    let scheduler = try HandDrivenScheduler(workers: [])
    try scheduler.add("v", threads: 1)
    let tasks = (0..<3).map {
      NewTask(key: Key("m", $0), dependencies: [], workers: ["v"])
    }
    try scheduler.tell(.updateGraph(client: "c", tasks: tasks, keys: tasks.map(\.key)))
    try scheduler.add("w", threads: 1)
    #expect(try scheduler.tell(.balance) == [])
    let other = try Self.unequal()
    try other.tell(
      .longRunning(LongRunning(key: "d", worker: "v", taskRunID: 4, computeSeconds: 1)))
    #expect(try other.tell(.balance) == ["v <- steal c"])
  }

  @Test func `a worker gives away tasks that do not run yet`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("a", run: 1)
    try worker.compute("b", run: 2)
    try worker.compute("c", run: 3, with: [("x", ["v"])])
    #expect(
      try worker.tell(.stealRequest("b")) == [
        "transition b ready>released run=2", "transition b released>forgotten run=2",
        "s4: b is ready",
      ])
    #expect(try worker.tell(.stealRequest("a")) == ["s5: a is executing"])
    #expect(try worker.tell(.stealRequest("gone")) == ["s6: gone is unknown"])
    #expect(
      try worker.tell(.stealRequest("c")).contains("transition c waiting>released run=3"))
  }

  @Test func `a worker that joins late takes over tasks that wait on another`() async throws {
    let gate = Gate()
    let cluster = try await LocalCluster(
      workers: 1, workerSaturation: .infinity, stealingInterval: .milliseconds(1))
    await cluster.scheduler.addPlugin(Onlooker())
    let futures = cluster.client.map("wait", Array(0..<8)) { number in
      gate.wait()
      return TaskContext.current.map(\.worker) ?? ""
    }
    let first = await cluster.workers[0]
    #expect(
      await eventually {
        await cluster.scheduler.withPlugin(Onlooker.self) {
          $0.scheduler?.workers[first]?.processing.count == 8
        } == true
      })
    let second = try await cluster.addWorker()
    #expect(
      await eventually {
        await cluster.scheduler.withPlugin(Onlooker.self) {
          $0.scheduler?.workers[second]?.processing.isEmpty == false
        } == true
      })
    gate.open()
    let places = try await cluster.client.gather(futures)
    #expect(Set(places) == [first, second])
    await cluster.close()
  }
}
