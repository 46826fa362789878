import TaskLogPlugin

/// What a recorder passes to the thread (or the later process) that writes the log: the content of
/// a record of the spool, in MessagePack.
///
/// An array that begins with its kind:
/// - `[0, number, kind, id, address, name]`: a source, by its number within the spool;
/// - `[1, number, sourceSeq, time, hook, key, start, finish, stimulus, worker, taskRun, args, snapshot]`:
///   an event, `nil` for an absent field, the snapshot in its own array;
/// - `[2, number, sourceSeq, count, time, reason]`: `count` events from this one on are missing;
/// - `[3, number, index, count, bytes]`: a part of a record that is too long for one.
///
/// A time is in nanoseconds or, as a float, in seconds. A key is its text, its value,
/// `[text, typed]`, or `[text, nil, value]`. Hooks and states are their index in `Hook.known` and
/// `State.known`, or their name. Those lists only grow at their ends.
package enum SpoolRecord {
  case source(number: Int, Source)
  case event(number: Int, sourceSeq: Int64, EncodedEvent)
  case gap(number: Int, sourceSeq: Int64, count: Int64, time: Int64, reason: String)
  case part(number: Int, index: Int, count: Int, bytes: [UInt8])

  /// The number of its source within the spool.
  package var number: Int {
    switch self {
    case .source(let number, _), .event(let number, _, _), .gap(let number, _, _, _, _),
      .part(let number, _, _, _):
      number
    }
  }
}

extension MessagePackWriter {
  package mutating func write(source: Source, number: Int) {
    write(arrayOf: 6)
    write(Int64(0))
    write(Int64(number))
    write(source.kind.rawValue)
    write(source.id)
    write(source.address)
    write(source.name)
  }

  package mutating func write(_ event: borrowing Event, number: Int, sourceSeq: Int64) {
    write(arrayOf: 13)
    write(Int64(1))
    write(Int64(number))
    write(sourceSeq)
    write(fields: event)
  }

  /// An event's fields from the time on.
  @inline(__always)
  package mutating func write(fields event: borrowing Event) {
    write(event.time)
    write(event.hook)
    if let key = event.key { write(key) } else { writeNil() }
    write(event.start)
    write(event.finish)
    write(optional: event.stimulusID)
    write(optional: event.worker)
    if let run = event.taskRunID { write(run) } else { writeNil() }
    if event.args.isEmpty { writeNil() } else { write(event.args) }
    if case .none = event.snapshot { return writeNil() }
    write(arrayOf: 1)
    write(event.snapshot)
  }

  /// An event whose fields from the time on are already encoded.
  @inline(__always)
  package mutating func writeEvent(
    encoded fields: UnsafeRawBufferPointer, number: Int, sourceSeq: Int64
  ) {
    write(arrayOf: 13)
    write(Int64(1))
    write(Int64(number))
    write(sourceSeq)
    write(encoded: fields)
  }

  package mutating func writeGap(
    number: Int, sourceSeq: Int64, count: Int64, time: Int64, reason: String
  ) {
    write(arrayOf: 6)
    write(Int64(2))
    write(Int64(number))
    write(sourceSeq)
    write(count)
    write(time)
    write(reason)
  }

  package mutating func writePart(
    _ bytes: UnsafeRawBufferPointer, index: Int, count: Int, number: Int
  ) {
    write(arrayOf: 5)
    write(Int64(3))
    write(Int64(number))
    write(Int64(index))
    write(Int64(count))
    write(bytes: Array(bytes))
  }

  @inline(__always)
  private mutating func write(optional text: String?) {
    if let text { write(text) } else { writeNil() }
  }

  @inline(__always)
  private mutating func write(_ hook: Hook) {
    if let place = hook.place { write(Int64(place)) } else { write(hook.name) }
  }

