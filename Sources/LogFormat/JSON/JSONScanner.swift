import Glibc

/// Scans JSON in UTF-8 without building values.
///
/// Made for args of which a few fields are read, millions of times: other fields are skipped, and
/// the selected ones are returned as ranges of bytes. Skipping validates as `JSONReader` does, so
/// that a text that was skipped to its end is valid JSON.
package struct JSONScanner {
  private static let maximumDepth = 512

  private let bytes: UnsafeBufferPointer<UInt8>
  package private(set) var place = 0

  package init(_ bytes: UnsafeBufferPointer<UInt8>) {
    self.bytes = bytes
  }

  /// Whether a text is one JSON value on one line.
  package static func isOneLine(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var scanner = JSONScanner(bytes)
    guard scanner.skip(), scanner.peek() == 0 else { return false }
    return !bytes.contains { $0 == 0x0A || $0 == 0x0D }
  }

  /// The next byte that is not white space; 0 at the end.
  package mutating func peek() -> UInt8 {
    while place < bytes.count {
      switch bytes[place] {
      case 0x20, 0x0A, 0x0D, 0x09: place += 1
      case 0: return 1
      case let byte: return byte
      }
    }
    return 0
  }

  package mutating func take(_ byte: Unicode.Scalar) -> Bool {
    guard peek() == UInt8(truncatingIfNeeded: byte.value) else { return false }
    place += 1
    return true
  }

  /// The bytes of a range that was returned before.
  package subscript(range: Range<Int>) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(rebasing: bytes[range])
  }

  package func equals(_ range: Range<Int>, _ name: StaticString) -> Bool {
    guard range.count == name.utf8CodeUnitCount, let base = bytes.baseAddress else { return false }
    return memcmp(base + range.lowerBound, name.utf8Start, range.count) == 0
  }

  // MARK: - Values

  /// The content of a string, its escapes unchanged.
  package mutating func string() -> Range<Int>? {
    guard peek() == 0x22 else { return nil }
    let start = place + 1
    return skipString() ? start..<place - 1 : nil
  }

  /// The bytes of the current value.
  package mutating func token() -> Range<Int>? {
    _ = peek()
    let start = place
    return skip() ? start..<place : nil
  }

  package mutating func integer() -> Int64? {
    guard let token = token() else { return nil }
    let isNegative = bytes[token.lowerBound] == 0x2D
    var value: Int64 = 0
    for byte in self[token.lowerBound + (isNegative ? 1 : 0)..<token.upperBound] {
      guard (0x30...0x39).contains(byte) else { return nil }
      let (product, hasOverflowed) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflows) = product.subtractingReportingOverflow(Int64(byte - 0x30))
      if hasOverflowed || overflows { return nil }
      value = sum
    }
    return isNegative ? value : value == .min ? nil : -value
  }

  package mutating func number() -> Double? {
    guard let token = token(), bytes[token.lowerBound] == 0x2D || bytes[token.lowerBound] < 0x3A,
      token.count < 64
    else { return nil }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
      for (index, byte) in self[token].enumerated() { text[index] = CChar(bitPattern: byte) }
      text[token.count] = 0
      return text.baseAddress.map { strtod($0, nil) }
    }
  }

  /// Iterates over the members of an object: the body is called before each value, and consumes all
  /// of it or nothing. Returns whether all of it was an object.
  @discardableResult
  package mutating func members(
    _ body: (_ name: Range<Int>, _ scanner: inout JSONScanner) -> Void
  ) -> Bool {
    guard take("{") else { return false }
    if take("}") { return true }
    repeat {
      guard let name = string(), take(":") else { return false }
      _ = peek()
      let start = place
      body(name, &self)
      guard place != start || skip() else { return false }
    } while take(",")
    return take("}")
  }

  /// Iterates over the elements of an array, or of a tagged tuple or set.
  @discardableResult
  package mutating func elements(_ body: (_ scanner: inout JSONScanner) -> Void) -> Bool {
    if peek() == 0x7B {
      var isList = false
      members { name, scanner in
        if scanner.equals(name, "$tuple") || scanner.equals(name, "$set")
          || scanner.equals(name, "$frozenset")
        {
          isList = scanner.elements(body)
        }
      }
      return isList
    }
    guard take("[") else { return false }
    if take("]") { return true }
    repeat {
      _ = peek()
      let start = place
      body(&self)
      guard place != start || skip() else { return false }
    } while take(",")
    return take("]")
  }

  // MARK: - Skipping

  /// Advances past the current value; false if it is invalid.
  package mutating func skip() -> Bool { skip(depth: 0) }

  private mutating func skip(depth: Int) -> Bool {
    guard depth < Self.maximumDepth else { return false }
    switch peek() {
    case 0x22: return skipString()
    case UInt8(ascii: "{"):
      place += 1
      if take("}") { return true }
      repeat {
        guard peek() == 0x22, skipString(), take(":"), skip(depth: depth + 1) else { return false }
      } while take(",")
      return take("}")
    case UInt8(ascii: "["):
      place += 1
      if take("]") { return true }
      repeat {
        guard skip(depth: depth + 1) else { return false }
      } while take(",")
      return take("]")
    case UInt8(ascii: "t"): return skipWord("true")
    case UInt8(ascii: "f"): return skipWord("false")
    case UInt8(ascii: "n"): return skipWord("null")
    default: return skipNumber()
    }
  }

  private mutating func skipWord(_ word: StaticString) -> Bool {
    let end = place + word.utf8CodeUnitCount
    guard end <= bytes.count, equals(place..<end, word) else { return false }
    place = end
    return true
  }

  private mutating func skipString() -> Bool {
    place += 1
    while place < bytes.count {
      let byte = bytes[place]
      place += 1
      if byte == 0x22 { return true }
      if byte < 0x20 { return false }
      guard byte == 0x5C else { continue }
      guard place < bytes.count else { return false }
      let letter = bytes[place]
      place += 1
      switch letter {
      case 0x22, 0x5C, 0x2F, UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"),
        UInt8(ascii: "b"), UInt8(ascii: "f"):
        continue
      case UInt8(ascii: "u"):
        guard place + 4 <= bytes.count else { return false }
        for digit in bytes[place..<place + 4] {
          guard (0x30...0x39).contains(digit) || (0x41...0x46).contains(digit & 0xDF) else {
            return false
          }
        }
        place += 4
      default: return false
      }
    }
    return false
  }

  private mutating func skipNumber() -> Bool {
    skip(0x2D)
    let first = place
    guard skipDigits() > 0, place == first + 1 || bytes[first] != 0x30 else { return false }
    if skip(0x2E) {
      guard skipDigits() > 0 else { return false }
    }
    if skip(0x65) || skip(0x45) {
      if !skip(0x2B) { skip(0x2D) }
      guard skipDigits() > 0 else { return false }
    }
    return true
  }

  @discardableResult
  private mutating func skip(_ byte: UInt8) -> Bool {
    guard place < bytes.count, bytes[place] == byte else { return false }
    place += 1
    return true
  }

  private mutating func skipDigits() -> Int {
    let start = place
    while place < bytes.count, (0x30...0x39).contains(bytes[place]) { place += 1 }
    return place - start
  }
}
