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
    append(0x22)
    let isPlain = text.withUTF8 { bytes -> Bool in
      guard bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }) else {
        return false
      }
      append(contentsOf: bytes)
      return true
    }
    if !isPlain {
      for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": raw("\\\"")
        case "\\": raw("\\\\")
        case "\n": raw("\\n")
        case "\r": raw("\\r")
        case "\t": raw("\\t")
        case _ where scalar.value < 0x20: escape(scalar)
        default: json(unquoted: scalar)
        }
      }
    }
    append(0x22)
  }

  /// A character of existing JSON: line breaks between tokens become spaces, and characters of
  /// strings that could control a terminal are escaped.
  mutating func json(unquoted scalar: Unicode.Scalar) {
    if scalar.isASCII {
      switch scalar.value {
      case 0x7F: escape(scalar)
      case 0..<0x20: append(0x20)
      default: append(UInt8(truncatingIfNeeded: scalar.value))
      }
      return
    }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: escape(scalar)
    default: append(contentsOf: UTF8.encode(scalar).map { Swift.Array($0) } ?? [])
    }
  }

  private mutating func escape(_ scalar: Unicode.Scalar) {
    for unit in UTF16.encode(scalar).map({ Swift.Array($0) }) ?? [] {
      raw("\\u")
      for shift: UInt16 in [12, 8, 4, 0] {
        let digit = UInt8(truncatingIfNeeded: unit >> shift) & 15
        append(digit < 10 ? 0x30 + digit : 0x57 + digit)
      }
    }
  }
}
