import EventLog
import LogFormat
import TaskLogPlugin

/// The events of a message, transcoded for a log without intermediate values: names and numbers in
/// MessagePack, args and snapshots as the JSON of the message.
///
/// An event that is not formatted as our own writers format it is decoded to values, and so is an
/// invalid message, so that the error says why. So this is only a faster path with the same result.
struct ScannedEvents: Sendable {
  struct Item {
    /// An index into the sources of the message.
    var source: Int
    var sourceSeq: Int64
    /// The range of the event in `encoded`.
    fileprivate var fields: Range<Int>
    /// The ranges of its texts in the message; `nil` if they are in `encoded`, too.
    fileprivate var texts: (args: Range<Int>?, snapshot: Range<Int>?)?
  }

  fileprivate var items: [Item] = []
  private var encoded: [UInt8] = []

  /// Calls a body with each event.
  ///
  /// - Parameter message: the bytes from which these events were scanned.
  func forEach(
    in message: UnsafeRawBufferPointer, _ body: (Item, EncodedEvent, CachedJSON?) throws -> Void
  ) throws {
    func part(_ range: Range<Int>?) -> UnsafeRawBufferPointer? {
      range.map { UnsafeRawBufferPointer(rebasing: message[$0]) }
    }
    try encoded.withUnsafeBytes { encoded in
      for item in items {
        let event = try EncodedEvent(
          fields: UnsafeRawBufferPointer(rebasing: encoded[item.fields]))
        let texts = item.texts.map {
          CachedJSON(args: part($0.args), snapshot: part($0.snapshot))
        }
        try body(item, event, texts)
      }
    }
  }
}

extension EventMessage {
  /// `nil` if the message must be read as a value.
  init?(scanning bytes: UnsafeRawBufferPointer) {
    guard bytes.isUTF8 else { return nil }
    let bytes = bytes.bindMemory(to: UInt8.self)
    var scanner = JSONScanner(bytes)
    var found: (events: ScannedEvents, range: Range<Int>)?
    let isObject = scanner.members { name, scanner in
      guard scanner.equals(name, "events") else { return }
      let start = scanner.offset
      found = ScannedEvents(&scanner, size: bytes.count).map { ($0, start..<scanner.offset) }
    }
    guard isObject, scanner.peek() == 0, let (scanned, events) = found else { return nil }
    // Without its events a message is short.
    let rest =
      Array(bytes[..<events.lowerBound]) + "[]".utf8 + Array(bytes[events.upperBound...])
    guard let value = try? JSONReader.value(String(decoding: rest, as: UTF8.self)),
      case .events(let message)? = try? QueueMessage(value),
      scanned.items.allSatisfy({ $0.source < message.sources.count })
    else { return nil }
    self = message
    self.scanned = scanned
  }
}

extension ScannedEvents {
  /// `nil` if this is not a list, or one of the elements is not an event.
  ///
  /// - Parameter size: an upper bound of the length of the message.
  fileprivate init?(_ scanner: inout JSONScanner, size: Int) {
    var writer = MessagePackWriter(capacity: size)
    var isRight = true
    let isList = scanner.elements { scanner in
      guard isRight, let found = ScannedEvent(&scanner), found.isEvent else {
        isRight = false
        return
      }
      let start = writer.count
      var item = Item(source: found.source, sourceSeq: found.sourceSeq, fields: start..<start)
      if found.isPlain {
        found.write(to: &writer, scanner)
        item.texts = (found.args, found.snapshot)
      } else if let event = found.decoded(scanner) {
        writer.write(fields: event)
      } else {
        isRight = false
      }
      item.fields = start..<writer.count
      items.append(item)
    }
    guard isList, isRight else { return nil }
    encoded = Array(writer.bytes)
  }
}

/// The ranges of the parts of an event in a text.
private struct ScannedEvent {
  private(set) var source = -1
  private(set) var sourceSeq: Int64 = 0
  private var fullRange = 0..<0
  private var time: Int64?
  private var hook: Range<Int>?
  /// The text of the key, and its value if it is not plain text.
  private var key: (text: Range<Int>, value: Range<Int>?)?
  /// Start, finish, stimulus and worker.
  private var names: (Range<Int>?, Range<Int>?, Range<Int>?, Range<Int>?)
  private var taskRun: Int64?
  private(set) var args: Range<Int>?
  private(set) var snapshot: Range<Int>?
  /// Whether each part can be copied unchanged.
  private(set) var isPlain = true

  /// `nil` if this is not an object.
  init?(_ scanner: inout JSONScanner) {
    _ = scanner.peek()
    let start = scanner.offset
    let isObject = scanner.members { name, scanner in
      switch name.count {
      case 3 where scanner.equals(name, "key"): takeKey(&scanner)
      case 3 where scanner.equals(name, "seq"): sourceSeq = takeInteger(&scanner) ?? 0
      case 4 where scanner.equals(name, "time"): time = takeInteger(&scanner)
      case 4 where scanner.equals(name, "hook"): hook = takeText(&scanner)
      case 4 where scanner.equals(name, "args"): args = takeObject(&scanner)
      case 5 where scanner.equals(name, "start"): names.0 = takeText(&scanner)
      case 6 where scanner.equals(name, "finish"): names.1 = takeText(&scanner)
      case 8 where scanner.equals(name, "stimulus"): names.2 = takeText(&scanner)
      case 6 where scanner.equals(name, "worker"): names.3 = takeText(&scanner)
      case 6 where scanner.equals(name, "source"):
        source = takeInteger(&scanner).flatMap(Int.init(exactly:)) ?? -1
      case 8 where scanner.equals(name, "task_run"): taskRun = takeInteger(&scanner)
      case 8 where scanner.equals(name, "snapshot"): snapshot = takeObject(&scanner)
      // Fields of a later version have to be JSON as well.
      default:
        let token = scanner.token()
        isPlain = isPlain && token.map { PlainJSON.isPlain(scanner[$0]) } ?? false
      }
    }
    guard isObject else { return nil }
    fullRange = start..<scanner.offset
  }

