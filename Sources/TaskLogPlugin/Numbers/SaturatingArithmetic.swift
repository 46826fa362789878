/// Arithmetic on numbers from a file.
///
/// A log may contain any 64-bit number as a time, a count, a size or a seq, and a log from a
/// stranger does. Arithmetic on `Int64`, the type of those numbers, therefore stops at the smallest
/// and the largest number: it neither traps nor wraps around to a wrong sum. These operators replace
/// the standard library's wherever this module is visible, so that no call site has to remember
/// them; each module that handles logs has an `Exports.swift` that makes them visible in all of its
/// files. Plugins do not see them.
///
/// `&+` and `&-` are for sums from which the same numbers are subtracted later. Generic code gets the
/// operators of the standard library, and so does a closure that only assigns to `$0`, which a test
/// finds: name its parameters there.
extension Int64 {
  @_transparent @usableFromInline package static func + (left: Int64, right: Int64) -> Int64 {
    let (sum, isOverflow) = left.addingReportingOverflow(right)
    return isOverflow ? (right < 0 ? .min : .max) : sum
  }

  @_transparent @usableFromInline package static func - (left: Int64, right: Int64) -> Int64 {
    let (difference, isOverflow) = left.subtractingReportingOverflow(right)
    return isOverflow ? (right < 0 ? .max : .min) : difference
  }

  @_transparent @usableFromInline package static func * (left: Int64, right: Int64) -> Int64 {
    let (product, isOverflow) = left.multipliedReportingOverflow(by: right)
    return isOverflow ? ((left < 0) == (right < 0) ? .max : .min) : product
  }

  /// A division by zero gives the number of the dividend's sign that is farthest from zero, or 0 for 0.
  @_transparent @usableFromInline package static func / (left: Int64, right: Int64) -> Int64 {
    if right == 0 { return left == 0 ? 0 : left < 0 ? .min : .max }
    let (quotient, isOverflow) = left.dividedReportingOverflow(by: right)
    return isOverflow ? .max : quotient
  }

  @_transparent @usableFromInline package static func % (left: Int64, right: Int64) -> Int64 {
    right == 0 || right == -1 ? 0 : left.remainderReportingOverflow(dividingBy: right).partialValue
  }

  @_transparent @usableFromInline package static prefix func - (number: Int64) -> Int64 {
    0 - number
  }

  @_transparent @usableFromInline package static func += (left: inout Int64, right: Int64) {
    left = left + right
  }
  @_transparent @usableFromInline package static func -= (left: inout Int64, right: Int64) {
    left = left - right
  }
  @_transparent @usableFromInline package static func *= (left: inout Int64, right: Int64) {
    left = left * right
  }
  @_transparent @usableFromInline package static func /= (left: inout Int64, right: Int64) {
    left = left / right
  }
  @_transparent @usableFromInline package static func %= (left: inout Int64, right: Int64) {
    left = left % right
  }

  /// Empty if the bounds are the wrong way round.
  @_transparent @usableFromInline
  package static func ..< (lower: Int64, upper: Int64) -> Range<Int64> {
    Range(uncheckedBounds: (lower, upper < lower ? lower : upper))
  }

  /// The lower bound alone if the bounds are the wrong way round: such a range cannot be empty.
  @_transparent @usableFromInline
  package static func ... (lower: Int64, upper: Int64) -> ClosedRange<Int64> {
    ClosedRange(uncheckedBounds: (lower, upper < lower ? lower : upper))
  }

  /// The integer closest to a float, towards zero; 0 for what is not a number.
  package init(saturating number: Double) {
    self =
      Int64(exactly: number.rounded(.towardZero)) ?? (number.isNaN ? 0 : number < 0 ? .min : .max)
  }
}

extension Int {
  /// Empty if the bounds are the wrong way round.
  @_transparent @usableFromInline package static func ..< (lower: Int, upper: Int) -> Range<Int> {
    Range(uncheckedBounds: (lower, upper < lower ? lower : upper))
  }

  @_transparent @usableFromInline
  package static func ... (lower: Int, upper: Int) -> ClosedRange<Int> {
    ClosedRange(uncheckedBounds: (lower, upper < lower ? lower : upper))
  }
}

/// The distance from zero; the largest number for the smallest.
@_transparent @usableFromInline package func abs(_ number: Int64) -> Int64 {
  number < 0 ? 0 - number : number
}

/// Conversions that end the process for a number that is too large, infinite or not one.
extension Int64 {
  @available(*, unavailable, message: "traps for many numbers: use init(saturating:)")
  package init(_ number: Double) { self.init(saturating: number) }
}

extension Int {
  @available(*, unavailable, message: "traps for many numbers: use init(saturating:)")
  package init(_ number: Double) { self.init(saturating: number) }

  package init(saturating number: Double) { self = Int(Int64(saturating: number) as Int64) }
}

extension UInt64 {
  @available(*, unavailable, message: "traps for many numbers: use Int64(saturating:)")
  package init(_ number: Double) { self.init(Int64(saturating: Swift.max(0, number))) }
}
