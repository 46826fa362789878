import TestSupport
import Testing

@testable import EventLog
@testable import LogFormat
@testable import TaskLogPlugin

@Suite struct WriterTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder("log.db")
  }

  private struct Abort: Error {}

  @Test func `two writers share a file`() throws {
    let logs = [try LogUnderTest(path), try LogUnderTest(path)]
    var random = Randomness.generator(111)
    var written: [[Event]] = [[], []]
    for round in 0..<5 {
      let which = random.below(2)
      let events = (0..<1 + random.below(40)).map { number in
        Event.transition(
          Key("k-\(random.below(100))"), .waiting, .processing, stimulus: "s-\(number % 7)",
          time: Int64(round))
      }
      try logs[which].append(events)
      written[which] += events
    }
    let reader = try LogReader(path: path)
    let runs = try reader.runs()
    #expect(runs.count == 2)
    for (run, events) in zip(runs, written) {
      let read = try reader.all(run)
      #expect(read.map(\.event) == events)
      #expect(zip(read, read.dropFirst()).allSatisfy { $0.seq < $1.seq })
      #expect(run.firstSeq == read.first?.seq && run.lastSeq == read.last?.seq)
    }
    for table in ["text", "key"] {
      #expect(
        try sql("SELECT count(*) - count(DISTINCT text) FROM \(table)", on: path) == [[0]])
    }
    let total = Int64(written[0].count + written[1].count)
    #expect(
      try sql("SELECT count(*), max(seq) FROM event", on: path) == [
        [.integer(total), .integer(total)]
      ])
  }

  @Test func `a failing transaction stores nothing, and later events read back right`() throws {
    let log = try LogUnderTest(path)
    #expect(throws: Abort.self) {
      try log.writer.transaction {
        let run = try log.writer.add(.test())
        let source = try log.writer.add(.scheduler, run: run)
        for number in 0..<10 as Range<Int64> {
          try log.writer.append(
            Event(
              .other("gone"), time: 0, key: Key("gone-\(number)"), start: .waiting,
              finish: .other("lost"), stimulusID: "gone-\(number)", worker: "gone",
              args: Args(positional: [.bytes([UInt8](repeating: 3, count: 300))], named: [])),
            source: source, sourceSeq: number)
        }
        try log.writer.addGap(
          source: source, sourceSeq: 1, count: 1, time: 0, reason: "gone")
        throw Abort()
      }
    }
    for table in ["event", "gap", "blob", "text", "key"] {
      #expect(try sql("SELECT count(*) FROM \(table)", on: path) == [[0]], "\(table)")
    }
    #expect(try sql("SELECT count(*) FROM run", on: path) == [[1]])
    // Another order of first use: cached numbers would now be wrong.
    let events = [
      Event(.other("gone"), time: 1, key: "new", start: .other("lost"), finish: .waiting),
      Event(.transition, time: 2, key: "gone-5", stimulusID: "new", worker: "gone"),
    ]
    try log.append(events)
    let read = try LogReader(path: path).all()
    #expect(read.map(\.event) == events)
    #expect(read.map(\.seq) == [1, 2])
  }

  @Test(arguments: [0, 1, 31, 32, 33, 64, 100])
  func
    `events are put in whatever their number, and one that cannot be read takes no other with it`(
      count: Int
    ) throws
  {
    let log = try LogUnderTest(path)
    let events = (0..<count).map { number in
      var event = Event(.logEvent, time: Int64(number))
      if number % 4 > 0 { event.key = Key("k-\(number % 9)") }
      if number % 3 > 0 { event.args = Args(named: [.init("n", .int(Int64(number)))]) }
      if number % 5 > 0 { event.snapshot = .other(.string("s-\(number)")) }
      if number % 7 > 0 { event.worker = "w-\(number % 2)" }
      return event
    }
    // It ends in the middle of its args.
    let damaged: [UInt8] = [
      1, 13, 0xC0, 0xC0, 0xC0, 0xC0, 0xC0, 0xC0, 0x92, 0x90, 0x81, 0xA1, 0x78, 0xC1,
    ]
    try log.writer.transaction {
      for (number, event) in events.enumerated() {
        try damaged.withUnsafeBytes { bytes in
          let encoded = try EncodedEvent(fields: bytes)
          #expect(throws: MessagePackError.self) {
            try log.writer.append(encoded, source: log.scheduler, sourceSeq: 1000)
          }
        }
        try log.writer.append(event, source: log.scheduler, sourceSeq: Int64(number + 1))
      }
    }
    let read = try LogReader(path: path).all()
    #expect(read.map(\.event) == events)
    #expect(read.map(\.sourceSeq) == events.indices.map { Int64($0 + 1) })
  }

  @Test func `a number is never reused, even after the newest rows are deleted`() throws {
    let log = try LogUnderTest(path)
    try log.append((0..<5).map { Event(.start, time: $0) })
    try sql("DELETE FROM event WHERE seq > 2", on: path)
    try log.append([Event(.close, time: 9)])
    #expect(try sql("SELECT seq FROM event", on: path) == [[1], [2], [6]])
  }

  @Test func `a wrong number counter in the file does not stop the writer`() throws {
    let log = try LogUnderTest(path)
    try log.append((0..<5).map { Event(.start, time: $0) })
    try sql("UPDATE meta SET value = 2 WHERE name = 'next_seq'", on: path)
    try log.append([Event(.close, time: 9)])
    #expect(try sql("SELECT max(seq) FROM event", on: path) == [[6]])
  }

  @Test func `running out of numbers is an error, not a trap`() throws {
    let log = try LogUnderTest(path)
    try sql("UPDATE meta SET value = \(Int64.max) WHERE name = 'next_seq'", on: path)
    #expect(throws: LogError.self) { try log.append([Event(.close, time: 9)]) }
  }

  @Test func `numbers that were pruned from the file are forgotten`() throws {
    let log = try LogUnderTest(path)
    let event = Event.transition("x", .waiting, .processing, stimulus: "s")
    try log.append([event])
    try sql("DELETE FROM event", on: path)
    try sql("DELETE FROM text", on: path)
    try sql("DELETE FROM key", on: path)
    try sql("UPDATE meta SET value = value + 1 WHERE name = 'intern_generation'", on: path)
    try sql("INSERT INTO text (text) VALUES ('another')", on: path)
    try log.append([event])
    #expect(try LogReader(path: path).all().map(\.event) == [event])
  }

  @Test func `a writer may continue a source that another has added`() throws {
    let log = try LogUnderTest(path)
    try log.append([Event(.start, time: 1)])
    let other = try LogWriter(path: path)
    try other.transaction {
      try other.append(Event(.close, time: 2), source: log.scheduler, sourceSeq: 2)
    }
    #expect(try LogReader(path: path).all().map(\.event.hook) == [.start, .close])
    #expect(throws: LogError.self) {
      try other.transaction {
        try other.append(Event(.close, time: 3), source: 99, sourceSeq: 1)
      }
    }
  }

  @Test func `an event that exists already is refused`() throws {
    let log = try LogUnderTest(path)
    try log.append([Event(.start, time: 1)])
    #expect(throws: SQLiteError.self) {
      try log.writer.transaction {
        try log.writer.append(Event(.start, time: 1), source: log.scheduler, sourceSeq: 1)
      }
    }
    try log.append([Event(.close, time: 2)])
    #expect(try LogReader(path: path).all().count == 2)
  }

  @Test func `many recorders may open a new file at once`() async throws {
    for round in 0..<5 {
      let path = folder("race-\(round).db")
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<8 as Range<Int64> {
          group.addTask {
            let log = try LogUnderTest(path)
            try log.append([Event(.start, time: number)])
            _ = try LogReader(path: path).runs()
            try log.close()
          }
        }
        try await group.waitForAll()
      }
      let reader = try LogReader(path: path)
      let runs = try reader.runs()
      #expect(runs.count == 8)
      for run in runs { #expect(try reader.all(run).count == 1) }
    }
  }
}
