import Testing

@testable import EventLog
@testable import Explaining
@testable import LogAnalysis
@testable import LogFormat
@testable import TaskLogPlugin

/// What the worker `tcp://w:1` did at a moment, on literal events in seconds.
@Suite struct IdleTests {
  private static let address = PlantedCluster.address
  private static let other = "tcp://w:2"
  let cluster: PlantedCluster

  init() throws { cluster = try PlantedCluster() }

  /// The last event of the run.
  private func ends(_ time: Double = 20) throws {
    try cluster.log.append([
      Event(.addClient, time: PlantedCluster.at(time), args: Args(named: [.init("client", "d")]))
    ])
    cluster.log.writer.close()
  }

  private func found(
    at seconds: Double = 10, worker: String = address
  ) throws -> [IdleWorker]? {
    try ends()
    let reader = try LogReader(path: cluster.log.path)
    return try reader.idleReasons(
      of: reader.latest(), worker: worker, at: .time(PlantedCluster.at(seconds)))
  }

  /// The sentences ten seconds after the start.
  private func told(at seconds: Double = 10) throws -> [String] {
    try (found(at: seconds) ?? []).flatMap(\.reasons).map { "\($0.kind.rawValue): \($0.sentence)" }
  }

  /// A task that runs at the worker.
  private func run(_ key: String) throws {
    try cluster.submit([key])
    try cluster.sent(Key(key))
    try cluster.atWorker(Key(key), [.waiting, .ready, .executing])
  }

