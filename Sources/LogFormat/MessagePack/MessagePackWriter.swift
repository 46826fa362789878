import TaskLogPlugin

/// Writes MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md) into its own memory,
/// which it reuses.
///
/// Types that MessagePack lacks are extensions: see `MessagePackExtension`.
///
/// Invariant of the unsafe parts: `base` holds `capacity` bytes, `count` of them are written, and
/// `reserve` is called before anything is written.
package struct MessagePackWriter: ~Copyable {
  private var base: UnsafeMutablePointer<UInt8>
  private var capacity: Int
  package private(set) var count = 0
  /// The number of fields of the snapshot that is being written.
  var fieldCount = 0

  /// Deeper nesting than this is replaced by a marked opaque value, as in `JSONWriter`.
  package static let maximumDepth = JSONWriter.maximumDepth

  package init(capacity: Int = 1024) {
    base = .allocate(capacity: capacity)
    self.capacity = capacity
  }

  deinit {
    base.deallocate()
  }

  /// The written bytes.
  package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  @inline(__always)
  package mutating func removeAll() {
    count = 0
  }

  @inline(__always)
  private mutating func reserve(_ more: Int) {
    if capacity - count < more { grow(more) }
  }

  @inline(never)
  private mutating func grow(_ more: Int) {
    let larger = max(capacity * 2, count + more)
    let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
    moved.update(from: base, count: count)
    base.deallocate()
    base = moved
    capacity = larger
  }

  @inline(__always)
  private mutating func put(_ byte: UInt8) {
    reserve(1)
    base[count] = byte
    count += 1
  }

  /// A type byte and a number in network byte order.
  @inline(__always)
  private mutating func put<Number: FixedWidthInteger>(_ type: UInt8, _ number: Number) {
    reserve(1 + MemoryLayout<Number>.size)
    base[count] = type
    UnsafeMutableRawPointer(base + count + 1).storeBytes(of: number.bigEndian, as: Number.self)
    count += 1 + MemoryLayout<Number>.size
  }

  @inline(__always)
  private mutating func put(contentsOf bytes: UnsafeRawBufferPointer) {
    reserve(bytes.count)
    if let start = bytes.baseAddress {
      UnsafeMutableRawPointer(base + count).copyMemory(from: start, byteCount: bytes.count)
    }
    count += bytes.count
  }

  // MARK: - What MessagePack has

  @inline(__always)
  package mutating func writeNil() { put(0xC0) }

  @inline(__always)
  package mutating func write(_ value: Bool) { put(value ? 0xC3 : 0xC2) }

  @inline(__always)
  package mutating func write(_ value: Int64) {
    switch value {
    case 0...0x7F: put(UInt8(truncatingIfNeeded: value))
    case -32..<0: put(UInt8(truncatingIfNeeded: value))
    case 0x80...0xFF: put(0xCC, UInt8(truncatingIfNeeded: value))
    case 0x100...0xFFFF: put(0xCD, UInt16(truncatingIfNeeded: value))
    case 0x1_0000...0xFFFF_FFFF: put(0xCE, UInt32(truncatingIfNeeded: value))
    default: put(0xD3, value)
    }
  }

  @inline(__always)
  package mutating func write(_ value: Double) { put(0xCB, value.bitPattern) }

  @inline(__always)
  package mutating func write(_ text: String) {
    var text = text
    text.withUTF8 { write(utf8: $0) }
  }

  @inline(__always)
  package mutating func write(utf8 bytes: UnsafeBufferPointer<UInt8>) {
    switch bytes.count {
    case 0..<32: put(0xA0 | UInt8(truncatingIfNeeded: bytes.count))
    case 32..<0x100: put(0xD9, UInt8(truncatingIfNeeded: bytes.count))
    case 0x100..<0x1_0000: put(0xDA, UInt16(truncatingIfNeeded: bytes.count))
    default: put(0xDB, UInt32(truncatingIfNeeded: bytes.count))
    }
    put(contentsOf: UnsafeRawBufferPointer(bytes))
  }

  package mutating func write(bytes: [UInt8]) {
    switch bytes.count {
    case 0..<0x100: put(0xC4, UInt8(truncatingIfNeeded: bytes.count))
    case 0x100..<0x1_0000: put(0xC5, UInt16(truncatingIfNeeded: bytes.count))
    default: put(0xC6, UInt32(truncatingIfNeeded: bytes.count))
    }
    bytes.withUnsafeBytes { put(contentsOf: $0) }
  }

  @inline(__always)
  package mutating func write(arrayOf count: Int) {
    switch count {
    case 0..<16: put(0x90 | UInt8(truncatingIfNeeded: count))
    case 16..<0x1_0000: put(0xDC, UInt16(truncatingIfNeeded: count))
    default: put(0xDD, UInt32(truncatingIfNeeded: count))
    }
  }

  @inline(__always)
  package mutating func write(mapOf count: Int) {
    switch count {
    case 0..<16: put(0x80 | UInt8(truncatingIfNeeded: count))
    case 16..<0x1_0000: put(0xDE, UInt16(truncatingIfNeeded: count))
    default: put(0xDF, UInt32(truncatingIfNeeded: count))
    }
  }

  /// A value that is already encoded.
  package mutating func write(encoded bytes: UnsafeRawBufferPointer) {
    put(contentsOf: bytes)
  }

  /// A constant name, shorter than 32 bytes.
  @inline(__always)
  package mutating func write(_ name: StaticString) {
    let length = name.utf8CodeUnitCount
    put(0xA0 | UInt8(truncatingIfNeeded: length))
    put(contentsOf: UnsafeRawBufferPointer(start: name.utf8Start, count: length))
  }

  /// Begins an extension whose length is known once its content is written.
  mutating func begin(_ type: MessagePackExtension) -> Int {
    put(0xC9, UInt32(0))
    put(UInt8(bitPattern: type.rawValue))
    return count
  }

  mutating func end(extensionAt start: Int) {
    let length = UInt32(truncatingIfNeeded: count - start).bigEndian
    UnsafeMutableRawPointer(base + start - 5).storeBytes(of: length, as: UInt32.self)
  }

  /// Begins a map of up to 65,535 entries, whose count is known once they are written.
  mutating func beginMap() -> Int {
    put(0xDE, UInt16(0))
    return count
  }

  mutating func end(mapAt start: Int, count entries: Int) {
    let number = UInt16(truncatingIfNeeded: entries).bigEndian
    UnsafeMutableRawPointer(base + start - 2).storeBytes(of: number, as: UInt16.self)
  }

  private mutating func write(
    _ type: MessagePackExtension, _ content: (inout MessagePackWriter) -> Void
  ) {
    let start = begin(type)
    content(&self)
    end(extensionAt: start)
  }

  private mutating func write(raw bytes: [UInt8]) {
    bytes.withUnsafeBytes { put(contentsOf: $0) }
  }

  // MARK: - Values

  package mutating func write(_ value: Value) {
    write(value, depth: 0)
  }

  private mutating func write(_ value: Value, depth: Int) {
    guard depth < Self.maximumDepth else { return write(.opaque("too deep"), depth: 0) }
    switch value {
    case .null: writeNil()
    case .bool(let value): write(value)
    case .int(let value): write(value)
    case .double(let value): write(value)
    case .string(let text): write(text)
    case .bytes(let bytes): write(bytes: bytes)
    case .bigInt(let digits): write(.bigInt) { $0.write(raw: Array(digits.utf8)) }
    case .wtf8(let bytes): write(.wtf8) { $0.write(raw: bytes) }
    case .bytearray(let bytes): write(.bytearray) { $0.write(raw: bytes) }
    case .list(let values): write(values, depth)
    case .tuple(let values): write(.tuple) { $0.write(values, depth) }
    case .set(let values): write(.set) { $0.write(values, depth) }
    case .frozenset(let values): write(.frozenset) { $0.write(values, depth) }
    case .dict(let entries):
      write(mapOf: entries.count)
      for entry in entries {
        write(entry.key, depth: depth + 1)
        write(entry.value, depth: depth + 1)
      }
    case .tagged(let name, let value):
      write(.tagged) { writer in
        writer.write(arrayOf: 2)
        writer.write(name)
        writer.write(value, depth: depth + 1)
      }
    }
  }

  private mutating func write(_ values: [Value], _ depth: Int) {
    write(arrayOf: values.count)
    for value in values { write(value, depth: depth + 1) }
  }

  /// A key: its text or, if it is not plain text, its text and its typed JSON or its value.
  @inline(__always)
  package mutating func write(_ key: Key) {
    switch key.form {
    case .plain: write(key.text)
    case .typed(let typed):
      write(arrayOf: 2)
      write(key.text)
      write(typed)
    case .value, .numbered:
      write(arrayOf: 3)
      write(key.text)
      writeNil()
      writeValue(of: key)
    }
  }

  /// Args: an array of the positional ones and a map of the others.
  package mutating func write(_ args: Args) {
    write(arrayOf: 2)
    switch args.storage {
    case .empty:
      write(arrayOf: 0)
      write(mapOf: 0)
    case .content(let content): write(content)
    case .encoded: write(args.content)
    case .run(let facts): writeArguments(facts)
    case .compute(let facts): writeArguments(facts)
    case .graph(let facts): writeArguments(facts)
    case .keys(let facts): writeArguments(facts)
    }
  }

  private mutating func writeArguments(_ facts: some FieldEncodable) {
    write(arrayOf: 0)
    write(facts)
  }

  private mutating func write(_ content: Args.Content) {
    write(content.positional, 0)
    write(mapOf: content.named.count)
    for argument in content.named {
      write(argument.name)
      write(argument.value, depth: 1)
    }
  }

  /// A snapshot that is not `none`, as the value that is stored in a log.
  package mutating func write(_ snapshot: Snapshot) {
    switch snapshot {
    case .none: writeNil()
    case .graph(let tasks):
      write(mapOf: 1)
      write("graph" as StaticString)
      write(arrayOf: tasks.count)
      for task in tasks { write(task) }
    case .worker(let facts): write("worker", facts)
    case .task(let facts): write("task", facts)
    case .encoded, .other: write(snapshot.value ?? .null)
    }
  }

  private mutating func write(_ name: StaticString, _ facts: some FieldEncodable) {
    write(mapOf: 1)
    write(name)
    write(facts)
  }
}

/// Types that MessagePack lacks. The content of `tuple`, `set` and `frozenset` is an array, of
/// `tagged` an array of a name and a value, of the others plain bytes.
package enum MessagePackExtension: Int8, Sendable {
  case tuple = 1
  case set = 2
  case frozenset = 3
  case bytearray = 4
  /// Decimal digits in ASCII.
  case bigInt = 5
  /// Text with lone surrogates.
  case wtf8 = 6
  case tagged = 7
}
