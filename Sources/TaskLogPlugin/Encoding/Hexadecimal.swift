/// Digits for base 16, in lower case.
extension FixedWidthInteger where Self: UnsignedInteger {
  /// The number in hexadecimal, with all leading zeros.
  package var hexadecimal: String { hexadecimal(digits: Self.bitWidth / 4) }

  /// The number in hexadecimal, with leading zeros up to a number of digits.
  package func hexadecimal(digits: Int) -> String {
    let text = String(self, radix: 16)
    return String(repeating: "0", count: Swift.max(0, digits - text.utf8.count)) + text
  }

  /// Appends the number in hexadecimal, with all leading zeros.
  package func appendHexadecimal(to output: inout [UInt8]) {
    for shift in stride(from: Self.bitWidth - 4, through: 0, by: -4) {
      let digit = UInt8(truncatingIfNeeded: self >> Self(shift)) & 15
      output.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
    }
  }
}