  @Test func `a worker that runs a task was not idle`() throws {
    try run("a")
    #expect(
      try told() == ["running: Worker tcp://w:1 was not idle: its thread ran 'a' for 7.0 s."])
  }

  @Test func `a task that is cancelled while it runs keeps its thread`() throws {
    try run("a")
    try cluster.log.append(
      [.transition("a", .executing, .cancelled, time: PlantedCluster.at(4), run: 1)],
      source: cluster.worker)
    #expect(
      try told() == ["running: Worker tcp://w:1 was not idle: its thread ran 'a' for 6.0 s."])
  }

  @Test func `a worker is found by its name and its server ID, and no other is`() throws {
    try ends()
    let reader = try LogReader(path: cluster.log.path)
    func workers(_ name: String) throws -> [String]? {
      try reader.idleReasons(of: reader.latest(), worker: name)?.map(\.worker)
    }
    #expect(try workers("1") == [Self.address])
    #expect(try workers("Worker-1") == [Self.address])
    #expect(try workers("tcp://*") == [Self.address])
    #expect(try workers("elsewhere") == nil)
  }

  @Test func `without any task there was none`() throws {
    #expect(try told() == ["no-tasks: No task was unfinished: none had ended until then."])
  }

  @Test func `between tasks the last end is named`() throws {
    try run("a")
    try cluster.atWorker("a", [.memory], 4)
    try cluster.log.append([
      .transition("a", .processing, .memory, time: PlantedCluster.at(5), worker: Self.address)
    ])
    let reasons = try found()?.first?.reasons
    #expect(
      reasons?.map(\.sentence) == ["No task was unfinished: the last one had ended 5.0 s before."])
    #expect(reasons?.first?.evidence.count == 1)
  }

  @Test func `tasks that wait for one that runs are not ready`() throws {
    let other = try cluster.joins(Self.other)
    try cluster.submit(["a", "b", "c"])
    try cluster.sent("a", to: Self.other)
    try cluster.atWorker("a", [.waiting, .ready, .executing], source: other)
    #expect(
      try told() == [
        "nothing-ready: No task was ready to run: of 3 tasks that were unfinished, 1 ran and 2 waited "
          + "for others. Task 'a' was processing on worker tcp://w:2 for 8.0 s."
      ])
  }

  // MARK: - The worker itself

  private func status(_ status: String, at seconds: Double) -> Event {
    Event(
      .stimulus, time: PlantedCluster.at(seconds), worker: Self.address,
      args: Args(named: [.init("op", "worker-status-change"), .init("status", .string(status))]))
  }

  @Test func `a paused worker says since when, and what is ready there`() throws {
    try cluster.submit(["a"])
    try cluster.sent("a")
    try cluster.atWorker("a", [.waiting, .ready])
    try cluster.log.append([status("paused", at: 4)])
    #expect(
      try told() == [
        "paused: Worker tcp://w:1 had been paused for 6.0 s for want of memory: it gets no tasks and "
          + "starts none. Task 'a' was ready there."
      ])
  }

  @Test func `a worker that is paused later was not paused`() throws {
    try cluster.log.append([status("paused", at: 11)])
    #expect(try told().first?.hasPrefix("no-tasks: ") == true)
  }

  @Test func `a worker that is closing gets no tasks`() throws {
    try cluster.log.append([status("closing_gracefully", at: 9)])
    #expect(
      try told() == ["closing: Worker tcp://w:1 had been closing for 1.0 s: it gets no tasks."])
  }

  @Test func `a worker that has left says when`() throws {
    try cluster.log.append([
      Event(.removeWorker, time: PlantedCluster.at(7), worker: Self.address)
    ])
    #expect(try told() == ["left: Worker tcp://w:1 had left 3.0 s before."])
  }

  @Test func `a worker that joins later says when`() throws {
    var joins = PlantedCluster.joins(Self.other)
    joins.time = PlantedCluster.at(15)
    try cluster.log.append([joins])
    let reasons = try found(worker: Self.other)?.first?.reasons
    #expect(
      reasons?.map(\.sentence) == ["Worker tcp://w:2 had not joined: it did 5.0 s later."])
  }

  @Test func `a worker that is set up later was being started`() throws {
    try cluster.log.append(
      [Event(.setup, time: PlantedCluster.at(12))], source: cluster.worker)
    #expect(
      try told() == ["starting: Worker tcp://w:1 was being started: it was ready 2.0 s later."])
  }

  @Test func `outside of the run nothing is known`() throws {
    #expect(try told(at: 25) == ["unknown: The last event of the run came 5.0 s before."])
  }

  // MARK: - Tasks that it has

  /// The scheduler asks the worker for b, which needs a from another worker.
  private func needs(_ whoHas: [Value] = [.string(other)]) throws {
    _ = try cluster.joins(Self.other)
    try cluster.submit(["a", "b"])
    try cluster.sent("a", to: Self.other)
    try cluster.log.append([
      .transition(
        "a", .processing, .memory, time: PlantedCluster.at(2), worker: Self.other)
    ])
    try cluster.sent("b")
    let args = Args(named: [
      .init("op", "compute-task"), .init("who_has", .object(["a": .list(whoHas)])),
      .init("nbytes", .object(["a": 2048])),
    ])
    try cluster.log.append(
      [
        Event(
          .stimulus, time: PlantedCluster.at(2), key: "b", taskRunID: 1, args: args)
      ], source: cluster.worker)
    try cluster.atWorker("b", [.waiting])
  }

  @Test func `an input on its way is named with where it comes from`() throws {
    try needs()
    try cluster.atWorker("a", [.fetch], 3)
    try cluster.log.append(
      [
        Event(
          .transition, time: PlantedCluster.at(4), key: "a", start: .fetch, finish: .flight,
          snapshot: .task(TaskSnapshot(comingFrom: Self.other)))
      ], source: cluster.worker)
    let reasons = try found()?.first?.reasons
    #expect(
      reasons?.map(\.sentence) == [
        "Worker tcp://w:1 waited for input 'a' (2.0 KiB), which was on its way from worker tcp://w:2 for "
          + "6.0 s. Task 'b' needs it."
      ])
    #expect(reasons?.map(\.kind) == [.data])
    #expect(reasons?.map(\.other) == [Self.other])
  }

  @Test func `an input that was not requested says who has it`() throws {
    try needs()
    try cluster.atWorker("a", [.fetch], 4)
    #expect(
      try told() == [
        "data: Worker tcp://w:1 waited for input 'a' (2.0 KiB), which worker tcp://w:2 had and "
          + "which it had not requested yet. Task 'b' needs it."
      ])
  }

  @Test func `an input that no worker has is missing`() throws {
    try needs([])
    try cluster.atWorker("a", [.missing], 4)
    #expect(
      try told() == [
        "data: Worker tcp://w:1 waited for input 'a' (2.0 KiB), which no worker was known to have for "
          + "6.0 s. Task 'b' needs it."
      ])
  }

  @Test func `a task that has all inputs may not be started yet`() throws {
    try cluster.submit(["a"])
    try cluster.sent("a")
    try cluster.atWorker("a", [.waiting, .ready], 9.5)
    #expect(
      try told() == [
        "ready: Task 'a' had all inputs for 500 ms and was not started: the worker's event loop was "
          + "late, or it read inputs from disk."
      ])
  }

  @Test func `a task that the worker has not recorded was not received`() throws {
    try cluster.submit(["a"])
    try cluster.sent("a")
    #expect(
      try told() == [
        "not-received: Task 'a' had been sent to worker tcp://w:1 8.0 s before, and the worker had "
          + "recorded nothing of it."
      ])
  }

  @Test func `a task may wait for a resource of the worker`() throws {
    try cluster.submit(["a"])
    try cluster.sent("a")
    let args = Args(named: [
      .init("op", "compute-task"), .init("resource_restrictions", .dict([.init("GPU", 1.0)])),
    ])
    try cluster.log.append(
      [
        Event(.stimulus, time: PlantedCluster.at(2), key: "a", taskRunID: 1, args: args)
      ], source: cluster.worker)
    try cluster.atWorker("a", [.waiting, .constrained])
    #expect(
      try told() == [
        "resources: Task 'a' waited for 7.0 s for 1 of GPU of worker tcp://w:1, which other tasks used."
      ])
  }

  // MARK: - The scheduler

  @Test func `a queued task that has room waits for the scheduler`() throws {
    try cluster.submit(["a"])
    try cluster.log.append([
      .transition("a", .waiting, .queued, time: PlantedCluster.at(9)),
      Event(
        .monitor, time: PlantedCluster.at(9.5), args: Args(named: [.init("late", .double(0.5))])),
    ])
    #expect(
      try told() == [
        "scheduler: Task 'a' was queued at the scheduler for 1.0 s, which had not sent it yet although "
          + "worker tcp://w:1 had room. Its event loop was 500 ms late when it last measured that."
      ])
  }

  @Test func `a worker that has its tasks is saturated`() throws {
    try needs()
    // What it has would not fill two threads.
    try cluster.log.append([PlantedCluster.joins(threads: 2)])
    try cluster.submit(["q"])
    try cluster.sent("b")
    try cluster.log.append([.transition("q", .waiting, .queued, time: PlantedCluster.at(9))])
    try cluster.atWorker("a", [.fetch], 4)
    try cluster.submit(["s"])
    try cluster.sent("s")
    try cluster.atWorker("s", [.waiting, .ready, .executing, .longRunning])
    let kinds = try found()?.first?.reasons.map(\.kind)
    #expect(kinds == [.data, .saturation])
  }

  @Test func `a result that the scheduler has not recorded keeps a task from it`() throws {
    let other = try cluster.joins(Self.other)
    try cluster.submit(["a", "b"])
    try cluster.sent("a", to: Self.other)
    try cluster.atWorker("a", [.waiting, .ready, .executing, .memory], 9, source: other)
    #expect(
      try told() == [
        "scheduler: Task 'b' waited only for results that the scheduler had not recorded yet: task 'a' "
          + "had ended 1.0 s before."
      ])
  }

  @Test func `a task that waits for nothing was not sent`() throws {
    try cluster.submit(["a"])
    #expect(
      try told() == [
        "scheduler: Task 'a' waited for 9.0 s for no other task, and the scheduler had not sent it yet."
      ])
  }

  // MARK: - Others

  /// A task runs on another worker, and a second one is ready there.
  private func readyElsewhere(_ restrictions: [Value.Entry] = []) throws {
    let other = try cluster.joins(Self.other)
    for key in ["a", "b"] {
      try cluster.submit([key], restrictions: key == "b" ? restrictions : [])
      try cluster.sent(Key(key), to: Self.other)
      try cluster.atWorker(
        Key(key), [.waiting, .ready] + (key == "a" ? [.executing] : []), source: other)
    }
  }

  @Test func `a task that is ready on another worker could have run here`() throws {
    try readyElsewhere()
    #expect(
      try told() == [
        "elsewhere: Task 'b' was ready on worker tcp://w:2 for 8.0 s and could have run on worker "
          + "tcp://w:1: the scheduler had sent it there."
      ])
  }

  @Test func `a task that is restricted to others says so`() throws {
    try readyElsewhere([.init("workerRestrictions", .list([.string(Self.other)]))])
    #expect(
      try told() == [
        "restrictions: Task 'b' was ready for 8.0 s, and may run only on tcp://w:2."
      ])
  }

  @Test func `a task may need a resource that the worker lacks`() throws {
    try cluster.submit(
      ["a"], restrictions: [.init("resourceRestrictions", .dict([.init("GPU", 2.0)]))])
    try cluster.log.append([.transition("a", .waiting, .noWorker, time: PlantedCluster.at(2))])
    #expect(
      try told() == [
        "restrictions: Task 'a' was ready for 8.0 s, and needs 2 of GPU, which worker tcp://w:1 does not "
          + "have."
      ])
  }

  // MARK: - What is not known

  @Test func `a worker that was not recorded is known by its results`() throws {
    try cluster.log.append([PlantedCluster.joins(Self.other)])
    try cluster.submit(["a"])
    try cluster.sent("a", to: Self.other)
    let span = Value.object(["action": "compute", "start": 4.0, "stop": 12.0])
    try cluster.log.append([
      .transition(
        "a", .processing, .memory, time: PlantedCluster.at(13), worker: Self.other, run: 1,
        args: [.init("worker", .string(Self.other)), .init("startstops", .list([span]))])
    ])
    let reasons = try found(worker: Self.other)?.first?.reasons
    #expect(
      reasons?.map(\.sentence) == ["Worker tcp://w:2 was not idle: its thread ran 'a' for 6.0 s."])
  }

  @Test func `without a result it is unknown what such a worker did`() throws {
    try cluster.log.append([PlantedCluster.joins(Self.other)])
    try cluster.submit(["a"])
    try cluster.sent("a", to: Self.other)
    let reasons = try found(worker: Self.other)?.first?.reasons
    #expect(
      reasons?.map(\.sentence) == [
        "Worker tcp://w:2 was not recorded, and 1 task that it had has no result in the log: what it did "
          + "is unknown."
      ])
  }
}
