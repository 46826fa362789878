import Glibc
import TaskLogPlugin

/// Scans JSON in UTF-8 without building values.
///
/// Made for args of which a few fields are read, millions of times: other fields are skipped, and
/// the selected ones are returned as ranges of bytes.
///
/// A read either consumes the current value or, if that is of another kind or invalid, returns
/// `nil` or `false` and consumes nothing. Skipping checks the grammar as `JSONReader` does, so that
/// a text that was skipped to its end is valid JSON. Of several members with one name the last one
/// counts, as in `Value`.
package struct JSONScanner {
  private let bytes: UnsafeBufferPointer<UInt8>
  package private(set) var offset: Int
  /// The number of objects and arrays that are being iterated over.
  private var depth = 0

  /// - Parameter offset: where a value begins.
  package init(_ bytes: UnsafeBufferPointer<UInt8>, from offset: Int = 0) {
    self.bytes = bytes
    self.offset = offset
  }

  /// Whether a text is one JSON value on one line.
  package static func isOneLine(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var scanner = JSONScanner(bytes)
    guard scanner.skip(), scanner.peek() == 0 else { return false }
    return !bytes.contains { $0 == 0x0A || $0 == 0x0D }
  }

  /// The next byte that is not white space; 0 at the end.
  package mutating func peek() -> UInt8 {
    while offset < bytes.count {
      switch bytes[offset] {
      case 0x20, 0x0A, 0x0D, 0x09: offset += 1
      case 0: return 1
      case let byte: return byte
      }
    }
    return 0
  }

  package mutating func take(_ byte: Unicode.Scalar) -> Bool {
    guard peek() == UInt8(truncatingIfNeeded: byte.value) else { return false }
    offset += 1
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
    let start = offset + 1
    guard let end = JSONGrammar(bytes).end(ofStringAt: offset) else { return nil }
    offset = end
    return start..<end - 1
  }

  /// The bytes of the current value.
  package mutating func token() -> Range<Int>? {
    _ = peek()
    let start = offset
    return skip() ? start..<offset : nil
  }

  /// The integer, if it fits into 64 bits.
  package mutating func integer() -> Int64? {
    _ = peek()
    guard let end = JSONGrammar(bytes).end(ofNumberAt: offset),
      let value = integer(offset..<end)
    else { return nil }
    offset = end
    return value
  }

  private func integer(_ number: Range<Int>) -> Int64? {
    let isNegative = bytes[number.lowerBound] == 0x2D
    // Negative, because there is one more of those.
    var value: Int64 = 0
    for byte in self[number.lowerBound + (isNegative ? 1 : 0)..<number.upperBound] {
      guard (0x30...0x39).contains(byte) else { return nil }
      let (product, hasOverflowed) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflows) = product.subtractingReportingOverflow(Int64(byte & 15))
      if hasOverflowed || overflows { return nil }
      value = sum
    }
    return isNegative ? value : value == .min ? nil : -value
  }

  package mutating func number() -> Double? {
    _ = peek()
    guard let end = JSONGrammar(bytes).end(ofNumberAt: offset),
      let value = double(offset..<end)
    else { return nil }
    offset = end
    return value
  }

  private func double(_ number: Range<Int>) -> Double? {
    let isNegative = bytes[number.lowerBound] == 0x2D
    let first = number.lowerBound + (isNegative ? 1 : 0)
    // Without an exponent, and so short that its digits fit into 64 bits.
    var isPlain = number.upperBound - first <= 19
    var digits: UInt64 = 0
    var decimals = 0
    for index in first..<number.upperBound where isPlain {
      switch bytes[index] {
      case 0x30...0x39: digits = digits * 10 + UInt64(bytes[index] & 15)
      case UInt8(ascii: "."): decimals = number.upperBound - index - 1
      default: isPlain = false
      }
    }
    guard isPlain else {
      let value = Double(String(decoding: self[number], as: UTF8.self))
      return value.flatMap { $0.isFinite ? $0 : nil }
    }
    let value = Decimals.double(digits, decimals: decimals)
    // An integer has no negative zero.
    return isNegative && (digits != 0 || decimals > 0) ? -value : value
  }

  /// Iterates over the members of an object. The body is called before each value, and may read it.
  ///
  /// - Returns: whether it is an object; if not, the body may still have received some of it.
  @discardableResult
  package mutating func members(
    _ body: (_ name: Range<Int>, _ scanner: inout JSONScanner) -> Void
  ) -> Bool {
    let (start, outerDepth) = (offset, depth)
    defer { depth = outerDepth }
    if scanMembers(body) { return true }
    offset = start
    return false
  }

  private mutating func scanMembers(
    _ body: (_ name: Range<Int>, _ scanner: inout JSONScanner) -> Void
  ) -> Bool {
    guard take("{") else { return false }
    if take("}") { return true }
    depth += 1
    repeat {
      guard let name = string(), take(":") else { return false }
      _ = peek()
      let start = offset
      body(name, &self)
      guard offset != start || skip() else { return false }
    } while take(",")
    return take("}")
  }

  /// Iterates over the elements of an array, or of an object whose one member is a tagged tuple or
  /// set. The body is called before each, and may read it.
  ///
  /// - Returns: whether it is one of those; if not, the body may still have received some of it.
  @discardableResult
  package mutating func elements(_ body: (_ scanner: inout JSONScanner) -> Void) -> Bool {
    let (start, outerDepth) = (offset, depth)
    defer { depth = outerDepth }
    let isTagged = take("{")
    if !isTagged || takeTag(), scanElements(body), !isTagged || take("}") { return true }
    offset = start
    return false
  }

  private mutating func takeTag() -> Bool {
    depth += 1
    guard let name = string(), take(":") else { return false }
    return equals(name, "$tuple") || equals(name, "$set") || equals(name, "$frozenset")
  }

  private mutating func scanElements(_ body: (_ scanner: inout JSONScanner) -> Void) -> Bool {
    guard take("[") else { return false }
    if take("]") { return true }
    depth += 1
    repeat {
      _ = peek()
      let start = offset
      body(&self)
      guard offset != start || skip() else { return false }
    } while take(",")
    return take("]")
  }

  // MARK: - Skipping

  /// Advances past the current value; false if it is invalid.
  package mutating func skip() -> Bool {
    guard let end = JSONGrammar(bytes).end(ofValueAt: offset, depth: depth) else { return false }
    offset = end
    return true
  }
}

