/// Reads times as RFC 3339 writes them: https://www.rfc-editor.org/rfc/rfc3339
package enum UTCTime {
  /// Nanoseconds since 1970 UTC; `nil` if the text is no time, or is out of range.
  package static func nanoseconds(_ text: String) -> Int64? {
    let bytes = Array(text.utf8)
    func number(_ range: Range<Int>) -> Int64? {
      guard range.upperBound <= bytes.count else { return nil }
      var number: Int64 = 0
      for byte in bytes[range] {
        guard byte >= 0x30, byte <= 0x39 else { return nil }
        number = number * 10 + Int64(byte - 0x30)
      }
      return number
    }
    func has(_ characters: String, at index: Int) -> Bool {
      index < bytes.count && characters.utf8.contains(bytes[index])
    }
    guard let year = number(0..<4), has("-", at: 4), let month = number(5..<7), has("-", at: 7),
      let day = number(8..<10), has("Tt ", at: 10), let hour = number(11..<13), has(":", at: 13),
      let minute = number(14..<16), has(":", at: 16), let second = number(17..<19),
      (1970..<2262).contains(year), (1...12).contains(month), (1...31).contains(day), hour < 24,
      minute < 60, second <= 60
    else { return nil }
    var index = 19
    var nanoseconds: Int64 = 0
    if has(".,", at: index) {
      index += 1
      var unit: Int64 = 100_000_000
      let first = index
      while let digit = number(index..<index + 1) {
        nanoseconds += digit * unit
        unit /= 10
        index += 1
      }
      guard index > first else { return nil }
    }
    var offset: Int64 = 0
    if has("+-", at: index) {
      guard index + 6 <= bytes.count, let found = Self.offset(bytes[index..<index + 6]) else {
        return nil
      }
      offset = found
      index += 6
    } else {
      guard has("Zz", at: index) else { return nil }
      index += 1
    }
    guard index == bytes.count else { return nil }
    let seconds =
      (daysSince1970(year, month, day) * 24 + hour) * 3600 + minute * 60 + second - offset
    return seconds * 1_000_000_000 + nanoseconds
  }

  /// The seconds of an offset from UTC such as `+01:30`; `nil` if the text is none.
  package static func offset(_ text: some Collection<UInt8>) -> Int64? {
    let bytes = Array(text)
    guard bytes.count == 6, "+-".utf8.contains(bytes[0]), bytes[3] == UInt8(ascii: ":") else {
      return nil
    }
    let digits = [1, 2, 4, 5].map { Int64(bytes[$0]) - 0x30 }
    guard digits.allSatisfy({ (0...9).contains($0) }) else { return nil }
    let (hours, minutes) = (digits[0] * 10 + digits[1], digits[2] * 10 + digits[3])
    guard hours < 24, minutes < 60 else { return nil }
    return (hours * 60 + minutes) * (bytes[0] == UInt8(ascii: "-") ? -60 : 60)
  }

  /// Days since 1970-01-01 in the Gregorian calendar:
  /// https://howardhinnant.github.io/date_algorithms.html#days_from_civil
  package static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = shifted / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}
