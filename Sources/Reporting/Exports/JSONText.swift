import Querying

/// Appends JSON in pieces.
extension [UInt8] {
  mutating func raw(_ text: StaticString) {
    text.withUTF8Buffer { append(contentsOf: $0) }
  }

  mutating func json(_ number: Int64) {
    var magnitude = number.magnitude
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
      var start = 20
      repeat {
        start -= 1
        digits[start] = 0x30 + UInt8(truncatingIfNeeded: magnitude % 10)
        magnitude /= 10
      } while magnitude > 0
      if number < 0 { append(0x2D) }
      append(contentsOf: UnsafeBufferPointer(rebasing: digits[start...]))
    }
  }

  /// A string. Characters that could control a terminal, or change the direction of text, are
  /// escaped.
  mutating func json(_ text: String) {
    var text = text
    let isPlain = text.withUTF8 { bytes -> Bool in
      guard bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }) else {
        return false
      }
      append(0x22)
      append(contentsOf: bytes)
      append(0x22)
      return true
    }
    if !isPlain { append(contentsOf: TerminalJSON.string(text)) }
  }
}
