import Testing

@testable import EventLog
@testable import LogAnalysis
@testable import LogFormat
@testable import TaskLogPlugin

/// Worker times are converted to the scheduler's clock as far as their offset is known.
@Suite struct ClockOffsetTests {
  let folder: TemporaryFolder
  let log: LogUnderTest
  let worker: Int64
  private static let second: Int64 = 1_000_000_000
  private static let start: Int64 = 1_769_860_800_000_000_000

  init() throws {
    folder = try TemporaryFolder()
    log = try LogUnderTest(folder("log.db"), id: "run-1", started: Self.start)
    worker = try log.addWorker(1)
  }

  private func rows(_ sql: String) throws -> [[SQLiteValue]] { try query(sql, log.path).rows }

  /// A worker's measurement, in seconds.
  private func measured(_ delay: Double, roundTrip: Double?, at time: Int64 = start) -> Event {
    var args: [Args.Argument] = [
      .init("op", "clock-offset"), .init("scheduler_delay", .double(delay)),
    ]
    if let roundTrip { args.append(.init("round_trip", .double(roundTrip))) }
    return Event(.stimulus, time: time, args: Args(named: args))
  }

  private func offsets() throws -> [[SQLiteValue]] {
    try rows("SELECT source_seq, offset, uncertainty FROM clock_offsets")
  }

  @Test func `an accurate clock is not corrected, whatever the round trip`() throws {
    try log.append(
      [
        measured(0.004, roundTrip: 0.01), measured(-0.3, roundTrip: 0.8),
        measured(0.0005, roundTrip: 0.001),
      ], source: worker)
    // The last measurement was the best.
    #expect(try offsets() == [[0, 0.0, 0.001]])
  }

