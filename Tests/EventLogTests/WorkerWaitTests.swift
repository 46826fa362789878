import Testing

@testable import EventLog
@testable import Explaining
@testable import LogAnalysis
@testable import LogFormat
@testable import TaskLogPlugin

/// What a worker did while a task waited there, on literal events in seconds.
@Suite struct WorkerWaitTests {
  private let cluster: PlantedCluster

  init() throws { cluster = try PlantedCluster() }

  /// The worker gets a task with a priority, and learns who holds its inputs.
  private func received(
    _ key: String, _ time: Double, priority: Value, holders: [Value.Entry] = []
  ) throws {
    try cluster.log.append(
      [
        Event(
          .stimulus, time: PlantedCluster.at(time), key: Key(key),
          stimulusID: "compute-task-\(key)",
          args: Args(named: [
            .init("op", "compute-task"), .init("priority", priority),
            .init("who_has", .dict(holders)),
          ]))
      ], source: cluster.worker)
    try moved(key, .released, .waiting, time)
  }

  private func moved(
    _ key: String, _ start: State, _ finish: State, _ time: Double, _ stimulus: String? = nil
  ) throws {
    try cluster.log.append(
      [
        .transition(
          Key(key), start, finish, stimulus: stimulus, time: PlantedCluster.at(time), run: 1)
      ], source: cluster.worker)
  }

  /// The worker gets results in one message, as Dask records it or not.
  private func fetched(
    _ keys: [String], _ start: Double, _ stop: Double, from sender: String?
  ) throws {
    let stimulus = "gather-dep-success-\(stop)"
    for key in keys { try moved(key, .released, .fetch, start) }
    for key in keys { try moved(key, .fetch, .flight, start) }
    if let sender {
      try cluster.log.append(
        [
          Event(
            .stimulus, time: PlantedCluster.at(stop), stimulusID: stimulus,
            args: Args(named: [
              .init("op", "gather-dep-success"), .init("worker", .string(sender)),
            ]))
        ], source: cluster.worker)
    }
    for key in keys { try moved(key, .flight, .memory, stop, stimulus) }
  }

  private func sentence(mostEvents: Int64 = .max) throws -> String? {
    cluster.log.writer.close()
    let reader = try LogReader(path: cluster.log.path)
    let history = try TaskHistory(reader, reader.latest(), mostWaitEvents: mostEvents)
    for case .key(let number) in try reader.subjects(named: "a") {
      return try history.explanation(ofKey: number, choices: .none).sentences
        .first { $0.text.contains("began to run") }?.text
    }
    return nil
  }

  private static func holders(_ all: [(String, [String])]) -> [Value.Entry] {
    all.map { .init(.string($0.0), .list($0.1.map(Value.string))) }
  }

  @Test func `the workers that inputs came from are named`() throws {
    try cluster.submit(["a"])
    try cluster.sent("a")
    try received(
      "a", 3, priority: .tuple([0, 1]),
      holders: Self.holders([("x", ["tcp://v:1", "tcp://u:1"]), ("y", ["tcp://v:1"]), ("z", [])]))
    try fetched(["x", "y"], 3, 5, from: "tcp://v:1")
    // Not an input of this task.
    try fetched(["other"], 3, 6, from: "tcp://t:1")
    try fetched(["z"], 4, 7, from: "tcp://u:1")
    try moved("a", .waiting, .ready, 7)
    try moved("a", .ready, .executing, 7)
    #expect(
      try sentence()
        == "It began to run: it had waited 1.0 s until the worker had it, 4.0 s for its inputs and 0 s "
        + "for a thread. Its inputs came from worker tcp://v:1 (2.0 s) and worker tcp://u:1 (3.0 s)."
    )
  }

  @Test func `where messages are not recorded, an input is from the one worker that held it`()
    throws
  {
    try cluster.submit(["a"])
    try cluster.sent("a")
    try received(
      "a", 3, priority: .tuple([0, 1]), holders: Self.holders([("x", ["tcp://v:1"])]))
    try fetched(["x"], 3, 5, from: nil)
    try moved("a", .waiting, .ready, 5)
    try moved("a", .ready, .executing, 5)
    #expect(try sentence()?.hasSuffix(" Its inputs came from worker tcp://v:1 (2.0 s).") == true)
  }

  @Test func `a sender that is not in the log is not made up`() throws {
    try cluster.submit(["a"])
    try cluster.sent("a")
    try received(
      "a", 3, priority: .tuple([0, 1]),
      holders: Self.holders([("x", ["tcp://v:1", "tcp://u:1"])]))
    try fetched(["x"], 3, 5, from: nil)
    try moved("a", .waiting, .ready, 5)
    try moved("a", .ready, .executing, 5)
    #expect(try sentence()?.contains("inputs came") == false)
  }

  /// The task is ready from second 4 on, and begins in second 9, when `d` has ended.
  private func waits(behind others: [(key: String, priority: Value)]) throws -> String? {
    try cluster.submit(["a"])
    try cluster.sent("a")
    try received("d", 2, priority: .tuple([0, 0]))
    try moved("d", .waiting, .executing, 2)
    try received("a", 3, priority: .tuple([0, 5, -1]))
    for other in others { try received(other.key, 3, priority: other.priority) }
    try moved("a", .waiting, .ready, 4)
    for other in others {
      try moved(other.key, .waiting, .ready, 4)
      try moved(other.key, .ready, .executing, 5)
      try moved(other.key, .executing, .memory, 6)
    }
    try moved("f", .cancelled, .executing, 7)
    try moved("d", .executing, .memory, 9, "execute-success-d")
    try moved("a", .ready, .executing, 9, "execute-success-d")
    try moved("later", .ready, .executing, 9.5)
    return try sentence()
  }

  private static let wait =
    "It began to run: it had waited 1.0 s until the worker had it, 1.0 s for its inputs and 5.0 s for a "
    + "thread."

  @Test func `the task whose thread it got is named`() throws {
    #expect(try waits(behind: []) == Self.wait + " It got the thread of 'd'.")
  }

  @Test func `tasks of higher priority that began first are counted`() throws {
    #expect(
      try waits(behind: [
        ("b", .tuple([0, 4, 7])), ("c", .tuple([0, 4, 8])), ("e", .tuple([0, 5, -2])),
      ]) == Self.wait
        + " 3 tasks of higher priority began first, from 'b' to 'e'. It got the thread of 'd'.")
  }

  @Test(arguments: [
    Value.tuple([0, 6, 0]), .tuple([0, 5, -1]), .tuple([0, .string("x")]), .null,
  ])
  func `a priority that is not higher is no reason`(priority: Value) throws {
    #expect(
      try waits(behind: [("b", priority)]) == Self.wait
        + " Task 'b' began first. It got the thread of 'd'.")
  }

  @Test func `a wait of too many events is not looked into, and that is said`() throws {
    _ = try waits(behind: [("b", .tuple([0, 4]))])
    #expect(
      try sentence(mostEvents: 3) == Self.wait
        + " 'tasklog explain' says what its worker did meanwhile, in 10 events.")
  }

  @Test func `of many messages the last one is named`() {
    var wait = WorkerWait()
    wait.arrivals = (1...5).map {
      .init(worker: "w\($0)", duration: $0 == 5 ? nil : 1_000_000, seq: $0)
    }
    #expect(
      wait.sentences.text == " Its inputs came in 5 messages, the last of them from worker w5.")
    #expect(wait.sentences.evidence == [3, 4, 5])
  }
}
