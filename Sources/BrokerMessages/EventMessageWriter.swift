import EventLog
import LogFormat
import TaskLogPlugin

/// Encodes events of a spool as messages, directly from MessagePack to JSON; see `EventMessage` for
/// the format.
package struct EventMessageWriter {
  /// Everything up to and including the run, which is the same in all messages.
  private let head: [UInt8]
  /// The JSON of each source by its number, written once.
  private var known: [Int: [UInt8]] = [:]
  /// The sources of this message, in its order, and their indexes in it.
  private var sources: [Int] = []
  private var indexes: [Int: Int] = [:]
  private var events = JSONWriter()
  private var gaps = JSONWriter()
  private var end = JSONWriter()
  private var gapCount = 0
  package private(set) var eventCount = 0

  package init(run: RunHeader) {
    head = Self.head(run)
  }

  private static func head(_ run: RunHeader) -> [UInt8] {
    var json = JSONWriter()
    json.raw("{\"tasklog\":")
    json.write(int: EventMessage.version)
    json.raw(",\"run\":")
    // Nothing is interned, so nothing is thrown.
    try? json.write(
      .object([
        "id": .string(run.id), "engine": .string(run.engine),
        "engine_version": .string(run.engineVersion),
        "recorder_version": .string(run.recorderVersion), "mode": .string(run.mode),
        "started": .int(run.started), "metadata": run.metadata,
      ]))
    return json.output
  }

  /// Whether there is nothing to finish.
  package var isEmpty: Bool { eventCount == 0 && gapCount == 0 && end.output.isEmpty }

  /// The approximate length of the message so far.
  package var byteCount: Int { head.count + events.output.count + gaps.output.count }

  /// Registers a source under its number; call it before its first event.
  package mutating func add(_ source: Source, number: Int) {
    known[number] = Array(
      JSONWriter.text(
        .object([
          "kind": .string(source.kind.rawValue), "id": .string(source.id),
          "address": .string(source.address), "name": source.name,
        ])
      ).utf8)
  }

  private mutating func sourceIndex(of number: Int) -> Int64 {
    if let sourceIndex = indexes[number] { return Int64(sourceIndex) }
    indexes[number] = sources.count
    sources.append(number)
    return Int64(sources.count - 1)
  }

  /// - Parameter mostBytes: the maximum length of a message.
  /// - Returns: whether the event is in the message; false if it would be longer than that on its
  ///   own.
  /// - Throws: `MessagePackError` if the event cannot be read; the message is unchanged then.
  package mutating func append(
    _ event: EncodedEvent, source number: Int, sourceSeq: Int64, mostBytes: Int
  ) throws -> Bool {
    let start = events.output.count
    let sourceIndex = sourceIndex(of: number)
    do {
      events.raw(eventCount == 0 ? "{\"source\":" : ",{\"source\":")
      events.write(int: sourceIndex)
      events.raw(",\"seq\":")
      events.write(int: sourceSeq)
      events.raw(",\"time\":")
      events.write(int: event.time)
      var fields = event.fields
      try fields.writeMessageFields(to: &events)
      events.raw("}")
      guard events.output.count - start <= mostBytes else {
        events.truncate(to: start)
        return false
      }
      eventCount += 1
      return true
    } catch {
      events.truncate(to: start)
      throw error
    }
  }

  package mutating func appendGap(
    source number: Int, sourceSeq: Int64, count: Int64, time: Int64, reason: String
  ) {
    gaps.raw(gapCount == 0 ? "{\"source\":" : ",{\"source\":")
    gaps.write(int: sourceIndex(of: number))
    gaps.raw(",\"seq\":")
    gaps.write(int: sourceSeq)
    gaps.raw(",\"count\":")
    gaps.write(int: count)
    gaps.raw(",\"time\":")
    gaps.write(int: time)
    gaps.raw(",\"reason\":")
    try? gaps.write(.string(reason))
    gaps.raw("}")
    gapCount += 1
  }

  /// Records that the run is over, and the last seq of each source, by the source's number.
  package mutating func end(
    _ how: RunEnd, at time: Int64, lastSourceSeqs: [(source: Int, last: Int64)]
  ) {
    end.removeAll()
    end.raw("{\"how\":")
    try? end.write(.string(how.rawValue))
    end.raw(",\"time\":")
    end.write(int: time)
    end.raw(",\"sources\":[")
    for (index, source) in lastSourceSeqs.enumerated() {
      end.raw(index == 0 ? "{\"source\":" : ",{\"source\":")
      end.write(int: sourceIndex(of: source.source))
      end.raw(",\"seq\":")
      end.write(int: source.last)
      end.raw("}")
    }
    end.raw("]}")
  }

  /// Returns the message and begins the next one.
  package mutating func finish() -> [UInt8] {
    var message: [UInt8] = []
    message.reserveCapacity(byteCount + end.output.count + sources.count * 128 + 64)
    message += head
    message += ",\"sources\":[".utf8
    for (index, number) in sources.enumerated() {
      if index > 0 { message.append(0x2C) }
      message += known[number] ?? Self.unknown(number)
    }
    message.append(0x5D)
    for (name, json) in [("events", events), ("gaps", gaps)] where !json.output.isEmpty {
      message += ",\"\(name)\":[".utf8
      message += json.output
      message.append(0x5D)
    }
    if !end.output.isEmpty {
      message += ",\"end\":".utf8
      message += end.output
    }
    message.append(0x7D)
    removeAll()
    return message
  }

  private mutating func removeAll() {
    events.removeAll()
    gaps.removeAll()
    end.removeAll()
    sources.removeAll(keepingCapacity: true)
    indexes.removeAll(keepingCapacity: true)
    eventCount = 0
    gapCount = 0
  }

  /// A source whose registration is lost.
  private static func unknown(_ number: Int) -> [UInt8] {
    Array(
      "{\"kind\":\"\(number == 0 ? "scheduler" : "worker")\",\"id\":\"unknown-\(number)\",".utf8)
      + "\"address\":\"unknown\",\"name\":null}".utf8
  }
}

