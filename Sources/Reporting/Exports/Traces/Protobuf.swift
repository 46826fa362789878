/// Writes messages of protocol buffers: https://protobuf.dev/programming-guides/encoding
///
/// A trace needs only a few functions; a library would add a generated copy of the schema.
struct Protobuf {
  var bytes: [UInt8] = []

  mutating func number(_ field: UInt32, _ value: UInt64) {
    varint(UInt64(field) << 3)
    varint(value)
  }

  /// An `int64`; a negative one takes ten bytes.
  mutating func integer(_ field: UInt32, _ value: Int64) {
    number(field, UInt64(bitPattern: value))
  }

  mutating func fixed(_ field: UInt32, _ value: UInt64) {
    varint(UInt64(field) << 3 | 1)
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func text(_ field: UInt32, _ text: String) {
    var text = text
    text.withUTF8 { utf8 in
      varint(UInt64(field) << 3 | 2)
      varint(UInt64(utf8.count))
      bytes.append(contentsOf: utf8)
    }
  }

  mutating func text(_ field: UInt32, _ text: StaticString) {
    text.withUTF8Buffer { utf8 in
      varint(UInt64(field) << 3 | 2)
      varint(UInt64(utf8.count))
      bytes.append(contentsOf: utf8)
    }
  }

  mutating func message(_ field: UInt32, _ body: (inout Protobuf) -> Void) {
    varint(UInt64(field) << 3 | 2)
    let start = bytes.count
    // Most are short, with a length of one byte; longer ones are moved.
    bytes.append(0)
    body(&self)
    let count = UInt64(bytes.count - start - 1)
    bytes[start] = UInt8(truncatingIfNeeded: count < 0x80 ? count : count & 0x7F | 0x80)
    guard count >= 0x80 else { return }
    var rest: [UInt8] = []
    var remaining = count >> 7
    while remaining >= 0x80 {
      rest.append(UInt8(truncatingIfNeeded: remaining & 0x7F | 0x80))
      remaining >>= 7
    }
    rest.append(UInt8(truncatingIfNeeded: remaining))
    bytes.insert(contentsOf: rest, at: start + 1)
  }

  private mutating func varint(_ value: UInt64) {
    var value = value
    while value >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: value & 0x7F | 0x80))
      value >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: value))
  }
}
