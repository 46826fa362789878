/// Formats times as text.
package enum Timestamp {
  /// ISO 8601 in UTC with microseconds.
  package static func iso(_ nanoseconds: Int64) -> String {
    let days = floorDivide(nanoseconds, 86_400_000_000_000)
    let remainder = nanoseconds % 86_400_000_000_000
    let rest = remainder < 0 ? remainder + 86_400_000_000_000 : remainder
    let (year, month, day) = date(days)
    let seconds = rest / 1_000_000_000
    return "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T\(pad(seconds / 3600, 2)):"
      + "\(pad(seconds / 60 % 60, 2)):\(pad(seconds % 60, 2))."
      + "\(pad(rest / 1000 % 1_000_000, 6))Z"
  }

  private static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
    a % b < 0 ? a / b - 1 : a / b
  }

  private static func pad(_ number: Int64, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  /// The Gregorian date `days` days after 1970-01-01.
  private static func date(_ days: Int64) -> (Int64, Int64, Int64) {
    let shifted = days + 719_468
    let era = floorDivide(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
  }
}
