import TaskLogPlugin
import TestSupport
import Testing

@testable import BrokerMessages
@testable import EventLog
@testable import LogFormat

/// The fast decoder and the one by values agree: the meaning of a message does not depend on the
/// way.
@Suite struct ScannedMessageTests {
  private static let run = RunHeader(
    id: "r", engine: "e", engineVersion: "1", recorderVersion: "1", mode: "full", started: 1)

  @Test(arguments: 0..<40)
  func `messages of random events mean the same`(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    var writer = EventMessageWriter(run: Self.run)
    writer.add(Source(kind: .scheduler, id: "s", address: "a"), number: 0)
    writer.add(Source(kind: .worker, id: "w", address: "b", name: random.value()), number: 1)
    for number in 1...50 {
      let event = Event(
        Hook(random.once(in: 5) ? random.text() : "transition"), time: random.int(),
        key: random.pick([
          Key("inc", number), Key(random.text()), Key("plain"),
          Key(.tuple([.string("x"), .int(1)])),
          Key(.tuple([.double(1.5), .string(random.text())])), nil,
        ]),
        start: State("waiting"), finish: State(random.once(in: 5) ? random.text() : "memory"),
        stimulusID: random.once(in: 2) ? random.text() : "stimulus",
        worker: random.once(in: 2) ? "tcp://127.0.0.1:1" : nil,
        taskRunID: random.once(in: 2) ? random.int() : nil,
        args: Args(
          positional: random.once(in: 3) ? random.values(1) : [],
          named: [.init("value", random.value()), .init(random.text(), .int(random.int()))]),
        snapshot: random.once(in: 3) ? .other(.dict([.init("x", random.value())])) : .none)
      var scratch = MessagePackWriter()
      scratch.write(event, number: number % 2, sourceSeq: Int64(number))
      guard case .event(_, _, let encoded) = try SpoolRecord(scratch.bytes) else { continue }
      let isIn = try writer.append(
        encoded, source: number % 2, sourceSeq: Int64(number), mostBytes: 1 << 20)
      #expect(isIn)
    }
    writer.end(.closed, at: 5, lastSourceSeqs: [(0, 50)])
    let message = writer.finish()
    let scanned = try #require(try Self.scanned(message))
    #expect(try scanned == Self.read(message))
    #expect(scanned.count == 50)
  }

  /// Each in an event's args, snapshot or key.
  static let unusual = [
    "1e400", "1e5", "1.50", "-0", "00", String(repeating: "9", count: 60),
    String(repeating: "9", count: 400) + ".5", #""\ud800""#, #""\u00e9""#, #""\/""#, #""é""#,
    "{ \"a\" : 1 }", "{\"a\":\n1}", #"{"$bytes":"AAAA"}"#, #"{"$blob":"x"}"#, #"{"$int":"5"}"#,
    #"{"$float":"nan"}"#, #"{"$tuple":["a", 1]}"#, #"{"$tuple":["a",1]}"#, #"{"$tuple":[01]}"#,
    #"{"$tuple":[1.0]}"#, "true", "null", "[]", "{}", "{", "\"", #"{"a":1,"a":2}"#, "nul",
    #"{"$map":[[1,2]]}"#, #"{"$args":[1],"b":2}"#, #"{"$kwargs":{"$x":1}}"#, "\u{7F}",
    String(repeating: "[", count: 600) + String(repeating: "]", count: 600),
  ]

  @Test(arguments: unusual)
  func `messages of other programs mean the same, or are refused equally`(_ text: String) throws {
    let places = [
      "\"args\":\(text)", "\"args\":{\"x\":\(text)}", "\"snapshot\":\(text)", "\"key\":\(text)",
      "\"key\":{\"text\":\"t\",\"value\":\(text)}", "\"start\":\(text)", "\"stimulus\":\(text)",
      "\"task_run\":\(text)", "\"future\":\(text)", "\"source\":\(text)", "\"seq\":\(text)",
    ]
    for place in places {
      let message = Array(
        """
        {"tasklog":1,"run":{"id":"r","engine":"e","mode":"full","started":1},
         "sources":[{"kind":"worker","id":"w","address":"a"}],
         "events":[{"source":0,"seq":7,"time":1,"hook":"transition",\(place)}]}
        """.utf8)
      let expected = try? Self.read(message)
      if let scanned = try Self.scanned(message) {
        #expect(scanned == expected, "\(place)")
      }
    }
  }

  @Test
  func `an event that a message contains twice, under a source named twice, is recorded once`()
    throws
  {
    let folder = try TemporaryFolder()
    let log = try QueueRecorder(path: folder("run.db"), origin: "test", recorderVersion: "1")
    let event = #""seq":7,"time":1,"hook":"transition"}"#
    let body = """
      {"tasklog":1,"run":{"id":"r","engine":"e","mode":"full","started":1},
       "sources":[{"kind":"worker","id":"w","address":"a"},{"kind":"worker","id":"w","address":"a"}],
       "events":[{"source":0,\(event),{"source":1,\(event),{"source":1,\(event)]}
      """
    for isRedelivered in [false, true] {
      try log.take([Delivery(body: Array(body.utf8), isRedelivered: isRedelivered)])
    }
    #expect(log.counts.events == 1)
    #expect(log.counts.known == 5)
    log.close()
    let reader = try LogReader(path: folder("run.db"))
    let run = try #require(try reader.runs().last)
    #expect(try reader.eventCount(of: run) == 1)
    #expect(try reader.sources(of: run).count == 1)
  }

  private struct Meant: Equatable {
    var source: Int
    var sourceSeq: Int64
    /// As stored in a log.
    var texts: [String]
  }

  private static func meant(_ source: Int, _ sourceSeq: Int64, _ event: Event) -> Meant {
    Meant(
      source: source, sourceSeq: sourceSeq,
      texts: [
        "\(event.time)", event.hook.name, event.key?.text ?? "", event.key?.typed ?? "",
        event.start?.name ?? "none", event.finish?.name ?? "none", event.stimulusID ?? "none",
        event.worker ?? "none", "\(event.taskRunID ?? -1)", JSONWriter.text(event.args),
        "\(JSONWriter.text(event.snapshot.value ?? .null))",
      ])
  }

  /// By way of values.
  private static func read(_ message: [UInt8]) throws -> [Meant] {
    let value = try JSONReader.value(String(decoding: message, as: UTF8.self))
    guard case .events(let message) = try QueueMessage(value) else { return [] }
    return message.events.map { meant($0.source, $0.sourceSeq, $0.event) }
  }

  /// `nil` if the fast decoder leaves it to the other.
  private static func scanned(_ message: [UInt8]) throws -> [Meant]? {
    try message.withUnsafeBytes { bytes in
      guard let found = EventMessage(scanning: bytes), let scanned = found.scanned else {
        return nil
      }
      #expect(found.events.isEmpty)
      var all: [Meant] = []
      try scanned.forEach(in: bytes) { item, encoded, texts in
        var event = try encoded.decoded()
        func value(_ text: UnsafeRawBufferPointer?) throws -> Value? {
          try text.map { try JSONReader.value(String(decoding: $0, as: UTF8.self)) }
        }
        if let args = try value(texts?.args) { event.args = Args(recorded: args) }
        if let snapshot = try value(texts?.snapshot) { event.snapshot = .other(snapshot) }
        all.append(meant(item.source, item.sourceSeq, event))
      }
      return all
    }
  }
}
