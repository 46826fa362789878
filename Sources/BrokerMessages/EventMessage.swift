import EventLog
import LogFormat
import TaskLogPlugin

/// Events that a recorder sends to a log through a message queue: everything that a log stores
/// about them, in one self-contained JSON object.
///
///     {"tasklog": 1,
///      "run": {"id", "engine", "engine_version", "recorder_version", "mode", "started", "metadata"},
///      "sources": [{"kind", "id", "address", "name"}, …],
///      "events": [{"source": 0, "seq", "time", "hook", "key", "start", "finish", "stimulus",
///                  "worker", "task_run", "args", "snapshot"}, …],
///      "gaps": [{"source": 0, "seq", "count", "time", "reason"}, …],
///      "end": {"how", "time", "sources": [{"source": 0, "seq"}, …]}}
///
/// `source` is an index into `sources`, `seq` is the event's number within its source. Together
/// with the run they identify the event, so that a log stores each event once, however often and in
/// whatever order messages arrive. Empty fields are omitted. A key is its text, or
/// `{"text", "value"}` if it is not plain text. The key, `name`, `metadata`, `args` and `snapshot`
/// are the log's lossless JSON. `end` is in the last message of a run; `how` is `closed` or `died`,
/// and its `seq` is the number of each source's last event, which shows a consumer what is missing.
package struct EventMessage: Sendable {
  /// Increases when a current reader would misinterpret the new format.
  package static let version: Int64 = 1

  package struct Item: Sendable {
    /// An index into `sources`.
    package var source: Int
    package var sourceSeq: Int64
    package var event: Event
  }

  package struct Gap: Sendable {
    package var source: Int
    package var sourceSeq: Int64
    package var count: Int64
    package var time: Int64
    package var reason: String
  }

  package struct End: Sendable {
    package var end: RunEnd
    package var time: Int64
    /// The number of the last event of each source, by the index of the source.
    package var lastSourceSeqs: [(source: Int, sourceSeq: Int64)]
  }

  package var run: RunHeader
  package var sources: [Source]
  package var events: [Item]
  /// More events, already encoded for a log; see `ScannedEvents`.
  var scanned: ScannedEvents?
  package var gaps: [Gap]
  package var end: End?
}

/// A message delivered by a queue.
package enum QueueMessage: Sendable {
  case events(EventMessage)
  /// The message format shown in Dask's documentation.
  case transition(TransitionMessage)

  /// - Throws: `MessageError` if it is neither.
  package init(_ bytes: UnsafeRawBufferPointer) throws(MessageError) {
    if let message = EventMessage(scanning: bytes) {
      self = .events(message)
      return
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw MessageError("not UTF-8")
    }
    let value: Value
    do throws(JSONError) {
      value = try JSONReader.value(text, opensShared: false)
    } catch {
      throw MessageError("\(error)")
    }
    try self.init(value)
  }

  init(_ value: Value) throws(MessageError) {
    guard case .dict = value else { throw MessageError("no JSON object") }
    if let version = value["tasklog"] {
      guard let version = version.int, version > 0 else {
        throw MessageError("'tasklog' is not a version")
      }
      guard version <= EventMessage.version else {
        throw MessageError(
          "of version \(version), this tasklog knows up to \(EventMessage.version)")
      }
      self = .events(try EventMessage(value))
    } else {
      self = .transition(try TransitionMessage(value))
    }
  }
}

/// Why a message cannot be recorded.
package struct MessageError: Error, Sendable, CustomStringConvertible {
  package var description: String

  init(_ description: String) { self.description = description }
}

extension EventMessage {
  init(_ value: Value) throws(MessageError) {
    guard let run = value["run"] else { throw MessageError("has no 'run'") }
    self.run = try RunHeader(run)
    var sources: [Source] = []
    for source in try Self.list(value, "sources") { sources.append(try Source(message: source)) }
    self.sources = sources
    events = []
    for item in try Self.list(value, "events") {
      let index = try Self.index(item, sources.count)
      events.append(
        Item(
          source: index, sourceSeq: try Self.seq(item), event: try Event(message: item)))
    }
    gaps = []
    for gap in try Self.list(value, "gaps") {
      guard let count = gap["count"]?.int, (1..<1 << 48).contains(count),
        let time = gap["time"]?.int, let reason = gap["reason"]?.string
      else { throw MessageError("has a gap without a count, time or reason") }
      gaps.append(
        Gap(
          source: try Self.index(gap, sources.count), sourceSeq: try Self.seq(gap), count: count,
          time: time, reason: reason))
    }
    if let end = value["end"] { self.end = try Self.end(end, sources.count) }
  }