extension MessagePackReader {
  /// The fields of an event from the hook on.
  fileprivate mutating func writeMessageFields(to json: inout JSONWriter) throws {
    try writeName(",\"hook\":", Names.hooks, to: &json) { Hook.at($0).name }
    if !takeNil() { try writeKey(to: &json) }
    if !takeNil() {
      try writeName(",\"start\":", Names.starts, to: &json) { State.at($0).name }
    }
    if !takeNil() {
      try writeName(",\"finish\":", Names.finishes, to: &json) { State.at($0).name }
    }
    for name in [",\"stimulus\":", ",\"worker\":"] as [StaticString] where !takeNil() {
      json.raw(name)
      try json.write(text: text())
    }
    if !takeNil() {
      json.raw(",\"task_run\":")
      json.write(int: try integer())
    }
    if !takeNil() {
      let start = json.output.count
      json.raw(",\"args\":")
      if try !writeArgs(to: &json) { json.truncate(to: start) }
    }
    if try !takeNil() && arrayCount() == 1 {
      json.raw(",\"snapshot\":")
      try write(to: &json)
    }
  }

  /// A field whose value is a known one, given by its index, or a text.
  ///
  /// - Parameters:
  ///   - known: the complete field for each known value.
  ///   - name: the name for an index that is not in the list.
  private mutating func writeName(
    _ field: StaticString, _ known: [[UInt8]], to json: inout JSONWriter, _ name: (Int64) -> String
  ) throws {
    guard !isText else {
      json.raw(field)
      return try json.write(text: text())
    }
    let nameIndex = try integer()
    if known.indices.contains(Int(clamping: nameIndex)) {
      json.raw(known[Int(nameIndex)])
    } else {
      json.raw(field)
      try json.write(.string(name(nameIndex)))
    }
  }

  private mutating func writeKey(to json: inout JSONWriter) throws {
    json.raw(",\"key\":")
    if isText {
      let start = position
      let bytes = try text()
      if bytes.isUTF8, !bytes.contains(0) {
        return json.write(utf8: bytes.bindMemory(to: UInt8.self))
      }
      position = start
    } else if isArray, try writeValuedKey(to: &json) {
      return
    }
    let key = try key()
    let typed = key.typed
    guard !typed.isEmpty else { return try json.write(.string(key.text)) }
    json.raw("{\"text\":")
    try json.write(.string(key.text))
    json.raw(",\"value\":")
    try json.write(JSONReader.value(typed))
    json.raw("}")
  }
}

extension MessagePackReader {
  /// Writes a key that is `[text, nil, value]`, as most keys that are not plain text are, without
  /// an intermediate value. Returns false, and writes nothing, for any other key.
  fileprivate mutating func writeValuedKey(to json: inout JSONWriter) throws -> Bool {
    let start = position
    guard try arrayCount() == 3, isText, case let text = try text(), text.isUTF8, takeNil() else {
      position = start
      return false
    }
    json.raw("{\"text\":")
    json.write(utf8: text.bindMemory(to: UInt8.self))
    json.raw(",\"value\":")
    try write(to: &json)
    json.raw("}")
    return true
  }
}

extension JSONWriter {
  fileprivate mutating func write(text bytes: UnsafeRawBufferPointer) throws {
    if bytes.isUTF8 {
      write(utf8: bytes.bindMemory(to: UInt8.self))
    } else {
      try write(.string(String(decoding: bytes, as: UTF8.self)))
    }
  }
}

/// Fields with few distinct values, encoded as they are in a message.
private enum Names {
  static let hooks = fields("hook", Hook.known.map(\.name))
  static let starts = fields("start", State.known.map(\.name))
  static let finishes = fields("finish", State.known.map(\.name))

  private static func fields(_ field: String, _ names: [String]) -> [[UInt8]] {
    names.map { Array(",\"\(field)\":\"\($0)\"".utf8) }
  }
}
