import TestSupport
import Testing

@testable import EventLog
@testable import TaskLogPlugin

@Suite struct RoundTripTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder("log.db")
  }

  @Test func `events are read as they were written, in both orders of reading`() throws {
    var random = Randomness.generator(101)
    let log = try LogUnderTest(path)
    let sources = [log.scheduler, try log.addWorker(1), try log.addWorker(2, name: "b")]
    var written: [(source: Int64, event: Event)] = []
    for _ in 0..<8 {
      let batch = (0..<Randomness.count / 8).map { _ in
        (source: random.pick(sources), event: random.event())
      }
      try log.append(batch)
      written += batch
    }
    try log.close()

    let reader = try LogReader(path: path)
    let read = try reader.all()
    #expect(read.count == written.count)
    for (place, (a, b)) in zip(read, written).enumerated() {
      #expect(a.source == b.source && a.seq == Int64(place + 1))
      #expect(
        a.event.isSame(as: b.event),
        "seed \(Randomness.seed), event \(place): \(a.event) is not \(b.event)")
    }
    for source in try reader.sources(of: reader.latest()) {
      let own = try reader.all(of: source)
      let expected = written.filter { $0.source == source.number }.map(\.event)
      #expect(own.map(\.sourceSeq) == Array(1...Int64(expected.count)))
      #expect(zip(own, expected).allSatisfy { $0.event.isSame(as: $1) })
    }
  }

  @Test func `sources and runs are read as they were written`() throws {
    let log = try LogUnderTest(path, id: "0198-ab")
    _ = try log.addWorker(1, name: .tuple(["a", 1]))
    try log.close(at: 77)
    let reader = try LogReader(path: path)
    let run = try reader.latest()
    #expect(run.id == "0198-ab" && run.engine == "tasklog" && run.engineVersion == "1")
    #expect(run.recorderVersion == "2" && run.mode == "full" && run.started == 1_000)
    #expect(run.ended == 77 && run.metadata == .object(["host": "here"]))
    #expect(
      try reader.sources(of: run).map(\.source) == [
        .scheduler,
        Source(kind: .worker, id: "Worker-1", address: "tcp://w:1", name: .tuple(["a", 1])),
      ])
  }

  @Test func `an empty event is read as an empty event`() throws {
    let log = try LogUnderTest(path)
    try log.append([Event(.start, time: 0), Event(.other(""), time: .min, stimulusID: "")])
    let read = try LogReader(path: path).all().map(\.event)
    #expect(read[0].isSame(as: Event(.start, time: 0)))
    #expect(read[1].isSame(as: Event(.other(""), time: .min, stimulusID: "")))
    #expect(try sql("SELECT args, snapshot FROM event", on: path) == [[nil, nil], [nil, nil]])
  }

  @Test func `a source may number its events from zero or below`() throws {
    let log = try LogUnderTest(path)
    try log.writer.transaction {
      for sourceSeq in [-1, 0, 1] as [Int64] {
        try log.writer.append(Event(.start, time: 0), source: log.scheduler, sourceSeq: sourceSeq)
      }
    }
    let reader = try LogReader(path: path)
    let source = try #require(try reader.sources(of: reader.latest()).first)
    #expect(try reader.all(of: source).map(\.sourceSeq) == [-1, 0, 1])
  }

  @Test func `hooks and states that are only equivalent as Unicode stay apart`() throws {
    let log = try LogUnderTest(path)
    let names = ["\u{e9}", "e\u{301}", "\u{e9}"]
    try log.append(
      names.map {
        Event(.other($0), time: 0, start: .other($0), finish: .other($0), stimulusID: $0)
      })
    let read = try LogReader(path: path).all().map(\.event)
    for (event, name) in zip(read, names) {
      #expect(event.hook.name.sameBytes(as: name))
      #expect(event.start?.name.sameBytes(as: name) == true)
      #expect(event.finish?.name.sameBytes(as: name) == true)
      #expect(event.stimulusID?.sameBytes(as: name) == true)
    }
  }

  @Test func `long bytes are stored once`() throws {
    let log = try LogUnderTest(path)
    let long = Value.bytes([UInt8](repeating: 1, count: 257))
    let args = Args(named: [.init("a", long), .init("b", .list([long]))])
    try log.append((0..<3).map { Event(.logEvent, time: $0, args: args) })
    #expect(try sql("SELECT count(*), sum(length(bytes)) FROM blob", on: path) == [[1, 257]])
    #expect(try LogReader(path: path).all().allSatisfy { $0.event.args == args })
  }

  @Test func `args with bytes can be read after their reader is closed, from many threads`()
    async throws
  {
    let log = try LogUnderTest(path)
    let args = (0..<20).map { number in
      Args(positional: [.bytes([UInt8](repeating: UInt8(number), count: 300))], named: [])
    }
    try log.append(args.map { Event(.logEvent, time: 0, args: $0) })
    let read = try LogReader(path: path).all().map(\.event.args)
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 { group.addTask { read == args } }
      for await isSame in group { #expect(isSame) }
    }
  }

  @Test func `a missing blob is read as an opaque value`() throws {
    let log = try LogUnderTest(path)
    let long = Value.bytes([UInt8](repeating: 1, count: 300))
    try log.append([Event(.logEvent, time: 0, args: Args(positional: [long], named: []))])
    try sql("DELETE FROM blob", on: path)
    let content = try LogReader(path: path).all()[0].event.args.content
    #expect(content.positional.map(\.isOpaque) == [true])
  }
}
