import Testing

@testable import EventLog
@testable import Explaining
@testable import LogAnalysis
@testable import LogFormat
@testable import TaskLogPlugin

/// What unfinished tasks wait for, on literal events in seconds.
@Suite struct StuckTests {
  let cluster: PlantedCluster

  init() throws { cluster = try PlantedCluster() }

  /// The causes ten seconds after the start.
  private func causes() throws -> [StuckCause] {
    try cluster.log.append([
      Event(.addClient, time: PlantedCluster.at(10), args: Args(named: [.init("client", "d")]))
    ]
    )
    cluster.log.writer.close()
    let reader = try LogReader(path: cluster.log.path)
    return try reader.stuckCauses(of: reader.latest())
  }

  private func told() throws -> [String] {
    try causes().map { "\($0.kind.rawValue): \($0.sentence)" }
  }

  @Test func `a run without unfinished tasks is not stuck`() throws {
    #expect(try told() == [])
  }

  @Test func `a chain of tasks ends at the one that runs`() throws {
    try cluster.submit(["a", "b", "c"])
    try cluster.sent("a")
    try cluster.atWorker("a", [.waiting, .ready, .executing])
    let causes = try causes()
    #expect(
      causes.map(\.sentence) == [
        "Task 'a' has been running on worker tcp://w:1 for 7.0 s; whether it makes progress, the log "
          + "does not say."
      ])
    #expect(causes.map(\.chain) == [["c", "b", "a"]])
    #expect(causes.map(\.waiting) == [2])
    #expect(causes.map(\.wanted) == [1])
    #expect(causes.first?.evidence.count == 2)
  }

  @Test func `a worker that recorded nothing of a task has not received it`() throws {
    try cluster.submit(["a"])
    try cluster.sent("a")
    #expect(
      try told() == [
        "not-received: The scheduler sent task 'a' to worker tcp://w:1, and the worker has recorded "
          + "nothing of it for 8.0 s."
      ])
  }

  @Test func `what arrives while the log is read is not of one side only`() throws {
    try cluster.submit(["a"])
    let reader = try LogReader(path: cluster.log.path)
    let run = try reader.latest()
    try cluster.sent("a")
    try cluster.atWorker("a", [.waiting, .ready, .executing])
    cluster.log.writer.close()
    #expect(try reader.stuckCauses(of: run).map(\.kind) == [.notSent])
    #expect(try reader.stuckCauses(of: reader.latest()).map(\.kind) == [.running])
  }

  @Test func `what a worker did before an event of the scheduler counts, though it arrived later`()
    throws
  {
    try cluster.submit(["a"])
    try cluster.sent("a")
    try cluster.log.append([
      Event(.addClient, time: PlantedCluster.at(10), args: Args(named: [.init("client", "d")]))
    ])
    let last = try LogReader(path: cluster.log.path).latest().lastSeq
    try cluster.atWorker("a", [.waiting, .ready, .executing], 4)
    try cluster.atWorker("b", [.waiting], 11)
    try cluster.log.append([
      .transition(
        "a", .processing, .memory, time: PlantedCluster.at(12), worker: "tcp://w:1", run: 1)
    ])
    cluster.log.writer.close()
    let reader = try LogReader(path: cluster.log.path)
    let run = try reader.latest()
    #expect(try reader.stuckCauses(of: run, at: .seq(try #require(last))).map(\.kind) == [.running])
    #expect(
      try reader.stuckCauses(of: run, at: .time(PlantedCluster.at(3))).map(\.kind) == [.notReceived]
    )
    #expect(try reader.stuckCauses(of: run).map(\.kind) == [])
  }

  @Test func `what a worker does that was not recorded is unknown`() throws {
    try cluster.submit(["a"])
    try cluster.log.append([PlantedCluster.joins("tcp://w:2")])
    try cluster.sent("a", to: "tcp://w:2")
    #expect(
      try told() == [
        "unknown: Task 'a' is on worker tcp://w:2 for 8.0 s, which was not recorded: what it does with "
          + "the task is unknown."
      ])
  }

  @Test func `a result that the scheduler has not recorded is named`() throws {
    try cluster.submit(["a"])
    try cluster.sent("a")
    try cluster.atWorker("a", [.waiting, .ready, .executing, .memory])
    #expect(
      try told() == [
        "result-not-received: Worker tcp://w:1 finished task 'a' with memory, and the scheduler has "
          + "recorded nothing of it for 7.0 s."
      ])
  }

  @Test func `a task that its worker has released is a disagreement`() throws {
    try cluster.submit(["a"])
    try cluster.sent("a")
    try cluster.atWorker("a", [.waiting, .ready, .released])
    #expect(
      try told() == [
        "disagreement: The scheduler takes task 'a' to be on worker tcp://w:1, where it has been "
          + "released for 7.0 s. They have disagreed since event 8 of the worker, on which the scheduler "
          + "did nothing that the log says."
      ])
  }

  @Test func `the first event of a disagreement is the one after which they never agreed again`()
    throws
  {
    try cluster.submit(["a", "b"])
    try cluster.log.append([PlantedCluster.joins("tcp://w:2")])
    try cluster.sent("a")
    try cluster.atWorker("a", [.waiting, .ready, .executing, .memory])
    try cluster.log.append([
      .transition(
        "a", .processing, .memory, time: PlantedCluster.at(4), worker: PlantedCluster.address,
        args: [.init("worker", .string(PlantedCluster.address))])
    ])
    // The worker loses the result, and the scheduler does not hear of it.
    try cluster.log.append(
      [.transition("a", .memory, .released, time: PlantedCluster.at(5))], source: cluster.worker)
    try cluster.sent("b")
    try cluster.atWorker("b", [.waiting], 6)
    try cluster.log.append(
      [.transition("a", .released, .fetch, time: PlantedCluster.at(7))], source: cluster.worker)
    let causes = try causes()
    #expect(
      causes.map(\.sentence) == [
        "Task 'b' on worker tcp://w:1 has waited for 4.0 s for inputs: 'a' (fetch). The scheduler takes "
          + "'a' to be on worker tcp://w:1, where it is fetch. They have disagreed since event 13 of the "
          + "worker, on which the scheduler did nothing that the log says."
      ])
    #expect(causes.first?.disagreement?.seq == 13)
    #expect(causes.first?.evidence.contains(13) == true)
  }

  @Test func `a task that waits for inputs on its worker names them`() throws {
    try cluster.submit(["a", "b"])
    try cluster.log.append([PlantedCluster.joins("tcp://w:2")])
    try cluster.sent("a", to: "tcp://w:2")
    try cluster.log.append([
      .transition("a", .processing, .memory, time: PlantedCluster.at(2), worker: "tcp://w:2")
    ])
    try cluster.sent("b")
    try cluster.atWorker("b", [.waiting])
    try cluster.atWorker("a", [.fetch, .flight])
    #expect(
      try told() == [
        "missing-input: Task 'b' on worker tcp://w:1 has waited for 7.0 s for inputs: 'a' (flight)."
      ])
  }

  @Test func `tasks that are ready wait for a thread, and come after what runs`() throws {
    try cluster.submit(["a"])
    try cluster.submit(["b"])
    try cluster.submit(["c"])
    for key in ["a", "b", "c"] as [Key] {
      try cluster.sent(key)
      try cluster.atWorker(key, [.waiting, .ready] + (key == "a" ? [.executing] : []))
    }
    #expect(
      try told() == [
        "running: Task 'a' has been running on worker tcp://w:1 for 7.0 s; whether it makes progress, "
          + "the log does not say.",
        "no-thread: Task 'b' waits for a thread of worker tcp://w:1, which runs 'a'. The same is true "
          + "of 1 other task.",
      ])
  }

  // MARK: - Locks

  private func waits(_ key: Key, _ op: String, _ time: Double) throws {
    var args: [Args.Argument] = [
      .init("op", .string(op)), .init("kind", "lock"), .init("for", "acquire"),
      .init("name", "ledger"), .init("start", .double(time)),
    ]
    if op == "end" { args.append(.init("stop", .double(time + 0.5))) }
    try cluster.log.append(
      [Event(.lock, time: PlantedCluster.at(time), key: key, args: Args(named: args))],
      source: cluster.worker)
  }

  /// The scheduler gives the lock, or takes it back.
  private func lease(_ op: String, _ time: Double) throws {
    try cluster.log.append([
      Event(
        .lock, time: PlantedCluster.at(time),
        args: Args(named: [
          .init("kind", "semaphore"), .init("op", .string(op)), .init("name", "ledger"),
          .init("lease", "l1"),
        ]))
    ])
  }

  /// Tasks that run since a time.
  private func run(_ keys: [String], since time: Double = 3) throws {
    for key in keys {
      try cluster.submit([key])
      try cluster.sent(Key(key))
      try cluster.atWorker(Key(key), [.waiting, .ready, .executing], time)
    }
  }

  private static let waiting =
    "Task 'b' on worker tcp://w:1 has waited for lock 'ledger' for 6.0 s."

  @Test func `a task that waits for a lock names it, and who can hold it`() throws {
    try run(["a", "b"])
    try lease("acquire", 3.5)
    try waits("b", "begin", 4)
    try run(["late"], since: 4)
    let causes = try causes()
    #expect(
      causes.first?.sentence
        == "\(Self.waiting) The scheduler gave it 6.5 s ago, and it was not released; to which task, "
        + "the log does not say. Only task 'a' on worker tcp://w:1 ran then and still runs.")
    #expect(causes.first?.since == PlantedCluster.at(4))
    #expect(causes.map(\.kind) == [.lock, .running])
  }

  @Test func `several tasks may hold a lock`() throws {
    try run(["a", "b", "c"])
    try lease("acquire", 3.5)
    try waits("b", "begin", 4)
    #expect(
      try told().first?.hasSuffix(
        "2 tasks ran then and still run, such as 'a' on worker tcp://w:1.")
        == true)
  }

  @Test func `the holder of a lock may be gone`() throws {
    try run(["b"])
    try lease("acquire", 3.5)
    try waits("b", "begin", 4)
    #expect(try told().first?.hasSuffix("No recorded task that ran then still runs.") == true)
  }

  @Test func `a lock that was released has no known holder`() throws {
    try run(["a", "b"])
    try lease("acquire", 3.5)
    try lease("release", 3.6)
    try waits("b", "begin", 4)
    #expect(try told().first == "lock: \(Self.waiting) Who holds it, the log does not say.")
  }

  @Test func `a wait that has ended is none`() throws {
    try cluster.submit(["a"])
    try cluster.sent("a")
    try cluster.atWorker("a", [.waiting, .ready, .executing])
    try waits("a", "begin", 4)
    try waits("a", "end", 4)
    #expect(try causes().map(\.kind) == [.running])
  }

  // MARK: - No worker

  private func withoutWorker(_ restrictions: [Value.Entry] = []) throws {
    try cluster.submit(["a"], restrictions: restrictions)
    try cluster.log.append([.transition("a", .waiting, .noWorker, time: PlantedCluster.at(2))])
  }

  @Test func `a task may be restricted to a worker that is not there`() throws {
    try withoutWorker([.init("workerRestrictions", .list(["tcp://gone:1"]))])
    #expect(
      try told() == [
        "restrictions: Task 'a' may run only on tcp://gone:1, of which none is there."
      ])
  }

  @Test func `a task may need a resource that no worker has`() throws {
    try withoutWorker([.init("resourceRestrictions", .dict([.init("GPU", 2.0)]))])
    #expect(
      try told() == ["resources: Task 'a' needs 2 of GPU, which no worker has."])
  }

  @Test func `a task may have no worker at all`() throws {
    try withoutWorker()
    try cluster.log.append([
      Event(.removeWorker, time: PlantedCluster.at(5), worker: PlantedCluster.address)
    ])
    #expect(try told() == ["no-worker: Task 'a' has no worker: there is none."])
  }

  @Test func `a task without a worker that could run is not explained away`() throws {
    try withoutWorker()
    #expect(
      try told() == [
        "not-sent: Task 'a' has no worker although it could run on tcp://w:1: nothing that the log says "
          + "keeps the scheduler from sending it."
      ])
  }

  @Test func `a queued task waits for a thread of busy workers`() throws {
    try cluster.submit(["a"])
    try cluster.submit(["b"])
    try cluster.sent("a")
    try cluster.atWorker("a", [.waiting, .ready, .executing])
    try cluster.log.append([.transition("b", .waiting, .queued, time: PlantedCluster.at(2))])
    #expect(try causes().map(\.kind) == [.running, .noThread])
  }

  @Test func `a task that waits for an input that is not computed names it`() throws {
    try cluster.submit(["a", "b"])
    try cluster.log.append([.transition("a", .waiting, .released, time: PlantedCluster.at(2))])
    #expect(
      try told() == [
        "released-input: Task 'b' waits for 'a', which is released and is not being computed."
      ])
  }
}
