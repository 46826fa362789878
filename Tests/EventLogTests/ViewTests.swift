import Testing

@testable import EventLog
@testable import LogFormat
@testable import TaskLogPlugin

/// The content of the views for a small log.
@Suite struct ViewTests {
  private let folder: TemporaryFolder
  private let log: LogUnderTest

  init() throws {
    folder = try TemporaryFolder()
    log = try LogUnderTest(folder("log.db"), id: "run-1")
  }

  private func rows(_ sql: String) throws -> [[SQLiteValue]] {
    try query(sql, log.path).rows
  }

  private static func finished(
    _ worker: String, nbytes: Int64, _ startStops: Value = .list([])
  ) -> [Args.Argument] {
    [
      .init("worker", .string(worker)), .init("nbytes", .int(nbytes)),
      .init("typename", "int"), .init("startstops", startStops),
    ]
  }

  private static func span(_ action: String, _ start: Double, _ stop: Double) -> Value {
    StartStop(action: action, start: start, stop: stop).value
  }

  @Test func `tasks have the last state and the outcome of the last run`() throws {
    let failed: [Args.Argument] = [
      .init("worker", "w1"), .init("exception_text", "boom"), .init("traceback_text", "line"),
    ]
    // Times go backwards and names do not sort, so that no row has every maximum.
    try log.append([
      .transition("a", .released, .waiting, time: 90),
      .transition("a", .waiting, .processing, time: 80),
      .transition("a", .processing, .memory, time: 70, args: Self.finished("w9", nbytes: 99)),
      .transition("b", .waiting, .processing, time: 1),
      .transition("b", .processing, .erred, time: 2, args: failed),
      .transition("a", .memory, .released, time: 60),
      .transition("a", .waiting, .processing, time: 50),
      .transition("a", .processing, .memory, time: 40, args: Self.finished("w1", nbytes: 5)),
      .transition("a", .memory, .released, time: 30),
      .transition("c", .processing, .erred, time: 1, args: failed),
      .transition("c", .erred, .released, time: 2),
      .transition("c", .waiting, .processing, time: 3),
      .transition("c", .processing, .memory, time: 4, args: Self.finished("w2", nbytes: 8)),
      .transition("d", .released, .forgotten, time: 5),
      Event(.logEvent, time: 5, key: "no-task"),
    ])
    let worker = try log.addWorker(1)
    try log.append([.transition("a", .executing, .memory, time: 999)], source: worker)
    #expect(
      try rows("SELECT * FROM tasks ORDER BY key") == [
        [1, "a", "released", 30, 90, 7, "w1", 5, "int", nil, "a", "a", 2, 2, 0, 1],
        [1, "b", "erred", 1, 2, 2, "w1", nil, nil, "boom", "b", "b", 1, 0, 1, 1],
        [1, "c", "memory", 1, 4, 4, "w2", 8, "int", nil, "c", "c", 1, 1, 1, 1],
        [1, "d", "forgotten", 5, 5, 1, nil, nil, nil, nil, "d", "d", 0, 0, 0, nil],
      ])
  }

  @Test func `tasks of different runs and keys of the same text are distinguished`() throws {
    try log.append([
      .transition("1", .released, .waiting), .transition(Key(.int(1))!, .released, .forgotten),
    ])
    let other = try LogUnderTest(log.path)
    try other.append([.transition("1", .waiting, .processing)])
    #expect(
      try rows("SELECT run, key, state FROM tasks ORDER BY run, state") == [
        [1, "1", "forgotten"], [1, "1", "waiting"], [2, "1", "processing"],
      ])
  }

  @Test func `durations are read from lists and tuples, and from nothing else`() throws {
    let spans = [Self.span("transfer", 1, 1.25), Self.span("compute", 2, 4)]
    let others: [Value] = [
      .null, "text", 1, .opaque("redacted"), .dict([]), .list([.null, 1, "x", .opaque("capped")]),
    ]
    try log.append([
      .transition("a", .processing, .memory, args: Self.finished("w1", nbytes: 1, .list(spans))),
      .transition(
        "b", .processing, .memory, args: Self.finished("w2", nbytes: 1, .tuple(spans))),
      .transition("c", .waiting, .processing),
    ])
    try log.append(
      others.map {
        .transition("d", .processing, .memory, args: Self.finished("w", nbytes: 1, $0))
      })
    #expect(
      try rows("SELECT * FROM task_durations") == [
        [1, "a", "w1", "transfer", 1.0, 1.25, 0.25, 1, "a", 1],
        [1, "a", "w1", "compute", 2.0, 4.0, 2.0, 1, "a", 1],
        [1, "b", "w2", "transfer", 1.0, 1.25, 0.25, 2, "b", 1],
        [1, "b", "w2", "compute", 2.0, 4.0, 2.0, 2, "b", 1],
      ])
  }

  @Test func `errors are the tasks that failed on their own`() throws {
    try log.append([
      .transition(
        "a", .processing, .erred, time: 7,
        args: [
          .init("worker", "w1"), .init("exception_text", "boom"), .init("traceback_text", "t"),
        ]),
      .transition("b", .waiting, .erred, args: [.init("cause", "a")]),
      .transition("c", .waiting, .erred),
      .transition("d", .noWorker, .erred, time: 8, args: [.init("exception_text", "alone")]),
      .transition("e", .processing, .memory),
    ])
    #expect(
      try rows("SELECT * FROM errors") == [
        [1, 1, "a", "w1", "boom", "t", 7, "a", 0, 1], [4, 1, "d", nil, "alone", nil, 8, "d", 0, 0],
      ])
  }

  @Test func `workers, stimuli, runs and gaps are listed`() throws {
    let worker = try log.addWorker(1, name: "alice")
    _ = try log.addWorker(2)
    try log.append([
      (log.scheduler, .transition("a", .released, .waiting, stimulus: "s1", time: 10)),
      (log.scheduler, .transition("b", .released, .waiting, stimulus: "s1", time: 30)),
      (worker, .transition("a", .ready, .executing, stimulus: "s1", time: 20)),
      (worker, Event(.teardown, time: 25)),
    ])
    try log.writer.transaction {
      try log.writer.addGap(
        source: worker, sourceSeq: 3, count: 4, time: 26, reason: "buffer full")
      try log.writer.addGap(
        source: log.scheduler, sourceSeq: 3, count: 1, time: 27, reason: "pruned")
    }
    try log.close(at: 99)
    #expect(
      try rows("SELECT run, worker, name, server_id, first_seen, last_seen, events FROM workers")
        == [
          [1, "tcp://w:1", "\"alice\"", "Worker-1", 20, 25, 2],
          [1, "tcp://w:2", "2", "Worker-2", nil, nil, 0],
        ])
    #expect(try rows("SELECT * FROM stimuli") == [[1, "s1", 10, 30, 3, 2]])
    #expect(
      try rows("SELECT * FROM runs") == [
        [
          1, "run-1", "tasklog", "1", "full", 1_000, 99, "closed", 1, 4, 4, #"{"host":"here"}"#, 2,
          0, "{}", "here", nil, nil, nil,
        ]
      ])
    #expect(
      try rows("SELECT * FROM gaps") == [
        [1, "worker", "tcp://w:1", 3, 4, "buffer full", 26, 1],
        [1, "scheduler", nil, 3, 1, "pruned", 27, nil],
      ])
    let reader = try LogReader(path: log.path)
    let totals = try reader.totals(of: reader.latest())
    #expect(totals.events == 4 && totals.tasks == 2 && totals.workers == 2)
    #expect(totals.missing == 5)
  }

  @Test func `events name their task and worker`() throws {
    let worker = try log.addWorker(1)
    try log.append([
      (
        log.scheduler,
        Event(
          .transition, time: 1_769_860_800_123_456_789, key: Key("x", 1), start: .noWorker,
          finish: .processing, stimulusID: "s", worker: "tcp://w:9", taskRunID: 3,
          args: Args(positional: [1], named: []))
      ),
      (worker, Event(.setup, time: 0)),
    ])
    #expect(
      try rows("SELECT * FROM events") == [
        [
          1, "2026-01-31T12:00:00.123456Z", 1, "scheduler", "transition", "('x', 1)", "no-worker",
          "processing", "s", "tcp://w:9", 3, #"{"$args":[1]}"#, nil, 1_769_860_800_123_456_789,
          "Scheduler-1", 1, #"{"$tuple":["x",1]}"#, "x", "x", 1_769_860_800_123_456_789, 1,
        ],
        [
          2, "1970-01-01T00:00:00.000000Z", 1, "worker", "setup", nil, nil, nil, nil, "tcp://w:1",
          nil, nil, nil, 0, "Worker-1", 1, nil, nil, nil, 0, 1,
        ],
      ])
    #expect(try rows("SELECT key, worker FROM transitions") == [["('x', 1)", "tcp://w:9"]])
  }
}
