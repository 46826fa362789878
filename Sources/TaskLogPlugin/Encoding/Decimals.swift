/// Converts decimal digits to a `Double`.
package enum Decimals {
  private static let powers: [UInt64] = {
    var powers: [UInt64] = [1]
    for _ in 1...19 { powers.append(powers[powers.count - 1] &* 10) }
    return powers
  }()

  /// The `Double` closest to `digits` / 10^`decimals`, the even one of two that are equally close.
  ///
  /// One division with remainder, of numbers that have been shifted left so far that the quotient
  /// has 63 or 64 bits. The remainder is merged into its last bit, which comes after all bits that
  /// a `Double` keeps and after the bit that decides the rounding, so that there is one correct
  /// rounding.
  ///
  /// - Parameter decimals: at most 19.
  package static func double(_ digits: UInt64, decimals: Int) -> Double {
    guard digits != 0, decimals < powers.count else { return 0 }
    let divisor = powers[decimals]
    let (digitsShift, divisorShift) = (digits.leadingZeroBitCount, divisor.leadingZeroBitCount)
    let (high, low) = (digits << UInt64(digitsShift), divisor << UInt64(divisorShift))
    // Half of the dividend is below the divisor, whose first bit is set.
    let (quotient, remainder) = low.dividingFullWidth((high >> 1, high << 63))
    let rounded = Double(remainder == 0 ? quotient : quotient | 1)
    return rounded * Double(sign: .plus, exponent: divisorShift - digitsShift - 63, significand: 1)
  }
}
