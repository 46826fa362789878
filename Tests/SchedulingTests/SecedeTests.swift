import TestSupport
import Testing

@testable import Scheduling
@testable import TaskLogPlugin

/// Tasks that leave their thread, reschedule themselves, or submit others.
@Suite struct SecedeTests {
  @Test func `a task that secedes frees its thread, and ends like any other`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("a", run: 1)
    try worker.compute("b", run: 2)
    #expect(
      try worker.tell(.secede("a", computeSeconds: 3)) == [
        "transition a executing>long-running run=1", "transition b ready>executing run=2",
        "long-running a run=1 after 3.0", "execute b run=2",
      ])
    #expect(
      try worker.succeed("a", run: 1) == [
        "transition a long-running>memory run=1", "finished a run=1 nbytes=8",
      ])
    try worker.tell(.secede("b", computeSeconds: 1))
    #expect(
      try worker.fail("b", run: 2) == [
        "transition b long-running>error run=2", "erred b run=2 broken",
      ])
    #expect(try worker.tell(.secede("gone", computeSeconds: 1)) == [])
  }

  @Test func `a long-running task that is freed and wanted again reports that again`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("a", run: 1)
    try worker.tell(.secede("a", computeSeconds: 3))
    #expect(try worker.free("a") == ["transition a long-running>cancelled run=1"])
    #expect(
      try worker.compute("a", run: 2) == [
        "stimulus compute-task a run=2", "transition a cancelled>long-running run=2",
        "long-running a run=2",
      ])
  }

  @Test func `a cancelled task that secedes does not notify the scheduler`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("a", run: 1)
    try worker.compute("b", run: 2)
    try worker.free("a")
    #expect(
      try worker.tell(.secede("a", computeSeconds: 3)) == [
        "transition a cancelled>cancelled run=1", "transition b ready>executing run=2",
        "execute b run=2",
      ])
    #expect(worker.core.state.tasks["a"]?.previous == .longRunning)
    #expect(try worker.succeed("a", run: 1).last == "drop a")
  }

  @Test func `a resumed task that secedes is fetched once it has failed`() throws {
    let worker = HandDrivenWorker(nthreads: 2)
    try worker.compute("a", run: 1)
    try worker.free("a")
    try worker.compute("b", run: 2, with: [("a", ["v"])])
    #expect(worker.state("a") == "resumed")
    #expect(
      try worker.tell(.secede("a", computeSeconds: 3)) == ["transition a resumed>resumed run=1"])
    #expect(try worker.fail("a", run: 1).last == "gather a from v")
    try worker.receive("a", from: "v")
    #expect(worker.state("b") == "executing")
  }

  @Test func `a task that reschedules itself is released, and the scheduler is notified`() throws {
    for secedes in [false, true] {
      let worker = HandDrivenWorker()
      try worker.compute("a", run: 1)
      if secedes { try worker.tell(.secede("a", computeSeconds: 1)) }
      let state = secedes ? "long-running" : "executing"
      #expect(
        try worker.tell(.reschedule("a")) == [
          "transition a \(state)>rescheduled run=1", "transition a released>forgotten run=1",
          "reschedule a",
        ])
      #expect(worker.core.state.tasks.isEmpty)
    }
  }

  @Test func `a cancelled task that reschedules itself does not notify the scheduler`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("a", run: 1)
    try worker.free("a")
    #expect(
      try worker.tell(.reschedule("a")) == [
        "transition a cancelled>released run=1", "transition a released>forgotten run=1", "drop a",
      ])
  }

  @Test func `a resumed task that reschedules itself is fetched`() throws {
    let worker = HandDrivenWorker(nthreads: 2)
    try worker.compute("a", run: 1)
    try worker.free("a")
    try worker.compute("b", run: 2, with: [("a", ["v"])])
    #expect(
      try worker.tell(.reschedule("a")) == [
        "transition a resumed>rescheduled run=1", "transition a released>fetch run=1",
        "transition a fetch>flight run=1", "gather a from v",
      ])
  }

  @Test func `a task that has rescheduled itself is run again`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": []], keys: ["a"])
    #expect(try scheduler.tell(.reschedule(worker: "other", key: "a")) == [])
    #expect(
      try scheduler.tell(.reschedule(worker: "w", key: "a")) == [
        "transition a processing>released on=w", "transition a released>waiting",
        "transition a waiting>processing on=w run=2", "w <- free a", "w <- compute a run=2",
      ])
  }

  @Test func `an outdated message about seceding is ignored`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": []], keys: ["a"])
    let message = LongRunning(key: "a", worker: "w", taskRunID: 7, computeSeconds: 1)
    #expect(try scheduler.tell(.longRunning(message)) == [])
    #expect(scheduler.core.state.workers["w"]?.longRunning.isEmpty == true)
  }

  // MARK: - Live

  @Test func `a task that throws Reschedule is run again`() async throws {
    try await withCluster { cluster in
      let runs = Counter()
      let future = cluster.client.submit("again") {
        if runs.add() < 3 { throw Reschedule() }
        return 5
      }
      expect(try await future.result(), is: 5)
      #expect(runs.value == 3)
    }
  }

  @Test func `a task submits others, leaves its thread to them and takes it back`() async throws {
    try await withCluster(workers: 1, threads: 1) { cluster in
      let future = cluster.client.submit("outer") {
        guard let context = TaskContext.current else { throw Broken() }
        context.secede()
        let inner = context.client.map("inner", Array(1...5)) { $0 * $0 }
        let sum = context.client.submit("sum", all: inner) { $0.reduce(0, +) }
        let total = try context.result(of: sum)
        context.rejoin()
        return total
      }
      expect(try await future.result(), is: 55)
      expect(try await cluster.client.submit("after") { 1 }.result(), is: 1)
    }
  }

  @Test func `an async task waits for the tasks that it has submitted`() async throws {
    try await withCluster(workers: 1, threads: 1) { cluster in
      let future: Future<Int> = cluster.client.submit("outer") {
        guard let context = TaskContext.current else { throw Broken() }
        context.secede()
        let inner = context.client.map("inner", Array(1...5)) { $0 * $0 }
        return try await context.client.gather(inner).reduce(0, +)
      }
      let doubled: Future<Int> = cluster.client.submit("double", future) { number in
        await Task.yield()
        return number * 2
      }
      expect(try await doubled.result(), is: 110)
    }
  }

  @Test func `an async task fails like any other`() async throws {
    try await withCluster { cluster in
      let future: Future<Int> = cluster.client.submit("fail") {
        await Task.yield()
        throw Broken()
      }
      do {
        _ = try await future.result()
        Issue.record("nothing was thrown")
      } catch let error as TaskError {
        #expect(error.exceptionText == "broken on purpose")
      }
    }
  }

  @Test func `tasks that a task submits come before tasks submitted together with it`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": []], keys: ["a"])
    try scheduler.tell(
      .updateGraph(
        NewGraph(
          client: "c", tasks: [NewTask(key: "b", dependencies: [])], keys: ["b"],
          submittingTask: "a")))
    let (a, b) = (scheduler.core.state.tasks["a"]!, scheduler.core.state.tasks["b"]!)
    #expect(b.priority! < a.priority!)
  }

  @Test func `a fire-and-forget task runs, and then the scheduler forgets it`() async throws {
    try await withCluster { cluster in
      let runs = Counter()
      await cluster.scheduler.addPlugin(Onlooker())
      do {
        let future = cluster.client.submit("fire") { runs.add() }
        cluster.client.fireAndForget(future)
      }
      let isOver = await eventually {
        let isEmpty = await cluster.scheduler.withPlugin(Onlooker.self) {
          $0.scheduler?.tasks.isEmpty
        }
        return runs.value == 1 && isEmpty == true
      }
      #expect(isOver)
    }
  }

  @Test func `a fire-and-forget task has no future, and is forgotten when it is done`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": [], "b": []], keys: ["a", "b"])
    let both = SchedulerStimulus.clientDesiresKeys(client: "fire-and-forget", keys: ["a", "b"])
    #expect(try scheduler.tell(both) == ["clientDesiresKeys"])
    #expect(try scheduler.release("a", "b") == ["clientReleasesKeys"])
    #expect(
      try scheduler.finish("a", run: 1) == [
        "transition a processing>memory on=w run=1", "clientReleasesKeys",
        "transition a memory>forgotten", "fire-and-forget <- in memory a", "w <- free a",
      ])
    #expect(try scheduler.fail("b", run: 2).contains("transition b released>forgotten"))
    #expect(scheduler.core.state.tasks.isEmpty)
  }
}

/// Counts across threads.
final class Counter: Sendable {
  private let count = Lock(0)

  var value: Int { count.withLock { $0 } }

  @discardableResult
  func add() -> Int {
    count.withLock { count in
      count += 1
      return count
    }
  }
}
