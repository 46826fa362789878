import Testing

@testable import EventLog
@testable import LogAnalysis
@testable import LogFormat
@testable import TaskLogPlugin

/// Workers are distinguished by their lives, not by their addresses.
@Suite struct WorkerLifeTests {
  let folder: TemporaryFolder
  let log: LogUnderTest
  private let address = "tcp://w:1"

  init() throws {
    folder = try TemporaryFolder()
    log = try LogUnderTest(folder("log.db"), id: "run-1")
  }

  private func rows(_ sql: String) throws -> [[SQLiteValue]] { try query(sql, log.path).rows }

  private func joins(_ id: String?, at time: Int64, threads: Int = 1) -> Event {
    var facts: [Value.Entry] = [
      .init("address", .string(address)), .init("name", .string("gpu0")),
      .init("nthreads", .int(Int64(threads))),
    ]
    if let id { facts.append(.init("serverID", .string(id))) }
    return Event(
      .addWorker, time: time, worker: address, snapshot: .other(.object(["worker": .dict(facts)])))
  }

  private func leaves(at time: Int64) -> Event {
    Event(.removeWorker, time: time, worker: address)
  }

  /// A task from its assignment to the worker to its result, with a span of work.
  private func task(_ key: Key, from start: Int64, to end: Int64) -> [Event] {
    [
      .transition(key, .waiting, .processing, time: start, worker: address),
      .transition(
        key, .processing, .memory, time: end, worker: address,
        args: [
          .init("worker", .string(address)), .init("nbytes", 10),
          .init(
            "startstops",
            .list([
              StartStop(
                action: "compute", start: Double(start) / 1e9, stop: Double(end) / 1e9
              ).value
            ])),
        ]),
    ]
  }

  private static let second: Int64 = 1_000_000_000

  /// Three workers at one address, one after the other, with one, two and three tasks.
  private func threeLives() throws {
    let second = Self.second
    for life in 0..<3 {
      let start = Int64(1 + life * 10) * second
      try log.append([joins("Worker-\(life + 1)", at: start)])
      let source = try log.addWorker(life + 1, address: address, name: "gpu0")
      for number in 0...life {
        let began = start + Int64(number + 1) * second
        let key = Key("slow-\(life)-\(number)")
        try log.append(task(key, from: began, to: began + second))
        try log.append(
          [.transition(key, .ready, .executing, time: began + second / 4)], source: source)
      }
      if life < 2 { try log.append([leaves(at: start + 8 * second)]) }
    }
    try log.close(at: 40 * second)
  }

