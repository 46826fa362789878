import TestSupport
import Testing

@testable import EventLog
@testable import LogFormat
@testable import LogMaintenance
@testable import TaskLogPlugin

/// Values that the tasks of a graph share are stored once in a log, and values that share an object
/// still do after every way that an event can take.
@Suite struct SharedValueTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static let text = Value.string(String(repeating: "long \u{1}\" ", count: 5_000))
  private static let small = Value.list([.int(1), .dict([])])

  private static func shared(_ number: Int64, _ value: Value? = nil) -> Value {
    .tagged("$shared", .list([.int(number)] + (value.map { [$0] } ?? [])))
  }

  /// As a recorder of Dask has it in its spool: each value once in an event, then by its number.
  private static func event(_ time: Int64, tasks: Int = 50, text: Value = text) -> Event {
    func note(_ place: Int, isSnapshot: Bool) -> Value {
      // Not `: nil`, which can be a value, `null`.
      func once(_ value: Value) -> Value? { place == 0 && !isSnapshot ? value : Value?.none }
      return .dict([
        .init(.string("text"), shared(0, once(text))),
        .init(.string("small"), shared(1, once(small))),
        .init(.string("nested"), shared(2, once(.list([shared(0), .bytes(bytes)])))),
      ])
    }
    let args = (0..<tasks).map { note($0, isSnapshot: false) }
    let snapshot = (0..<tasks).map { note($0, isSnapshot: true) }
    return Event(
      .logEvent, time: time, args: Args(named: [.init("annotations", .list(args))]),
      snapshot: Snapshot(.dict([.init(.string("some"), .list(snapshot))])))
  }

  private static let bytes = [UInt8](repeating: 7, count: 400)

  /// The event as a plugin sees it.
  private static let plain: Value = .dict([
    .init(.string("text"), text), .init(.string("small"), small),
    .init(.string("nested"), .list([text, .bytes(bytes)])),
  ])

  private func expectPlain(_ path: String, _ count: Int) throws {
    let events = try LogReader(path: path).all()
    #expect(events.count == count)
    for event in events {
      let expected = Value.list([Value](repeating: Self.plain, count: 50))
      #expect(event.event.args["annotations"] == expected)
      #expect(event.event.snapshot.value?["some"] == expected)
    }
  }

  private func expectSmall(_ path: String, _ events: Int64) throws {
    // The text, and the value that it is nested in.
    #expect(try sql("SELECT count(*) FROM blob WHERE length(bytes) > 1000", on: path) == [[2]])
    let sizes = try sql("SELECT sum(length(args) + length(snapshot)) FROM event", on: path)
    guard case .integer(let size) = sizes[0][0] else { return #expect(Bool(false)) }
    #expect(size < events * 40_000)
  }

  @Test func `a value that tasks share is stored once`() throws {
    let path = folder("once.db")
    let log = try LogUnderTest(path)
    try log.append((1...20).map { Self.event($0) })
    try log.close()
    try expectPlain(path, 20)
    try expectSmall(path, 20)
    let args = try sql("SELECT args FROM event LIMIT 1", on: path)
    guard case .text(let json) = args[0][0] else { return #expect(Bool(false)) }
    #expect(json.contains(#""small":{"$shared":[1,[1,{}]]}"#))
    let references = json.split(separator: #""text":{"$shared":[0,{"$json":{"$blob":""#)
    #expect(references.count == 51)
    #expect(try LogCheck(path: path).run().findings.isEmpty)
  }

  /// As a worker of Dask sends it: the hash of a text that an earlier event of the batch contained.
  private static func sent(_ time: Int64, _ text: Value, again: Bool) -> Event {
    let json = JSONWriter.text(text)
    let value =
      again
      ? Value.tagged("$same", .string(SHA256.hash(Array(json.utf8))))
      : .tagged("$json", .string(json))
    return Event(.stimulus, time: time, args: Args(named: [.init("custom", shared(0, value))]))
  }

  @Test func `text that a worker sends once belongs to later events too, also in the next file`()
    throws
  {
    let (path, next) = (folder("sent.db"), folder("next.db"))
    let log = try LogUnderTest(path)
    try log.append([Self.sent(1, Self.text, again: false), Self.sent(2, Self.text, again: true)])
    // In a later transaction, and a text that was never sent.
    try log.append([
      Self.sent(3, Self.text, again: true), Self.sent(4, .string("unknown"), again: true),
    ])
    let other = try LogUnderTest(next)
    other.writer.inheritBlobs(from: log.writer)
    try other.append([Self.sent(5, Self.text, again: true)])
    try other.close()
    try log.close()
    let values = try LogReader(path: path).all().map { $0.event.args["custom"] }
    #expect(values[..<3].allSatisfy { $0 == Self.text })
    #expect(values[3] == .opaque("its text is not in this log"))
    #expect(try LogReader(path: next).all().map { $0.event.args["custom"] } == [Self.text])
    // The log stores its own form, which is the same for the same value.
    #expect(try sql("SELECT count(DISTINCT args) FROM event WHERE seq < 4", on: path) == [[1]])
    for path in [path, next] { #expect(try LogCheck(path: path).run().findings.isEmpty) }
    // A process that has just started knows no texts.
    let later = try LogUnderTest(path, started: 2_000)
    try later.append([Self.sent(6, Self.text, again: true)])
    try later.close()
    #expect(try LogReader(path: path).all().last?.event.args["custom"] == Self.text)
  }

  @Test func `an event with a text that is not JSON is refused`() throws {
    let path = folder("wrong.db")
    let log = try LogUnderTest(path)
    let wrong = Self.shared(0, .tagged("$json", .string("\"a\", \"b\"")))
    #expect(throws: MessagePackError.self) {
      try log.append([Event(.stimulus, time: 1, args: Args(named: [.init("custom", wrong)]))])
    }
  }

  @Test func `numbers belong to one event, and one without a value is invalid`() throws {
    let path = folder("numbers.db")
    let log = try LogUnderTest(path)
    try log.append([Self.event(1), Self.event(2, text: .string("other"))])
    try log.append([
      Event(.logEvent, time: 3, args: Args(named: [.init("a", Self.shared(0))])),
      Event(
        .logEvent, time: 4,
        args: Args(named: [
          .init("a", .tagged("$shared", .string("x"))), .init("b", .tagged("$shared", .list([]))),
        ])),
    ])
    try log.close()
    let events = try LogReader(path: path).all().map(\.event)
    #expect(events[1].args["annotations"]?.elements?[9]["text"] == .string("other"))
    #expect(events[2].args["a"] == Self.shared(0))
    #expect(events[3].args["a"] == .tagged("$shared", .string("x")))
  }

  @Test func `a merged log shares the same values`() throws {
    let (first, path) = (folder("first.db"), folder("merged.db"))
    let log = try LogUnderTest(first)
    try log.append((1...5).map { Self.event($0) })
    try log.close()
    let merge = try LogMerge(into: path)
    _ = try merge.add([LogReader(path: first)])
    merge.close()
    try expectPlain(path, 5)
    try expectSmall(path, 5)
    #expect(
      try sql("SELECT args, snapshot FROM event", on: path)
        == sql("SELECT args, snapshot FROM event", on: first))
  }

  @Test func `events from a queue share the same values`() throws {
    // In a message every value is written out.
    let event = Self.event(1)
    let json = "{\"args\":" + event.args.json + "}"
    #expect(!json.contains("$blob") && json.utf8.count > 1_000_000)
    let value = try JSONReader.value(json, opensShared: false)
    let path = folder("queue.db")
    let log = try LogUnderTest(path)
    try log.append([
      Event(
        .logEvent, time: 1,
        args: Args(named: [.init("annotations", value["args"]?["annotations"] ?? .null)]))
    ])
    try log.close()
    let read = try LogReader(path: path).all()[0].event.args["annotations"]
    #expect(read == .list([Value](repeating: Self.plain, count: 50)))
    #expect(try sql("SELECT count(*) FROM blob WHERE length(bytes) > 1000", on: path) == [[2]])
  }

  @Test func `pruning keeps shared values as long as they are used`() throws {
    let path = folder("pruned.db")
    let log = try LogUnderTest(path)
    // The other text first: the text that was interned last always stays.
    try log.append([
      Self.event(1, text: .string(String(repeating: "x", count: 1_999))), Self.event(2),
    ])
    try log.close()
    let later = try LogUnderTest(path, started: 2_000)
    try later.append([Self.event(3)])
    try later.close()
    let pruning = try LogPruning(path: path)
    _ = try pruning.prune([LogReader(path: path).runs()[0]], keepingFailures: false)
    _ = try pruning.reclaimSpace()
    pruning.close()
    try expectPlain(path, 1)
    try expectSmall(path, 1)
  }
}
