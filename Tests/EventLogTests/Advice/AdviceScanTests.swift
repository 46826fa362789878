import Testing

@testable import EventLog
@testable import LogAnalysis
@testable import LogFormat
@testable import TaskLogPlugin

/// What is counted in literal events of a scheduler, in seconds.
@Suite struct AdviceScanTests {
  let folder: TemporaryFolder
  let log: LogUnderTest

  init() throws {
    folder = try TemporaryFolder()
    log = try LogUnderTest(folder("log.db"))
    try log.append([1, 2].map(Self.joins))
  }

  private static func address(_ worker: Int) -> String { "tcp://w:\(worker)" }
  private static func nanoseconds(_ seconds: Double) -> Int64 { Int64(seconds * 1e9) }

  private static func joins(_ worker: Int) -> Event {
    Event(
      .addWorker, time: 0, worker: address(worker),
      snapshot: .other(
        .object([
          "worker": .object([
            "address": .string(address(worker)), "name": .int(Int64(worker)), "nthreads": 1,
            "serverID": .string("Worker-\(worker)"),
          ])
        ])))
  }

  private static func sent(_ key: Key, _ time: Double, to worker: Int = 1) -> Event {
    .transition(key, .waiting, .processing, time: nanoseconds(time), worker: address(worker))
  }

  private static func ended(
    _ key: Key, _ finish: State, _ time: Double, compute: Double = 0, transfer: Double = 0,
    nbytes: Int64 = 10
  ) -> Event {
    let spans = [("transfer", transfer), ("compute", compute)].filter { $0.1 > 0 }.map {
      StartStop(action: $0.0, start: time - $0.1, stop: time).value
    }
    return .transition(
      key, .processing, finish, stimulus: "task-finished-\(time)", time: nanoseconds(time),
      worker: address(1),
      args: [
        .init("worker", .string(address(1))), .init("nbytes", .int(nbytes)),
        .init("startstops", .list(spans)),
      ])
  }

  private static func withdrawn(
    _ key: Key, _ time: Double, _ stimulus: String, from start: State = .processing
  ) -> Event {
    .transition(key, start, .released, stimulus: stimulus, time: nanoseconds(time))
  }

  private func figures(_ events: [Event]) throws -> AdviceFigures {
    try log.append(events)
    try log.close(at: 100_000_000_000)
    let reader = try LogReader(path: log.path)
    let run = try reader.latest()
    var scan = try AdviceScan(reader, run, nil, reader.workerEnds(of: run))
    return try scan.figures()
  }

