import TaskLogPlugin

/// Why bytes are not the expected MessagePack.
package struct MessagePackError: Error, Sendable, CustomStringConvertible {
  /// In bytes.
  package var offset: Int
  package var reason: String

  package var description: String { "not MessagePack at byte \(offset): \(reason)" }
}

/// Reads MessagePack, the inverse of `MessagePackWriter`. Every read is checked; nothing traps.
package struct MessagePackReader {
  private let bytes: UnsafeRawBufferPointer
  package var position = 0

  /// Deeper nesting than this is an error.
  private static let maximumDepth = 512

  /// - Parameter bytes: must stay valid and in place while the reader is in use.
  package init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
  }

  package var isAtEnd: Bool { position == bytes.count }

  private func error(_ reason: String) -> MessagePackError {
    MessagePackError(offset: position, reason: reason)
  }

  @inline(__always)
  private mutating func byte() throws(MessagePackError) -> UInt8 {
    guard position < bytes.count else { throw error("it ends too early") }
    defer { position += 1 }
    return bytes[position]
  }

  @inline(__always)
  private mutating func number<Number: FixedWidthInteger>(
    _: Number.Type
  ) throws(MessagePackError) -> Number {
    let size = MemoryLayout<Number>.size
    guard bytes.count - position >= size else { throw error("it ends too early") }
    defer { position += size }
    return Number(bigEndian: bytes.loadUnaligned(fromByteOffset: position, as: Number.self))
  }

  private mutating func run(_ count: Int) throws(MessagePackError) -> UnsafeRawBufferPointer {
    guard count >= 0, bytes.count - position >= count else { throw error("it ends too early") }
    defer { position += count }
    return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
  }

  // MARK: - What the fields of a record are

  /// The type of the next value; an invalid type at the end.
  @inline(__always)
  var peek: UInt8 { position < bytes.count ? bytes[position] : 0xC1 }

  /// The bytes between two positions.
  package func slice(_ start: Int, _ end: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[start..<end])
  }

  mutating func double() throws(MessagePackError) -> Double {
    guard try byte() == 0xCB else {
      position -= 1
      throw error("expected a float")
    }
    return Double(bitPattern: try number(UInt64.self))
  }

  /// Consumes a nil if there is one.
  @inline(__always)
  package mutating func takeNil() -> Bool {
    guard position < bytes.count, bytes[position] == 0xC0 else { return false }
    position += 1
    return true
  }

  package mutating func integer() throws(MessagePackError) -> Int64 {
    let type = try byte()
    switch type {
    case 0...0x7F: return Int64(type)
    case 0xE0...0xFF: return Int64(Int8(bitPattern: type))
    case 0xCC: return Int64(try byte())
    case 0xCD: return Int64(try number(UInt16.self))
    case 0xCE: return Int64(try number(UInt32.self))
    case 0xCF:
      guard let value = Int64(exactly: try number(UInt64.self)) else {
        throw error("a number beyond 64 bits with a sign")
      }
      return value
    case 0xD0: return Int64(try number(Int8.self))
    case 0xD1: return Int64(try number(Int16.self))
    case 0xD2: return Int64(try number(Int32.self))
    case 0xD3: return try number(Int64.self)
    default:
      position -= 1
      throw error("expected an integer")
    }
  }

  /// The bytes of a text, in place.
  package mutating func text() throws(MessagePackError) -> UnsafeRawBufferPointer {
    let type = try byte()
    switch type {
    case 0xA0...0xBF: return try run(Int(type & 0x1F))
    case 0xD9: return try run(Int(try byte()))
    case 0xDA: return try run(Int(try number(UInt16.self)))
    case 0xDB: return try run(Int(try number(UInt32.self)))
    default:
      position -= 1
      throw error("expected text")
    }
  }

  package var isText: Bool {
    guard position < bytes.count else { return false }
    switch bytes[position] {
    case 0xA0...0xBF, 0xD9...0xDB: return true
    default: return false
    }
  }

  package var isArray: Bool {
    guard position < bytes.count else { return false }
    switch bytes[position] {
    case 0x90...0x9F, 0xDC, 0xDD: return true
    default: return false
    }
  }

  /// The unread bytes.
  package var rest: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[position...]) }

  package mutating func arrayCount() throws(MessagePackError) -> Int {
    let type = try byte()
    switch type {
    case 0x90...0x9F: return Int(type & 0x0F)
    case 0xDC: return Int(try number(UInt16.self))
    case 0xDD: return Int(try number(UInt32.self))
    default:
      position -= 1
      throw error("expected an array")
    }
  }

  package mutating func mapCount() throws(MessagePackError) -> Int {
    let type = try byte()
    switch type {
    case 0x80...0x8F: return Int(type & 0x0F)
    case 0xDE: return Int(try number(UInt16.self))
    case 0xDF: return Int(try number(UInt32.self))
    default:
      position -= 1
      throw error("expected a map")
    }
  }

  // MARK: - Values

  package mutating func value() throws(MessagePackError) -> Value {
    try value(depth: 0)
  }

  private mutating func value(depth: Int) throws(MessagePackError) -> Value {
    guard depth < Self.maximumDepth else { throw error("nested too deeply") }
    guard position < bytes.count else { throw error("it ends too early") }
    let type = bytes[position]
    switch type {
    case 0xC0:
      position += 1
      return .null
    case 0xC2, 0xC3:
      position += 1
      return .bool(type == 0xC3)
    case 0xCA:
      position += 1
      return .double(Double(Float(bitPattern: try number(UInt32.self))))
    case 0xCB:
      position += 1
      return .double(Double(bitPattern: try number(UInt64.self)))
    case 0xCF:
      position += 1
      let value = try number(UInt64.self)
      return Int64(exactly: value).map(Value.int) ?? .bigInt(String(value))
    case 0...0x7F, 0xE0...0xFF, 0xCC...0xCE, 0xD0...0xD3: return .int(try integer())
    case 0xA0...0xBF, 0xD9...0xDB: return Self.text(try text())
    case 0xC4...0xC6: return .bytes(Array(try binary()))
    case 0x90...0x9F, 0xDC, 0xDD: return .list(try values(depth: depth))
    case 0x80...0x8F, 0xDE, 0xDF:
      let count = try mapCount()
      var entries: [Value.Entry] = []
      for _ in 0..<count {
        let key = try value(depth: depth + 1)
        entries.append(Value.Entry(key, try value(depth: depth + 1)))
      }
      return .dict(entries)
    default: return try extended(depth: depth)
    }
  }

  /// Text that is not UTF-8 can only be WTF-8: Python's, with lone surrogates.
  private static func text(_ bytes: UnsafeRawBufferPointer) -> Value {
    String(validating: bytes, as: UTF8.self).map(Value.string) ?? .wtf8(Array(bytes))
  }

  private mutating func values(depth: Int) throws(MessagePackError) -> [Value] {
    let count = try arrayCount()
    var values: [Value] = []
    for _ in 0..<count { values.append(try value(depth: depth + 1)) }
    return values
  }

  mutating func binary() throws(MessagePackError) -> UnsafeRawBufferPointer {
    switch try byte() {
    case 0xC4: return try run(Int(try byte()))
    case 0xC5: return try run(Int(try number(UInt16.self)))
    default: return try run(Int(try number(UInt32.self)))
    }
  }

  /// The type of an extension and the end of its content; the content comes next.
  mutating func extensionHeader() throws(MessagePackError) -> (type: Int8, end: Int) {
    let length: Int
    switch try byte() {
    case 0xD4: length = 1
    case 0xD5: length = 2
    case 0xD6: length = 4
    case 0xD7: length = 8
    case 0xD8: length = 16
    case 0xC7: length = Int(try byte())
    case 0xC8: length = Int(try number(UInt16.self))
    case 0xC9: length = Int(try number(UInt32.self))
    default:
      position -= 1
      throw error("an unknown type")
    }
    let type = Int8(bitPattern: try byte())
    guard bytes.count - position >= length else { throw error("it ends too early") }
    return (type, position + length)
  }

  private mutating func extended(depth: Int) throws(MessagePackError) -> Value {
    let (code, end) = try extensionHeader()
    let start = position
    let content = try run(end - start)
    guard let type = MessagePackExtension(rawValue: code) else {
      return .tagged("$msgpack", .list([.int(Int64(code)), .bytes(Array(content))]))
    }
    switch type {
    case .bytearray: return .bytearray(Array(content))
    case .wtf8: return .wtf8(Array(content))
    case .bigInt:
      guard let value = Value(digits: String(decoding: content, as: UTF8.self)) else {
        throw error("no digits in a big integer")
      }
      return value
    case .tuple, .set, .frozenset, .tagged: break
    }
    position = start
    let values = try values(depth: depth)
    guard position == end else { throw error("an extension of a wrong length") }
    switch type {
    case .tuple: return .tuple(values)
    case .set: return .set(values)
    case .frozenset: return .frozenset(values)
    default:
      guard values.count == 2, case .string(let name) = values[0] else {
        throw error("no name in a tagged value")
      }
      return .tagged(name, values[1])
    }
  }

  /// The args that `MessagePackWriter.write(_: Args)` wrote.
  package mutating func args() throws(MessagePackError) -> Args.Content {
    guard try arrayCount() == 2 else { throw error("args that are not two") }
    return try argsContent()
  }

  mutating func argsContent() throws(MessagePackError) -> Args.Content {
    let positional = try values(depth: 0)
    let count = try mapCount()
    var named: [Args.Argument] = []
    for _ in 0..<count {
      let name = String(decoding: try text(), as: UTF8.self)
      named.append(Args.Argument(name, try value(depth: 1)))
    }
    return Args.Content(positional: positional, named: named)
  }
}
