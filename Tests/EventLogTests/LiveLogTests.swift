import Testing

@testable import EventLog
@testable import LogFormat
@testable import TaskLogPlugin

/// A reader that is open while a recorder writes.
@Suite struct LiveLogTests {
  private let folder: TemporaryFolder
  private let log: LogUnderTest

  init() throws {
    folder = try TemporaryFolder()
    log = try LogUnderTest(folder("log.db"))
  }

  private func events(_ numbers: Range<Int>) -> [Event] {
    numbers.map {
      Event.transition(Key("key-\($0)"), .waiting, .processing, stimulus: "stimulus-\($0)")
    }
  }

  @Test func `more keys and texts than a block contains are preserved`() throws {
    try log.append(events(0..<5_000))
    // In the reverse order of first use.
    try log.append(events(0..<5_000).reversed())
    let read = try LogReader(path: log.path).all().map(\.event)
    #expect(read == events(0..<5_000) + events(0..<5_000).reversed())
  }

  @Test func `an open reader sees events that are written later`() throws {
    let reader = try LogReader(path: log.path)
    #expect(try reader.all().isEmpty)
    var count = 0
    for more in [1, 3, 500, 518, 1, 1, 1_022, 2, 4_096] {
      try log.append(events(count..<count + more))
      count += more
      #expect(try reader.all().map(\.event) == events(0..<count))
    }
  }

  @Test func `a cursor ends where the run ended when the cursor was created`() throws {
    try log.append(events(0..<10))
    let reader = try LogReader(path: log.path)
    let run = try reader.latest()
    let cursor = try reader.events(of: run, order: .causal)
    #expect(try cursor.nextEvent() != nil)
    try log.append(events(10..<20))
    var count = 1
    while try cursor.nextEvent() != nil { count += 1 }
    #expect(count == 10)
    #expect(try reader.all(run).count == 10)
    #expect(try reader.all().count == 20)
  }

  @Test func `a reader in the middle of a run does not keep a transaction open`() throws {
    try log.append(events(0..<9_000))
    let reader = try LogReader(path: log.path)
    let cursor = try reader.events(of: reader.latest(), order: .causal)
    _ = try cursor.nextEvent()
    // Fails if a reader retains the WAL: https://sqlite.org/pragma.html#pragma_wal_checkpoint
    #expect(try sql("PRAGMA wal_checkpoint(TRUNCATE)", on: log.path)[0][0] == 0)
    var answer: SQLiteValue?
    try reader.rows(matching: EventFilter(), columns: ["seq"], limit: nil) { row in
      guard row == [.integer(5_000)] else { return }
      answer = try sql("PRAGMA wal_checkpoint(TRUNCATE)", on: log.path)[0][0]
    }
    #expect(answer == 0)
    var count = 1
    while try cursor.nextEvent() != nil { count += 1 }
    #expect(count == 9_000)
  }
}