  private static func end(_ value: Value, _ count: Int) throws(MessageError) -> End {
    guard let how = value["how"]?.string, let end = RunEnd(rawValue: how), end != .running,
      let time = value["time"]?.int
    else { throw MessageError("has an 'end' without a kind or time") }
    var lasts: [(Int, Int64)] = []
    for source in try list(value, "sources") {
      lasts.append((try index(source, count), try seq(source)))
    }
    return End(end: end, time: time, lastSourceSeqs: lasts)
  }

  private static func list(_ value: Value, _ name: String) throws(MessageError) -> [Value] {
    switch value[name] {
    case nil: return []
    case .list(let values): return values
    default: throw MessageError("'\(name)' is not a list")
    }
  }

  private static func index(_ value: Value, _ count: Int) throws(MessageError) -> Int {
    guard let index = value["source"]?.int, index >= 0, index < Int64(count) else {
      throw MessageError("names a source that it does not have")
    }
    return Int(index)
  }

  private static func seq(_ value: Value) throws(MessageError) -> Int64 {
    guard let seq = value["seq"]?.int, (1..<1 << 48).contains(seq) else {
      throw MessageError("has an event without a number")
    }
    return seq
  }
}

extension RunHeader {
  fileprivate init(_ value: Value) throws(MessageError) {
    guard let id = value["id"]?.string, Self.isID(id) else {
      throw MessageError("its run has no id")
    }
    guard let engine = value["engine"]?.string, let mode = value["mode"]?.string,
      let started = value["started"]?.int
    else { throw MessageError("its run has no engine, mode or time") }
    self.init(
      id: id, engine: engine, engineVersion: value["engine_version"]?.string ?? "unknown",
      recorderVersion: value["recorder_version"]?.string ?? "unknown", mode: mode,
      started: started, metadata: value["metadata"] ?? .dict([]))
  }

  /// Ids come from untrusted senders and become names of folders.
  private static func isID(_ id: String) -> Bool {
    (1...64).contains(id.utf8.count)
      && id.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
          UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "_"):
          true
        default: false
        }
      }
  }
}

extension Source {
  fileprivate init(message value: Value) throws(MessageError) {
    guard let kind = value["kind"]?.string.flatMap(Source.Kind.init), let id = value["id"]?.string,
      !id.isEmpty, let address = value["address"]?.string
    else { throw MessageError("has a source without a kind, id or address") }
    self.init(kind: kind, id: id, address: address, name: value["name"] ?? .null)
  }
}

extension Event {
  init(message value: Value) throws(MessageError) {
    guard case .dict(let entries) = value, let hook = value["hook"]?.string,
      let time = value["time"]?.int
    else { throw MessageError("has an event without a hook or time") }
    self.init(Hook(hook), time: time)
    for entry in entries {
      switch (entry.key.string, entry.value) {
      case ("key", let key): self.key = try Key(message: key)
      case ("start", .string(let name)): start = State(name)
      case ("finish", .string(let name)): finish = State(name)
      case ("stimulus", .string(let id)): stimulusID = id
      case ("worker", .string(let address)): worker = address
      case ("task_run", .int(let number)): taskRunID = number
      case ("args", let args): self.args = Args(recorded: args)
      case ("snapshot", let snapshot): self.snapshot = .other(snapshot)
      case ("start", _), ("finish", _), ("stimulus", _), ("worker", _), ("task_run", _):
        throw MessageError("has an event whose '\(entry.key.string ?? "")' has the wrong type")
      default: break
      }
    }
  }
}

extension Key {
  fileprivate init(message value: Value) throws(MessageError) {
    if let text = value.string {
      self.init(text)
    } else if let text = value["text"]?.string, let own = value["value"] {
      self.init(text: text, typed: JSONWriter.text(own))
    } else {
      throw MessageError("has an event with an invalid key")
    }
  }
}