  @Test func `successive workers at one address have separate rows`() throws {
    try threeLives()
    #expect(
      try rows(
        """
        SELECT worker, life, server_id, joined_ns / 1000000000, left_ns / 1000000000, tasks,
          nbytes, busy, events FROM workers
        """) == [
          [.text(address), 1, "Worker-1", 1, 9, 1, 10, 1.0, 1],
          [.text(address), 2, "Worker-2", 11, 19, 2, 20, 2.0, 2],
          [.text(address), 3, "Worker-3", 21, nil, 3, 30, 3.0, 3],
        ])
    let reader = try LogReader(path: log.path)
    let scanned = try reader.summary(of: reader.latest()).workers
    #expect(scanned.map(\.life) == [1, 2, 3])
    #expect(scanned.map(\.tasks) == [1, 2, 3])
    #expect(
      scanned.map { [.real(($0.share ?? 0).rounded(4)), .real(($0.occupancy ?? 0).rounded(2))] }
        == (try rows("SELECT utilization, occupancy FROM workers")))
  }

  @Test(arguments: [
    "slowest", "task_durations", "tasks", "transitions", "events", "state_intervals", "stays",
    "stories",
  ])
  func `views tell which worker at an address is meant`(view: String) throws {
    try threeLives()
    let wanted = try rows(
      "SELECT DISTINCT key, substr(key, 6, 1) + 1 FROM \(view) WHERE key IS NOT NULL ORDER BY key")
    #expect(wanted.count == 6)
    #expect(
      try rows(
        "SELECT DISTINCT key, life FROM \(view) WHERE key IS NOT NULL ORDER BY key") == wanted)
  }

  @Test func `a view's reference to a worker joins with the view of workers`() throws {
    try threeLives()
    #expect(
      try rows(
        """
        SELECT server_id, count(*) FROM task_durations JOIN workers USING (run, worker, life)
        GROUP BY server_id ORDER BY server_id
        """) == [["Worker-1", 1], ["Worker-2", 2], ["Worker-3", 3]])
  }

  @Test func `a worker that is added again under its id is the same`() throws {
    try log.append([joins("Worker-1", at: 1), leaves(at: 2), joins("Worker-1", at: 3)])
    try log.close()
    #expect(try rows("SELECT life, joined_ns, left_ns FROM workers") == [[1, 1, nil]])
  }

  @Test func `without ids a worker that joins after one has left is another one`() throws {
    try log.append([joins(nil, at: 1), joins(nil, at: 2), leaves(at: 3), joins(nil, at: 4)])
    try log.close()
    #expect(
      try rows("SELECT life, joined_ns, left_ns FROM workers") == [[1, 1, 3], [2, 4, nil]])
  }

  @Test func `workers that existed when a recorder was attached are known`() throws {
    let worker = Value.object([
      "address": .string(address), "serverID": "Worker-1", "nthreads": 4, "name": "gpu0",
    ])
    try log.append([
      Event(
        .attach, time: 1,
        snapshot: .other(.object(["attach": .object(["workers": .list([worker])])])))
    ])
    try log.append(task("early-1", from: 2, to: 3) + [leaves(at: 4), joins("Worker-2", at: 5)])
    try log.append(task("late-1", from: 6, to: 7))
    try log.close()
    #expect(
      try rows(
        "SELECT life, server_id, joined_ns, left_ns, nthreads, tasks FROM workers ORDER BY life")
        == [
          [1, "Worker-1", nil, 4, 4, 1], [2, "Worker-2", 5, nil, 1, 1],
        ])
  }

  @Test func `late events of a worker are assigned to it`() throws {
    try log.append([joins("Worker-1", at: 1)])
    let first = try log.addWorker(1, address: address)
    try log.append([leaves(at: 2), joins("Worker-2", at: 3)])
    try log.append([.transition("a", .executing, .memory, time: 1)], source: first)
    try log.close()
    #expect(try rows("SELECT life FROM transitions") == [[1]])
  }

  @Test func `emptied tables are rebuilt with the same content`() throws {
    try threeLives()
    let tables = ["worker_life", "clock_offset", "task_move"]
    let before = try tables.map { try sql("SELECT * FROM \($0)", on: log.path) }
    #expect(before[0].count == 3)
    let connection = try Connection(path: log.path, mode: .readWrite)
    try DerivedTables(connection).rebuild()
    #expect(try tables.map { try sql("SELECT * FROM \($0)", on: log.path) } == before)
  }

  // MARK: - Unfinished tasks

  @Test func `tasks of a worker that has left are not unfinished`() throws {
    let worker = try log.addWorker(1, address: address)
    try log.append([joins("Worker-1", at: 1)])
    try log.append([.transition("a", .waiting, .processing, time: 2, worker: address)])
    try log.append([.transition("a", .ready, .executing, time: 3)], source: worker)
    let reader = try LogReader(path: log.path)
    func open() throws -> [String] {
      var found: [String] = []
      try reader.whereabouts(in: reader.latest(), at: .end).forEachTask {
        found.append("\($0.source == worker ? "worker" : "scheduler") \($0.state)")
      }
      let viewed = try rows("SELECT source || ' ' || state FROM open_tasks ORDER BY seq")
      #expect(viewed == found.map { [.text($0)] })
      return found
    }
    #expect(try open() == ["scheduler processing", "worker executing"])
    try log.append([leaves(at: 4), .transition("a", .processing, .waiting, time: 4)])
    #expect(try open() == ["scheduler waiting"])
    let before = try reader.whereabouts(in: reader.latest(), at: .seq(3))
    #expect(try before.counts().map(\.count) == [1, 1])
    // Its late events change nothing.
    try log.append([.transition("a", .executing, .memory, time: 5)], source: worker)
    #expect(try open() == ["scheduler waiting"])
    try log.close()
  }

  @Test func `tasks of a worker that has closed are not unfinished`() throws {
    let worker = try log.addWorker(1)
    try log.append(
      [.transition("a", .ready, .executing, time: 3), Event(.teardown, time: 4)], source: worker)
    try log.close()
    #expect(try rows("SELECT * FROM open_tasks").isEmpty)
  }

  @Test(arguments: [true, false])
  func `a stolen task is at the worker that has stolen it`(isDask: Bool) throws {
    let confirmed: Event =
      isDask
      ? Event(
        .logEvent, time: 5, key: "a", taskRunID: 2,
        args: Args(named: [
          .init("topic", "stealing"),
          .init(
            "message",
            .tuple(["confirm", "a", "waiting", "tcp://w:1", "tcp://w:2", "steal-1"])),
        ]))
      : Event(
        .stimulus, time: 5, key: "a", stimulusID: "steal-1", worker: "tcp://w:2", taskRunID: 2,
        args: Args(named: [.init("op", "move-task")]))
    try log.append([
      .transition("a", .waiting, .processing, time: 2, worker: "tcp://w:1"),
      // A request alone moves nothing.
      Event(
        .logEvent, time: 3,
        args: Args(named: [
          .init("topic", "stealing"),
          .init("message", .tuple(["request", "a", "tcp://w:1", "tcp://w:3", "steal-1"])),
        ])),
      confirmed,
    ])
    _ = try (log.addWorker(1), log.addWorker(2))
    func check(_ seq: Int64, _ worker: String) throws {
      let reader = try LogReader(path: log.path)
      var found: [String?] = []
      try reader.whereabouts(in: reader.latest(), at: .seq(seq)).forEachTask {
        found.append($0.worker)
      }
      #expect(found == [worker])
    }
    try check(2, "tcp://w:1")
    try check(3, "tcp://w:2")
    #expect(
      try rows("SELECT source, worker, state FROM open_tasks")
        == [["scheduler", "tcp://w:2", "processing"]])
    try log.append([.transition("a", .processing, .memory, time: 9)])
    try log.close(at: 12)
    let reader = try LogReader(path: log.path)
    #expect(
      try reader.summary(of: reader.latest()).workers.map { $0.occupancy == nil } == [true, true])
    #expect(
      try rows("SELECT worker, seconds FROM state_intervals WHERE state = 'processing'") == [
        ["tcp://w:2", 7e-9]
      ])
  }
}

extension Double {
  fileprivate func rounded(_ digits: Int) -> Double {
    let factor = [1.0, 10, 100, 1000, 10_000][digits]
    return (self * factor).rounded() / factor
  }
}
