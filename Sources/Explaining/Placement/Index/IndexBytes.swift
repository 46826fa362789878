import TaskLogPlugin

/// The parts of an index of placements.
///
/// A part is a byte with its kind and its fields. Whole numbers have seven bits in a byte, the lowest
/// first; those that may be negative are doubled, and a negative one is then turned over.
enum IndexPart: UInt8 {
  /// A worker as it joined; the next one has the next index.
  case worker = 1
  /// The workers in the order of joining, and the number of their threads.
  case order
  /// What has changed of a worker, all of it.
  case load
  /// A difference of the number of tasks of a prefix on a worker.
  case count
  /// A text; the next one has the next index.
  case text
  /// Mean and longest seconds of a prefix.
  case duration
  case bandwidth
  case settings
  /// Workers that hold a result; the next ones have the next index.
  case holders
  /// See `TaskState.placementTerms`; the next ones have the next index.
  case terms
  case choice
  case steal
}

/// Bytes of an index that is being written.
struct IndexBytes {
  private(set) var bytes: [UInt8] = []

  var count: Int { bytes.count }

  mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

  /// Removes what comes after an offset.
  mutating func truncate(to offset: Int) { bytes.removeSubrange(offset...) }

  mutating func begin(_ part: IndexPart) { bytes.append(part.rawValue) }

  mutating func add(_ number: UInt64) {
    var rest = number
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  mutating func add(count: Int) { add(UInt64(max(0, count))) }

  mutating func add(signed number: Int64) {
    add(UInt64(bitPattern: (number << 1) ^ (number >> 63)))
  }

  mutating func add(_ number: Double) {
    withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func add(_ text: String) {
    var text = text
    text.withUTF8 {
      add(count: $0.count)
      bytes.append(contentsOf: $0)
    }
  }

  mutating func add(_ other: IndexBytes) {
    add(count: other.count)
    bytes.append(contentsOf: other.bytes)
  }
}

/// What is read from a damaged index.
struct DamagedIndex: Error {}

/// A position in the bytes of an index.
struct IndexPosition {
  private let bytes: UnsafeRawBufferPointer
  private(set) var offset = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var isAtEnd: Bool { offset >= bytes.count }

  mutating func part() throws -> IndexPart {
    guard !isAtEnd, let part = IndexPart(rawValue: bytes[offset]) else { throw DamagedIndex() }
    offset += 1
    return part
  }

  mutating func number() throws -> UInt64 {
    var (number, shift) = (UInt64(0), UInt64(0))
    while !isAtEnd, shift < 64 {
      let byte = bytes[offset]
      offset += 1
      number |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return number }
      shift += 7
    }
    throw DamagedIndex()
  }

  mutating func count() throws -> Int {
    guard let count = Int(exactly: try number()) else { throw DamagedIndex() }
    return count
  }

  /// The number of elements that follow, each of which has a byte or more.
  mutating func length() throws -> Int {
    let count = try count()
    guard count <= bytes.count - offset else { throw DamagedIndex() }
    return count
  }

  /// The index of one of some elements.
  mutating func index(of count: Int) throws -> Int {
    let index = try self.count()
    guard index < count else { throw DamagedIndex() }
    return index
  }

  mutating func signed() throws -> Int64 {
    let number = try number()
    return Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1)
  }

  mutating func double() throws -> Double {
    guard bytes.count - offset >= 8 else { throw DamagedIndex() }
    let bits = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    offset += 8
    return Double(bitPattern: UInt64(littleEndian: bits))
  }

  mutating func text() throws -> String {
    let part = try span()
    return String(decoding: bytes[part], as: UTF8.self)
  }

  /// Some bytes with their count before them.
  private mutating func span() throws -> Range<Int> {
    let count = try length()
    defer { offset += count }
    return offset..<(offset + count)
  }

  mutating func skip() throws { _ = try span() }

  /// Enters bytes that have their count before them.
  mutating func enter() throws { _ = try length() }
}