  @Test func `a clock with an offset is corrected from the first event on`() throws {
    try log.append(
      [.transition("a", .ready, .executing, time: Self.start), measured(7200, roundTrip: 0.02)],
      source: worker)
    #expect(try offsets() == [[0, 7200.0, 0.01]])
    #expect(
      try rows("SELECT time, time_ns - raw_time_ns FROM transitions")
        == [["2026-01-31T14:00:00.000000Z", .integer(7200 * Self.second)]])
  }

  @Test func `a clock that is changed is corrected from that moment on`() throws {
    let move = Event.transition("a", .ready, .executing, time: Self.start)
    try log.append(
      [
        measured(0.0, roundTrip: 0.002), move, measured(-3.0, roundTrip: 0.002), move,
        measured(-3.0005, roundTrip: 0.002), move,
      ], source: worker)
    #expect(try offsets() == [[0, 0.0, 0.001], [3, -3.0, 0.001]])
    #expect(
      try rows("SELECT (time_ns - raw_time_ns) / 1000000000 FROM transitions ORDER BY seq")
        == [[0], [-3], [-3]])
  }

  @Test func `a measurement without a recorded error counts for large offsets only`() throws {
    try log.append([measured(0.03, roundTrip: nil), measured(60, roundTrip: nil)], source: worker)
    #expect(try offsets() == [[0, 0.0, 2.03], [2, 60.0, 2.0]])
  }

  @Test(arguments: [Double.nan, .infinity, 1e300, -1e12])
  func `an impossible clock value is ignored`(delay: Double) throws {
    try log.append([measured(delay, roundTrip: 0.01)], source: worker)
    #expect(try offsets().isEmpty)
    try log.append([measured(1, roundTrip: delay)], source: worker)
    #expect(try offsets().count <= 1)
  }

  @Test func `a worker with an unmeasured clock keeps its times, and that is reported`() throws {
    try log.append([.transition("a", .ready, .executing, time: Self.start)], source: worker)
    try log.close()
    #expect(try rows("SELECT time_ns - raw_time_ns FROM events") == [[0]])
    #expect(try rows("SELECT clock_offset, clock_uncertainty FROM workers") == [[nil, nil]])
    let reader = try LogReader(path: log.path)
    let run = try reader.latest()
    // Our own engine's workers are threads in the scheduler's process.
    #expect(try reader.workersWithoutClock(of: run).isEmpty)
    var other = run
    other.engine = "dask"
    #expect(try reader.workersWithoutClock(of: other).map(\.id) == ["Worker-1"])
  }

  @Test func `causes and effects bound the offset of an unmeasured clock`() throws {
    try log.append([
      (
        log.scheduler,
        .transition("a", .waiting, .processing, time: 10 * Self.second, worker: "w", run: 1)
      ),
      (worker, .transition("a", .released, .waiting, time: 3 * Self.second, run: 1)),
      (worker, .transition("a", .executing, .memory, stimulus: "s", time: 5 * Self.second, run: 1)),
      (
        log.scheduler,
        .transition("a", .processing, .memory, stimulus: "s", time: 14 * Self.second, worker: "w")
      ),
    ])
    #expect(try rows("SELECT lower, upper FROM clock_bounds") == [[7.0, 9.0]])
  }

  /// The scheduler's events, and the worker's with a clock two hours ahead and then three days
  /// behind.
  private func skewed() throws {
    func at(_ seconds: Int64) -> Int64 { Self.start + seconds * Self.second }
    try log.append([
      (log.scheduler, .transition("a", .released, .processing, time: at(1), worker: "tcp://w:1")),
      (worker, measured(-7200, roundTrip: 0.002, at: at(7201))),
      (worker, .transition("a", .waiting, .executing, stimulus: "s", time: at(7202))),
      (worker, measured(259_200, roundTrip: 0.002, at: at(3 - 259_200))),
      (worker, .transition("a", .executing, .memory, stimulus: "s", time: at(4 - 259_200))),
      (log.scheduler, .transition("a", .processing, .memory, time: at(5), worker: "tcp://w:1")),
      (worker, Event(.teardown, time: at(6 - 259_200))),
    ])
    try log.writer.transaction {
      try log.writer.addGap(
        source: worker, sourceSeq: 6, count: 1, time: at(7 - 259_200), reason: "x")
    }
  }

  @Test func `times of different clocks are converted to one clock everywhere`() throws {
    try skewed()
    try log.writer.transaction { try log.writer.endAsDied(run: log.run) }
    log.writer.close()
    let start = Self.start
    func seconds(_ column: String) -> String { "(\(column) - \(start)) / 1000000000" }
    #expect(
      try rows("SELECT \(seconds("time_ns")) FROM events ORDER BY seq")
        == [[1], [1], [2], [3], [4], [5], [6]])
    #expect(
      try rows("SELECT \(seconds("raw_time_ns")) FROM events ORDER BY seq")
        == [[1], [7201], [7202], [-259_197], [-259_196], [5], [-259_194]])
    #expect(
      try rows("SELECT state, seconds FROM state_intervals WHERE source = 'worker' ORDER BY seq")
        == [["executing", 2.0], ["memory", nil]])
    #expect(try rows("SELECT elapsed FROM stories ORDER BY seq") == [[nil], [1.0], [2.0], [1.0]])
    #expect(
      try rows(
        "SELECT \(seconds("first_seen")), \(seconds("last_seen")), clock_offset FROM workers")
        == [[1, 6, 259_200.0]])
    #expect(
      try rows("SELECT \(seconds("first_seen")), \(seconds("last_seen")) FROM stimuli")
        == [[2, 4]])
    #expect(try rows("SELECT \(seconds("time_ns")) FROM gaps") == [[7]])
    #expect(try rows("SELECT \(seconds("ended")) FROM runs") == [[6]])
    let reader = try LogReader(path: log.path)
    let run = try reader.latest()
    let summary = try reader.summary(of: run)
    #expect(
      summary.states.first { $0.source == "worker" && $0.state == "executing" }?.total
        == 2 * Self.second)
    let gap = try #require(try reader.gaps(of: run).first)
    #expect([gap.time, gap.before].map { ($0 ?? 0) - start } == [7, 6].map { $0 * Self.second })
    // After the first second the task is only at the scheduler; after the third it executes.
    for (moment, wanted) in [(1, ["processing"]), (3, ["processing", "executing"])] {
      var states: [String] = []
      let found = try reader.whereabouts(
        in: run, at: .time(start + Int64(moment) * Self.second))
      try found.forEachTask { states.append($0.state) }
      #expect(states == wanted, "after \(moment) s")
    }
    var filter = EventFilter()
    filter.since = start + 2 * Self.second
    filter.until = start + 4 * Self.second
    #expect(try reader.count(matching: filter) == 3)
  }
}