  @inline(__always)
  private mutating func write(_ state: State?) {
    guard let state else { return writeNil() }
    if let place = state.knownIndex { write(Int64(place)) } else { write(state.name) }
  }
}

extension SpoolRecord {
  /// - Throws: `MessagePackError`.
  package init(_ bytes: UnsafeRawBufferPointer) throws(MessagePackError) {
    var reader = MessagePackReader(bytes)
    let fields = try reader.arrayCount()
    let kind = try reader.integer()
    let number = try reader.integer()
    guard let number = Int(exactly: number), number >= 0 else {
      throw MessagePackError(offset: 0, reason: "no number of a source")
    }
    switch (kind, fields) {
    case (0, 6...):
      let kind = try reader.string()
      let source = Source(
        kind: Source.Kind(rawValue: kind) ?? .worker, id: try reader.string(),
        address: try reader.string(), name: try reader.value())
      self = .source(number: number, source)
    case (1, 13...):
      let sourceSeq = try reader.count()
      self = .event(number: number, sourceSeq: sourceSeq, try EncodedEvent(&reader))
    case (2, 6...):
      self = .gap(
        number: number, sourceSeq: try reader.count(), count: try reader.count(),
        time: try reader.integer(), reason: try reader.string())
    case (3, 5...):
      guard let index = Int(exactly: try reader.integer()),
        let count = Int(exactly: try reader.integer()), index >= 0, index < count,
        case .bytes(let bytes) = try reader.value()
      else { throw MessagePackError(offset: 0, reason: "no part of a record") }
      self = .part(number: number, index: index, count: count, bytes: bytes)
    default: throw MessagePackError(offset: 0, reason: "an unknown kind of record")
    }
  }
}

/// An encoded event of a spool. Valid only as long as the bytes from which it was read.
package struct EncodedEvent {
  /// Nanoseconds since 1970 UTC.
  package let time: Int64
  /// Positioned before the hook, the first field after the time.
  package let fields: MessagePackReader

  fileprivate init(_ reader: inout MessagePackReader) throws(MessagePackError) {
    time = try reader.time()
    fields = reader
  }

  /// An event whose fields from the time on are already encoded.
  ///
  /// - Throws: `MessagePackError`.
  package init(fields: UnsafeRawBufferPointer) throws(MessagePackError) {
    var reader = MessagePackReader(fields)
    try self.init(&reader)
  }

  /// The hook of the event and the key of its task.
  ///
  /// - Throws: `MessagePackError`.
  package func hookAndKey() throws(MessagePackError) -> (hook: Hook, key: Key?) {
    var fields = fields
    let hook = try fields.isText ? Hook(fields.string()) : Hook.at(fields.integer())
    return (hook, try fields.takeNil() ? nil : fields.key())
  }

  /// - Throws: `MessagePackError`.
  package func decoded() throws(MessagePackError) -> Event {
    var fields = fields
    return try fields.event(time: time)
  }
}

extension MessagePackReader {
  /// A count of events; more than 48 bits means damage.
  fileprivate mutating func count() throws(MessagePackError) -> Int64 {
    let count = try integer()
    guard count.magnitude < 1 << 48 else {
      throw MessagePackError(offset: position, reason: "no number of events")
    }
    return count
  }

  fileprivate mutating func string() throws(MessagePackError) -> String {
    String(decoding: try text(), as: UTF8.self)
  }

  fileprivate mutating func event(time: Int64) throws(MessagePackError) -> Event {
    let hook = try isText ? Hook(string()) : Hook.at(integer())
    var event = Event(hook, time: time)
    if !takeNil() { event.key = try key() }
    if !takeNil() { event.start = try state() }
    if !takeNil() { event.finish = try state() }
    if !takeNil() { event.stimulusID = try string() }
    if !takeNil() { event.worker = try string() }
    if !takeNil() { event.taskRunID = try integer() }
    if !takeNil() { event.args = Args(try args()) }
    if !takeNil(), try arrayCount() == 1 { event.snapshot = Snapshot(try value()) }
    return event
  }

