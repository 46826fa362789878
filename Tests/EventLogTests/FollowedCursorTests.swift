import Testing

@testable import EventLog
@testable import LogFormat
@testable import TaskLogPlugin

/// A cursor that follows a growing log.
@Suite struct FollowedCursorTests {
  private let folder = try! TemporaryFolder()

  private static func step(_ start: State, _ finish: State, run: Int64? = nil) -> Event {
    Event(
      .transition, time: 1, key: "a", start: start, finish: finish, stimulusID: "done",
      taskRunID: run)
  }

  @Test func `no event is emitted beyond the limit, and a cause beyond it is waited for`() throws {
    let log = try GrowingLog(folder("log.db"))
    try log.add(Self.step(.waiting, .processing, run: 1), from: log.scheduler)
    try log.add(Self.step(.processing, .memory), from: log.scheduler)
    let cursor = try log.reader.events(of: log.run(), order: .causal, isFollowed: true)
    #expect(try words(cursor) == [])
    cursor.advance(to: 2, emittingThrough: 1, sources: [], isOver: false)
    #expect(try words(cursor) == ["waiting processing"])
    // The worker's batch arrives, with a source that was not known.
    let worker = try log.addWorker()
    try log.add(Self.step(.executing, .memory, run: 1), from: worker)
    let sources = try log.reader.sources(of: log.run()).filter { $0.number == worker }
    cursor.advance(to: 3, emittingThrough: 2, sources: sources, isOver: false)
    #expect(try words(cursor) == [])
    cursor.advance(to: 3, emittingThrough: 3, sources: [], isOver: false)
    #expect(try words(cursor) == ["executing memory", "processing memory"])
    #expect(cursor.outOfOrderCount == 0)
    #expect(cursor.count == 3)
  }

  @Test func `at the end all events are emitted`() throws {
    let log = try GrowingLog(folder("log.db"))
    try log.add(Self.step(.waiting, .processing, run: 1), from: log.scheduler)
    let cursor = try log.reader.events(of: log.run(), order: .causal, isFollowed: true)
    cursor.advance(to: 1, emittingThrough: 1, sources: [], isOver: true)
    #expect(try words(cursor) == ["waiting processing"])
    #expect(try words(cursor) == [])
  }

  @Test func `sources can be added later`() throws {
    let log = try GrowingLog(folder("log.db"))
    let cursor = try log.reader.events(
      of: log.run(), order: .causal, wanted: [log.scheduler], isFollowed: true)
    let worker = try log.addWorker()
    for _ in 0..<2 { try log.add(Self.step(.ready, .executing), from: worker) }
    let sources = try log.reader.sources(of: log.run()).filter { $0.number == worker }
    cursor.advance(to: 1, emittingThrough: 1, sources: sources, isOver: false)
    #expect(try words(cursor) == [])
    cursor.want([log.scheduler, worker])
    cursor.advance(to: 2, emittingThrough: 2, sources: [], isOver: true)
    #expect(try words(cursor) == ["ready executing"])
  }

  private func words(_ cursor: EventCursor) throws -> [String] {
    var words: [String] = []
    while let event = try cursor.nextEvent()?.event {
      words.append("\(event.start?.name ?? "") \(event.finish?.name ?? "")")
    }
    return words
  }
}

/// A log of one run that grows while it is read.
private final class GrowingLog {
  let reader: LogReader
  let scheduler: Int64
  private let writer: LogWriter
  private let number: Int64
  private var numbers: [Int64: Int64] = [:]

  init(_ path: String) throws {
    let writer = try LogWriter(path: path)
    self.writer = writer
    (number, scheduler) = try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: RunID.make(), engine: "dask", engineVersion: "0", recorderVersion: "0", mode: "full",
          started: 1))
      return (run, try writer.add(Source(kind: .scheduler, id: "S", address: "tcp://s"), run: run))
    }
    reader = try LogReader(path: path)
  }

  func addWorker() throws -> Int64 {
    try writer.transaction {
      try writer.add(Source(kind: .worker, id: "W", address: "tcp://w"), run: number)
    }
  }

  func add(_ event: Event, from source: Int64) throws {
    numbers[source, default: 0] += 1
    try writer.transaction {
      try writer.append(event, source: source, sourceSeq: numbers[source] ?? 0)
    }
  }

  func run() throws -> RunInfo {
    try #require(try reader.runs().first)
  }
}
