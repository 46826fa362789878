import Glibc

/// Searches JSON in UTF-8 for selected values and skips the rest, without decoding it; stops at
/// invalid JSON.
package struct JSONScan {
  package let text: UnsafeBufferPointer<UInt8>
  package private(set) var place: Int

  /// - Parameter text: followed by a byte that is not part of a number, as SQLite's text is by a
  ///   NUL.
  package init(_ text: UnsafeBufferPointer<UInt8>, from place: Int = 0) {
    self.text = text
    self.place = place
  }

  /// Goes back to an earlier position.
  package mutating func rewind(to place: Int) { self.place = place }

  package func peek() -> UInt8? { place < text.count ? text[place] : nil }

  private mutating func skipSpaces() {
    while let byte = peek(), byte == 0x20 || (0x09...0x0D).contains(byte) { place += 1 }
  }

  /// Whether this character comes next; consumes it if so.
  package mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpaces()
    guard peek() == UInt8(character.value) else { return false }
    place += 1
    skipSpaces()
    return true
  }

  /// The content of a string, with its escapes unchanged.
  package mutating func string() -> Range<Int>? {
    guard peek() == UInt8(ascii: "\"") else { return nil }
    place += 1
    let start = place
    while let byte = peek(), byte != UInt8(ascii: "\"") {
      place += byte == UInt8(ascii: "\\") ? 2 : 1
    }
    guard place < text.count else {
      place = text.count
      return nil
    }
    place += 1
    return start..<place - 1
  }

  package func equals(_ range: Range<Int>, _ name: StaticString) -> Bool {
    guard range.count == name.utf8CodeUnitCount, let base = text.baseAddress else { return false }
    return memcmp(base + range.lowerBound, name.utf8Start, range.count) == 0
  }

  package func number() -> Double? {
    guard let byte = peek(), byte == UInt8(ascii: "-") || (0x30...0x39).contains(byte),
      let base = text.baseAddress
    else { return nil }
    return (base + place).withMemoryRebound(to: CChar.self, capacity: text.count - place) {
      strtod($0, nil)
    }
  }

  package func integer() -> Int64? {
    var value: Int64 = 0
    var index = place
    while index < text.count, (0x30...0x39).contains(text[index]) {
      let (product, hasOverflowed) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflows) = product.addingReportingOverflow(Int64(text[index] - 0x30))
      if hasOverflowed || overflows { return nil }
      value = sum
      index += 1
    }
    return index > place ? value : nil
  }

  /// Skips the current value, or the rest of it.
  package mutating func skip() {
    var depth = 0
    while let byte = peek() {
      switch byte {
      case UInt8(ascii: "\""):
        _ = string()
        continue
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        if depth == 0 { return }
        depth -= 1
      case UInt8(ascii: ",") where depth == 0: return
      default: break
      }
      place += 1
    }
  }

  /// The range of the current value; advances past it.
  package mutating func value() -> Range<Int> {
    skipSpaces()
    let start = place
    skip()
    var end = place
    while end > start, text[end - 1] == 0x20 || (0x09...0x0D).contains(text[end - 1]) { end -= 1 }
    return start..<end
  }

  /// Iterates over the members of an object; the body receives each name and may read the value.
  ///
  /// - Returns: whether it is an object.
  @discardableResult
  package mutating func members(_ body: (Range<Int>, inout JSONScan) -> Void) -> Bool {
    guard take("{") else { return false }
    repeat {
      guard let name = string(), take(":") else { break }
      body(name, &self)
      skip()
    } while take(",")
    _ = take("}")
    return true
  }

  /// Iterates over the elements of a list; the body receives each and must advance past it.
  package mutating func elements(_ body: (inout JSONScan) -> Void) {
    guard take("["), peek() != UInt8(ascii: "]") else { return }
    repeat {
      body(&self)
    } while take(",")
    _ = take("]")
  }
}