  /// Nanoseconds, or seconds as a float: a float of this century is exact to a quarter of a
  /// microsecond, and nanoseconds preserve it.
  fileprivate mutating func time() throws(MessagePackError) -> Int64 {
    guard peek == 0xCB else { return try integer() }
    let (start, seconds) = (position, try double())
    guard seconds.magnitude < 9e9 else {
      throw MessagePackError(offset: start, reason: "no time")
    }
    let whole = seconds.rounded(.down)
    return Int64(saturating: whole) * 1_000_000_000
      + Int64(saturating: ((seconds - whole) * 1e9).rounded())
  }

  package mutating func key() throws(MessagePackError) -> Key {
    let start = position
    if isText {
      let bytes = try text()
      // Text with a NUL or lone surrogates in it is a key that is not plain text.
      guard bytes.isUTF8 else { return try key(.wtf8(Array(bytes)), at: start) }
      let text = String(decoding: bytes, as: UTF8.self)
      return bytes.contains(0) ? Key(text) : Key(text: text, typed: "")
    }
    if !isArray { return try key(try value(), at: start) }
    let count = try arrayCount()
    let text = try string()
    switch count {
    case 2: return Key(text: text, typed: try string())
    case 3 where takeNil(): return Key(text: text, typed: JSONWriter.text(try value()))
    default: throw MessagePackError(offset: position, reason: "no key")
    }
  }

  private func key(_ value: Value, at start: Int) throws(MessagePackError) -> Key {
    guard let key = Key(value) else {
      throw MessagePackError(offset: start, reason: "a value that is no key")
    }
    return key
  }

  /// Advances past a key.
  package mutating func skipKey() throws(MessagePackError) {
    if isText {
      _ = try text()
      return
    }
    if !isArray { return try skip() }
    let count = try arrayCount()
    _ = try text()
    switch count {
    case 2: _ = try text()
    case 3 where takeNil(): try skip()
    default: throw MessagePackError(offset: position, reason: "no key")
    }
  }

  /// Advances past a value; one that is not an extension is read and discarded.
  private mutating func skip() throws(MessagePackError) {
    switch peek {
    case 0xC7...0xC9, 0xD4...0xD8: position = try extensionHeader().end
    default: _ = try value()
    }
  }

  private mutating func state() throws(MessagePackError) -> State {
    try isText ? State(string()) : State.at(integer())
  }
}

extension State {
  /// The state at an index; for a state that this version does not know, the name is its index.
  package static func at(_ place: Int64) -> State {
    known.indices.contains(Int(clamping: place)) ? known[Int(place)] : .other("#\(place)")
  }
}

extension Hook {
  /// The index in `known`.
  package var place: Int? {
    switch self {
    case .start: 0
    case .beforeClose: 1
    case .close: 2
    case .restart: 3
    case .updateGraph: 4
    case .addWorker: 5
    case .removeWorker: 6
    case .addClient: 7
    case .removeClient: 8
    case .validWorkersDownscaling: 9
    case .logEvent: 10
    case .setup: 11
    case .teardown: 12
    case .transition: 13
    case .attach: 14
    case .detach: 15
    case .stimulus: 16
    case .clientDesiresKeys: 17
    case .clientReleasesKeys: 18
    case .addReplica: 19
    case .removeReplica: 20
    case .report: 21
    case .excluded: 22
    case .heartbeat: 23
    case .nanny: 24
    case .message: 25
    case .request: 26
    case .lock: 27
    case .plugin: 28
    case .monitor: 29
    case .profile: 30
    case .submission: 31
    case .other: nil
    }
  }

  /// The hook at an index; for a hook that this version does not know, the name is its index.
  package static func at(_ place: Int64) -> Hook {
    known.indices.contains(Int(clamping: place)) ? known[Int(place)] : .other("#\(place)")
  }
}