  @Test func `tasks that are sent again after a failure are retries, with their time`() throws {
    let figures = try figures([
      Self.sent("x-1", 1), Self.withdrawn("x-1", 3, "task-erred-1"), Self.sent("x-1", 4),
      Self.withdrawn("x-1", 5, "task-erred-2"), Self.sent("x-1", 5),
      Self.ended("x-1", .memory, 6), Self.sent("x-2", 1), Self.ended("x-2", .memory, 2),
    ])
    #expect(
      figures.retries == [
        "x": .init(tasks: 1, succeeded: 1, attempts: 2, time: 3_000_000_000, all: 2)
      ])
    #expect(figures.failed == 0)
  }

  @Test func `a task that a client withdraws is no retry`() throws {
    let figures = try figures([
      Self.sent("x-1", 1), Self.withdrawn("x-1", 3, "client-releases-keys-1"),
      Self.sent("x-1", 4), Self.ended("x-1", .memory, 6),
    ])
    #expect(figures.retries == ["x": .init(all: 1)])
  }

  @Test func `a task that fails for good is failed, with the time that it computed`() throws {
    let figures = try figures([
      Self.sent("x-1", 1), Self.ended("x-1", .erred, 4, compute: 2),
      .transition("x-2", .waiting, .erred, time: 5),
    ])
    #expect(figures.failed == 1)
    #expect(figures.failedTime == 2_000_000_000)
  }

  /// A worker with a result and a task is removed.
  private func removed(_ stimulus: String, isExpected: Bool) -> [Event] {
    [
      Self.sent("x-1", 1), Self.ended("x-1", .memory, 4, compute: 2), Self.sent("x-2", 4),
      Event(
        .logEvent, time: Self.nanoseconds(7),
        args: Args(named: [
          .init("topic", .string(Self.address(1))),
          .init(
            "message",
            .object([
              "action": "remove-worker", "expected": .bool(isExpected),
              "stimulus_id": .string(stimulus), "processing-tasks": .list(["x-2"]),
            ])),
        ])),
      Event(
        .stimulus, time: Self.nanoseconds(7), stimulusID: stimulus, worker: Self.address(1),
        args: Args(named: [
          .init("op", "remove-worker"), .init("expected", .bool(isExpected)),
        ])),
      Self.withdrawn("x-2", 7, stimulus), Self.withdrawn("x-1", 7, stimulus, from: .memory),
      Event(
        .removeWorker, time: Self.nanoseconds(7), stimulusID: stimulus, worker: Self.address(1)),
    ]
  }

  @Test func `the work of a worker that was lost is lost`() throws {
    let figures = try figures(removed("handle-worker-cleanup-1", isExpected: false))
    let lost = figures.lost["handle-worker-cleanup-1"]
    #expect(lost?.results == 1)
    #expect(lost?.tasks == 1)
    #expect(lost?.time == 5_000_000_000)
  }

  @Test func `the work of a worker that was retired is not`() throws {
    let figures = try figures(removed("retire-workers-1", isExpected: true))
    #expect(figures.lost.isEmpty)
  }

  @Test func `the largest result is named`() throws {
    let figures = try figures([
      Self.sent("x-1", 1), Self.ended("x-1", .memory, 2, nbytes: 5), Self.sent("y-1", 1),
      Self.ended("y-1", .memory, 2, nbytes: 7),
    ])
    #expect(figures.largest?.key == "y-1")
    #expect(figures.largest?.prefix == "y")
    #expect(figures.largest?.bytes == 7)
  }

  @Test func `the phases of a client's graph are summed up once`() throws {
    func submitted(_ topic: String, _ seconds: Double) -> Event {
      Event(
        .logEvent, time: 5,
        args: Args(named: [
          .init("topic", .string(topic)),
          .init(
            "message",
            .object([
              "action": "update-graph",
              "metrics": .object([
                "tasks": 7, "materialization_duration_seconds": .double(seconds),
                "ordering_duration_seconds": -1.0,
                "state_initialization_duration_seconds": 0.5,
              ]),
            ])),
        ]))
    }
    let graphs = try figures([
      submitted("scheduler", 2), submitted("Client-1", 2), submitted("scheduler", 4),
    ]).graphs
    #expect(graphs.count == 2)
    #expect(graphs.tasks == 14)
    #expect(graphs.time == 7_000_000_000)
    #expect(graphs.longest == 4_500_000_000)
  }

  /// A graph in which both users depend on the result of x-1.
  private static let graph = Event(
    .updateGraph, time: 0, args: Args(named: [.init("client", "Client-1")]),
    snapshot: .other(
      .object([
        "graph": .list([
          .object(["key": "x-1"]), .object(["key": "y-1", "dependencies": .list(["x-1"])]),
          .object(["key": "z-1", "dependencies": .list(["x-1"])]),
        ])
      ])))

  private func held(_ events: [Event]) throws -> [HeldResult] {
    try log.append([Self.graph] + events)
    try log.close(at: 100_000_000_000)
    let reader = try LogReader(path: log.path)
    let run = try reader.latest()
    var scan = try AdviceScan(reader, run, nil, [])
    _ = try scan.figures()
    return try scan.heldResults(atLeast: 1)
  }

  @Test func `a result is held from the end of its last use until it is released`() throws {
    let large: Int64 = 200_000
    let held = try held([
      Self.sent("x-1", 1), Self.ended("x-1", .memory, 2, nbytes: large), Self.sent("y-1", 2),
      Self.ended("y-1", .memory, 3, nbytes: large), Self.sent("z-1", 3),
      Self.ended("z-1", .memory, 5),
      Self.withdrawn("x-1", 9, "client-releases-keys-1", from: .memory),
    ])
    #expect(held.map(\.prefix) == ["x"])
    #expect(held.first?.start == Self.nanoseconds(5))
    #expect(held.first?.stop == Self.nanoseconds(9))
    #expect(held.first?.bytes == large)
  }

  @Test func `a small result and one without a use are not held`() throws {
    #expect(
      try held([
        Self.sent("x-1", 1), Self.ended("x-1", .memory, 2, nbytes: 99_999), Self.sent("y-1", 2),
        Self.ended("y-1", .memory, 3, nbytes: 200_000),
      ]) == [])
  }

  @Test func `the prefixes between which bytes moved are known`() throws {
    func ended(_ key: Key, _ time: Double, on worker: Int) -> Event {
      .transition(
        key, .processing, .memory, stimulus: "task-finished-\(time)", time: Self.nanoseconds(time),
        worker: Self.address(worker), args: [.init("nbytes", 200_000)])
    }
    try log.append([
      Self.graph, ended("x-1", 1, on: 1), ended("y-1", 2, on: 1), ended("z-1", 3, on: 2),
    ])
    try log.close(at: 100_000_000_000)
    let reader = try LogReader(path: log.path)
    let run = try reader.latest()
    var scan = try AdviceScan(reader, run, nil, [])
    _ = try scan.figures()
    #expect(
      try scan.largestEdge() == TransferEdge(from: "x", to: "z", bytes: 200_000, all: 200_000))
  }

  @Test func `the bytes of graphs are summed up`() throws {
    func sent(_ op: String, _ bytes: Int64) -> Event {
      Event(
        .request, time: 5,
        args: Args(named: [.init("op", .string(op)), .init("nbytes", .int(bytes))]))
    }
    let arguments = try figures([
      sent("update-graph", 5), sent("update-graph", 7), sent("restart", 9),
    ]).arguments
    #expect(arguments == (2, 12, 7))
  }

  @Test func `advice of a whole log has evidence that runs`() throws {
    try log.append(
      [Self.sent("x-1", 1), Self.withdrawn("x-1", 3, "task-erred-1"), Self.sent("x-1", 4)]
        + [Self.ended("x-1", .memory, 6), Self.sent("y-1", 6), Self.ended("y-1", .erred, 7)]
        + [Self.sent("z-1", 7), Self.ended("z-1", .memory, 90, compute: 83)])
    try log.close(at: 100_000_000_000)
    let reader = try LogReader(path: log.path)
    let advice = try reader.advice(of: reader.latest())
    #expect(
      advice.map { "\($0.severity.rawValue) \($0.kind.rawValue)" } == [
        "warning few-tasks", "warning hidden-errors", "warning failed-tasks",
      ])
    for each in advice {
      guard case .sql(let sql) = each.evidence else { continue }
      _ = try query(sql, log.path)
    }
  }
}