  var isEvent: Bool {
    source >= 0 && (1..<1 << 48).contains(sourceSeq)
      && (!isPlain || (time != nil && hook != nil))
  }

  private mutating func takeInteger(_ scanner: inout JSONScanner) -> Int64? {
    let number = scanner.integer()
    if number == nil { isPlain = false }
    return number
  }

  private mutating func takeText(_ scanner: inout JSONScanner) -> Range<Int>? {
    guard let text = scanner.string(), !scanner[text].contains(0x5C) else {
      isPlain = false
      return nil
    }
    return text
  }

  private mutating func takeObject(_ scanner: inout JSONScanner) -> Range<Int>? {
    guard scanner.peek() == UInt8(ascii: "{"), let object = scanner.token(),
      PlainJSON.isPlain(scanner[object])
    else {
      isPlain = false
      return nil
    }
    return object
  }

  private mutating func takeKey(_ scanner: inout JSONScanner) {
    if scanner.peek() == 0x22 {
      key = takeText(&scanner).map { ($0, nil) }
      return
    }
    var (text, value): (Range<Int>?, Range<Int>?)
    var count = 0
    let isObject = scanner.members { name, scanner in
      count += 1
      if scanner.equals(name, "text") {
        text = takeText(&scanner)
      } else if scanner.equals(name, "value") {
        value = scanner.token()
      }
    }
    guard isObject, count == 2, let text, let value, PlainJSON.isCanonical(scanner[value]) else {
      isPlain = false
      return
    }
    key = (text, value)
  }

  /// Writes the fields of a record from the time on, without texts.
  func write(to writer: inout MessagePackWriter, _ scanner: JSONScanner) {
    func put(_ range: Range<Int>?) {
      if let range { writer.write(utf8: scanner[range]) } else { writer.writeNil() }
    }
    writer.write(time ?? 0)
    put(hook)
    if let key, let value = key.value {
      writer.write(arrayOf: 2)
      put(key.text)
      put(value)
    } else {
      put(key?.text)
    }
    put(names.0)
    put(names.1)
    put(names.2)
    put(names.3)
    if let taskRun { writer.write(taskRun) } else { writer.writeNil() }
    writer.writeNil()
    writer.writeNil()
  }

  /// Decodes the event to values.
  func decoded(_ scanner: JSONScanner) -> Event? {
    guard
      let value = try? JSONReader.value(
        String(decoding: scanner[fullRange], as: UTF8.self), opensShared: false)
    else {
      return nil
    }
    return try? Event(message: value)
  }
}

/// Checks on the bytes of JSON that has already been scanned, and so is valid.
private enum PlainJSON {
  /// Longer numbers may be out of range.
  private static let longestNumber = 40

  /// Whether a value can be stored in a log unchanged: on one line, with nothing in it that is
  /// stored separately (`$bytes`, `$blob`, `$shared`), and nothing that `JSONReader` would refuse.
  static func isPlain(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var (isInText, isEscaped) = (false, false)
    var digits = 0
    var before: UInt8 = 0
    var mayBeShared = false
    for byte in bytes {
      if isInText {
        if isEscaped {
          // Half of a surrogate pair is not valid text.
          if byte == UInt8(ascii: "u") { return false }
          isEscaped = false
        } else if byte == 0x22 {
          isInText = false
        } else if byte == 0x5C {
          isEscaped = true
        } else if byte == UInt8(ascii: "b"), before == UInt8(ascii: "$") {
          return false
        } else if byte == UInt8(ascii: "h"), before == UInt8(ascii: "s") {
          // May be the beginning of `$shared`; other matches are rare.
          if mayBeShared { return false }
        }
        mayBeShared = byte == UInt8(ascii: "s") && before == UInt8(ascii: "$")
      } else if (0x30...0x39).contains(byte) {
        digits += 1
        if digits > longestNumber { return false }
      } else if byte == 0x22 {
        (isInText, digits) = (true, 0)
      } else if byte < 0x20 || (digits > 0 && byte | 0x20 == UInt8(ascii: "e")) {
        return false
      } else if byte != UInt8(ascii: ".") {
        digits = 0
      }
      before = byte
    }
    return true
  }

  /// Whether `JSONWriter` writes a value exactly like this: only numbers, text and tuples.
  static func isCanonical(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var isInText = false
    var digits = 0
    var before: UInt8 = 0
    for byte in bytes {
      if byte == 0x5C { return false }
      if isInText {
        if byte == 0x22 { isInText = false }
        // The other tags have several equivalent forms.
        if before == UInt8(ascii: "$"), byte != UInt8(ascii: "t") { return false }
      } else {
        switch byte {
        case 0x30...0x39:
          if before == UInt8(ascii: "-"), byte == 0x30 { return false }
          digits += 1
          if digits > 18 { return false }
        case 0x22: (isInText, digits) = (true, 0)
        case UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "["), UInt8(ascii: "]"),
          UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "-"):
          digits = 0
        default: return false
        }
      }
      before = byte
    }
    return true
  }
}
