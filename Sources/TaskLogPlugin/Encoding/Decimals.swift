/// Makes a `Double` of decimal digits.
enum Decimals {
  private static let powers: [UInt64] = {
    var powers: [UInt64] = [1]
    for _ in 1...19 { powers.append(powers[powers.count - 1] &* 10) }
    return powers
  }()

  /// The `Double` that is closest to `digits` / 10^`decimals`, the even one of two that are as close.
  ///
  /// One division with remainder, of numbers that have been shifted so far to the left that the
  /// quotient has 63 or 64 bits. The remainder goes into its last bit, which lies behind all that a
  /// `Double` keeps and behind the bit that it is rounded by, so that it is rounded once and right.
  ///
  /// - Parameter decimals: at most 19.
  static func double(_ digits: UInt64, decimals: Int) -> Double {
    guard digits != 0, decimals < powers.count else { return 0 }
    let divisor = powers[decimals]
    let (left, right) = (digits.leadingZeroBitCount, divisor.leadingZeroBitCount)
    let (high, low) = (digits << UInt64(left), divisor << UInt64(right))
    // Half of the dividend is below the divisor, whose first bit is set.
    let (quotient, remainder) = low.dividingFullWidth((high >> 1, high << 63))
    let rounded = Double(remainder == 0 ? quotient : quotient | 1)
    return rounded * Double(sign: .plus, exponent: right - left - 63, significand: 1)
  }
}
