import Testing

@testable import EventLog
@testable import LogFormat
@testable import TaskLogPlugin

/// A log with one run that a test fills.
final class LogUnderTest {
  let path: String
  let writer: LogWriter
  let run: Int64
  let scheduler: Int64
  private var sourceSeqs: [Int64: Int64] = [:]

  init(_ path: String, id: String = RunID.make(), started: Int64 = 1_000) throws {
    self.path = path
    let writer = try LogWriter(path: path)
    self.writer = writer
    (run, scheduler) = try writer.transaction {
      let run = try writer.add(.test(id, started: started))
      return (run, try writer.add(.scheduler, run: run))
    }
  }

  func addWorker(_ number: Int, address: String? = nil, name: Value? = nil) throws -> Int64 {
    try writer.transaction {
      try writer.add(
        Source(
          kind: .worker, id: "Worker-\(number)", address: address ?? "tcp://w:\(number)",
          name: name ?? .int(Int64(number))), run: run)
    }
  }

  /// Appends events of one source in a separate transaction.
  func append(_ events: [Event], source: Int64? = nil) throws {
    try append(events.map { (source ?? scheduler, $0) })
  }

  func append(_ events: [(source: Int64, event: Event)]) throws {
    try writer.transaction {
      for (source, event) in events {
        sourceSeqs[source, default: 0] += 1
        try writer.append(event, source: source, sourceSeq: sourceSeqs[source] ?? 0)
      }
    }
  }

  func close(at time: Int64 = 9_000) throws {
    try writer.transaction { try writer.end(run: run, .closed, at: time) }
    writer.close()
  }
}

extension RunHeader {
  static func test(_ id: String = RunID.make(), started: Int64 = 1_000) -> RunHeader {
    RunHeader(
      id: id, engine: "tasklog", engineVersion: "1", recorderVersion: "2", mode: "full",
      started: started, metadata: .object(["host": "here"]))
  }
}

extension Source {
  static let scheduler = Source(kind: .scheduler, id: "Scheduler-1", address: "tcp://s:1")
}

extension LogReader {
  func latest() throws -> RunInfo { try #require(try runs().last) }

  func all(_ run: RunInfo? = nil, order: EventOrder = .arrival) throws -> [RecordedEvent] {
    let cursor = try events(of: try run ?? latest(), order: order)
    var events: [RecordedEvent] = []
    while let event = try cursor.nextEvent() { events.append(event) }
    return events
  }

  func all(of source: SourceInfo) throws -> [RecordedEvent] {
    let cursor = try events(of: source)
    var events: [RecordedEvent] = []
    while let event = try cursor.nextEvent() { events.append(event) }
    return events
  }
}

extension Event {
  /// Equal byte for byte; `==` finds Unicode-equivalent text equal.
  func isSame(as other: Event) -> Bool {
    func same(_ a: String?, _ b: String?) -> Bool {
      guard let a, let b else { return a == nil && b == nil }
      return a.sameBytes(as: b)
    }
    return same(hook.name, other.hook.name) && time == other.time && key == other.key
      && same(start?.name, other.start?.name) && same(finish?.name, other.finish?.name)
      && same(stimulusID, other.stimulusID) && same(worker, other.worker)
      && taskRunID == other.taskRunID && args == other.args && snapshot == other.snapshot
  }

  static func transition(
    _ key: Key, _ start: State, _ finish: State, stimulus: String? = nil, time: Int64 = 0,
    worker: String? = nil, run: Int64? = nil, args: [Args.Argument] = []
  ) -> Event {
    Event(
      .transition, time: time, key: key, start: start, finish: finish, stimulusID: stimulus,
      worker: worker, taskRunID: run, args: Args(named: args))
  }
}

/// Runs SQL on a file as any other program would.
@discardableResult
func sql(_ text: String, on path: String) throws -> [[SQLiteValue]] {
  let connection = try Connection(path: path, mode: .readWrite)
  let statement = try connection.prepare(text)
  var rows: [[SQLiteValue]] = []
  while try statement.step() { rows.append((0..<statement.columnCount).map(statement.value)) }
  return rows
}

/// The result of a user's SQL.
func query(_ text: String, _ path: String) throws -> (columns: [String], rows: [[SQLiteValue]]) {
  var names: [String] = []
  var rows: [[SQLiteValue]] = []
  try UserSQL(path: path).run(text, start: { names = $0 }, give: { rows.append($0) })
  return (names, rows)
}

extension SQLiteValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByNilLiteral
{
  public init(stringLiteral value: String) { self = .text(value) }
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(floatLiteral value: Double) { self = .real(value) }
  public init(nilLiteral: ()) { self = .null }
}

extension LogReader {
  /// All rows that match a filter, by the names of columns.
  func rows(
    matching filter: EventFilter, columns: [String], limit: Int?,
    give: ([SQLiteValue]) throws -> Void
  ) throws {
    let rows = try rows(
      matching: filter, columns: columns.map { try #require(EventColumn($0)) }, limit: limit)
    while let row = try rows.next() { try give(row) }
  }
}