/// Where the values of a JSON text end. Positions are passed from call to call, so that they stay
/// in registers.
private struct JSONGrammar {
  private let bytes: UnsafeBufferPointer<UInt8>

  init(_ bytes: UnsafeBufferPointer<UInt8>) {
    self.bytes = bytes
  }

  /// The end of the value that begins here or after white space; `nil` if it is invalid.
  func end(ofValueAt offset: Int, depth: Int) -> Int? {
    guard depth < JSONReader.maximumDepth else { return nil }
    let start = token(offset)
    guard start < bytes.count else { return nil }
    switch bytes[start] {
    case 0x22: return end(ofStringAt: start)
    case UInt8(ascii: "{"):
      var offset = token(start + 1)
      if at(offset, "}") { return offset + 1 }
      while at(offset, "\""), let name = end(ofStringAt: offset) {
        offset = token(name)
        guard at(offset, ":"), let value = end(ofValueAt: offset + 1, depth: depth + 1)
        else { return nil }
        offset = token(value)
        if at(offset, "}") { return offset + 1 }
        guard at(offset, ",") else { return nil }
        offset = token(offset + 1)
      }
      return nil
    case UInt8(ascii: "["):
      var offset = token(start + 1)
      if at(offset, "]") { return offset + 1 }
      while let value = end(ofValueAt: offset, depth: depth + 1) {
        offset = token(value)
        if at(offset, "]") { return offset + 1 }
        guard at(offset, ",") else { return nil }
        offset += 1
      }
      return nil
    case UInt8(ascii: "t"): return end(of: "true", at: start)
    case UInt8(ascii: "f"): return end(of: "false", at: start)
    case UInt8(ascii: "n"): return end(of: "null", at: start)
    default: return end(ofNumberAt: start)
    }
  }

  /// The first byte here or later that is not white space.
  @inline(__always)
  private func token(_ offset: Int) -> Int {
    var offset = offset
    while offset < bytes.count, bytes[offset] <= 0x20 {
      guard [0x20, 0x0A, 0x0D, 0x09].contains(bytes[offset]) else { break }
      offset += 1
    }
    return offset
  }

  @inline(__always)
  private func at(_ offset: Int, _ byte: Unicode.Scalar) -> Bool {
    offset < bytes.count && bytes[offset] == UInt8(truncatingIfNeeded: byte.value)
  }

  private func end(of word: StaticString, at offset: Int) -> Int? {
    let end = offset + word.utf8CodeUnitCount
    guard end <= bytes.count, let base = bytes.baseAddress,
      memcmp(base + offset, word.utf8Start, end - offset) == 0
    else { return nil }
    return end
  }

  /// The end of a string whose first quote is here.
  func end(ofStringAt start: Int) -> Int? {
    var offset = start + 1
    while offset < bytes.count {
      let byte = bytes[offset]
      offset += 1
      if byte == 0x22 { return offset }
      if byte < 0x20 { return nil }
      guard byte == 0x5C else { continue }
      guard let end = end(ofEscapeAt: offset) else { return nil }
      offset = end
    }
    return nil
  }

  private func end(ofEscapeAt offset: Int) -> Int? {
    guard offset < bytes.count else { return nil }
    switch bytes[offset] {
    case 0x22, 0x5C, 0x2F, UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"),
      UInt8(ascii: "b"), UInt8(ascii: "f"):
      return offset + 1
    case UInt8(ascii: "u"):
      let end = offset + 5
      guard end <= bytes.count else { return nil }
      for digit in bytes[offset + 1..<end] {
        guard (0x30...0x39).contains(digit) || (0x41...0x46).contains(digit & 0xDF) else {
          return nil
        }
      }
      return end
    default: return nil
    }
  }

  func end(ofNumberAt start: Int) -> Int? {
    let first = at(start, "-") ? start + 1 : start
    var offset = end(ofDigitsAt: first)
    guard offset > first, offset == first + 1 || bytes[first] != 0x30 else { return nil }
    if at(offset, ".") {
      let decimals = offset + 1
      offset = end(ofDigitsAt: decimals)
      guard offset > decimals else { return nil }
    }
    if at(offset, "e") || at(offset, "E") {
      let sign = offset + 1
      let exponent = at(sign, "+") || at(sign, "-") ? sign + 1 : sign
      offset = end(ofDigitsAt: exponent)
      guard offset > exponent else { return nil }
    }
    return offset
  }

  @inline(__always)
  private func end(ofDigitsAt start: Int) -> Int {
    var offset = start
    while offset < bytes.count, (0x30...0x39).contains(bytes[offset]) { offset += 1 }
    return offset
  }
}
