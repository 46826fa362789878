import EventLog
import LogFormat
import TaskLogPlugin

/// Errors of filter options. Every message names the option and the remedy.
package enum FilterError: Error, Sendable, CustomStringConvertible {
  case unknownState(String, option: String)
  case badTime(String, option: String)
  case badArg(String)
  case badPattern(String, option: String, reason: String)

  package var description: String {
    switch self {
    case .unknownState(let name, let option):
      "\(option) \(Self.word(name)): unknown state; expected one of "
        + State.known.map(\.name).joined(separator: ", ")
    case .badTime(let text, let option):
      "\(option) \(Self.word(text)): not a time; write 2026-01-31T12:00:00, 2026-01-31, "
        + "-10m (s, m, h, d), or seq:100"
    case .badArg(let text):
      "--arg \(Self.word(text)): not a comparison; write name=value, with =, !=, <, <=, >, >= or ~"
    case .badPattern(let text, let option, let reason):
      "\(option) \(Self.word(text)): invalid regular expression: \(reason)"
    }
  }

  private static func word(_ text: String) -> String { text.isEmpty ? "''" : text }
}

/// Parses the values of filter options.
package enum FilterParsing {
  /// The states that a text names. `error` and `erred` are treated as the same, because a failed
  /// task is `error` on its worker and `erred` on the scheduler.
  ///
  /// - Throws: `FilterError.unknownState`.
  package static func states(_ name: String, option: String) throws -> [String] {
    switch name {
    case "error", "erred": return ["error", "erred"]
    default:
      if case .other = State(name) { throw FilterError.unknownState(name, option: option) }
      return [name]
    }
  }

  /// The name of a hook in Swift's spelling, from Swift's or Python's.
  package static func hook(_ name: String) -> String {
    var parts = name.split(separator: "_")
    guard name.contains("_"), let first = parts.first else { return name }
    parts.removeFirst()
    return first + parts.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
  }

  /// Parses `name=value`, or another comparison.
  ///
  /// - Throws: `FilterError`.
  package static func arg(_ text: String) throws -> ArgCondition {
    let signs = ArgCondition.Comparison.allCases
    // The first sign; of several at the same position the longest, which are listed first.
    var rest = text[...]
    while !rest.isEmpty {
      if let sign = signs.first(where: { rest.hasPrefix($0.rawValue) }) {
        let name = String(text[..<rest.startIndex])
        guard !name.isEmpty else { break }
        let value = String(rest.dropFirst(sign.rawValue.count))
        if sign == .matches { _ = try pattern(value, option: "--arg") }
        return ArgCondition(name: name, comparison: sign, value: value)
      }
      rest = rest.dropFirst()
    }
    throw FilterError.badArg(text)
  }

  /// Validates a POSIX extended regular expression.
  ///
  /// - Throws: `FilterError.badPattern`.
  package static func pattern(_ text: String, option: String) throws -> String {
    do throws(RegularExpression.Malformed) {
      _ = try RegularExpression(text)
      return text
    } catch {
      throw FilterError.badPattern(text, option: option, reason: error.reason)
    }
  }

  /// The start or end of a range of events.
  package enum Bound: Sendable, Equatable {
    /// Nanoseconds since 1970 UTC.
    case time(Int64)
    /// A seq.
    case seq(Int64)
  }

  /// Parses a time as `time` does, or `seq:100`.
  ///
  /// - Throws: `FilterError.badTime`.
  package static func bound(
    _ text: String, option: String, now: Int64, isEnd: Bool = false
  ) throws -> Bound {
    guard text.hasPrefix("seq:") else {
      return .time(try time(text, option: option, now: now, isEnd: isEnd))
    }
    guard let seq = Int64(text.dropFirst(4)), seq >= 0 else {
      throw FilterError.badTime(text, option: option)
    }
    return .seq(seq)
  }

  /// Parses a point in time, in nanoseconds since 1970 UTC: a date, a date and a time (UTC), or a
  /// duration before now.
  ///
  /// - Parameter isEnd: whether to return the end of the interval given by the digits of a fraction
  ///   of a second, so that a time displayed with microseconds covers the whole microsecond.
  /// - Throws: `FilterError.badTime`.
  package static func time(
    _ text: String, option: String, now: Int64, isEnd: Bool = false
  ) throws -> Int64 {
    if let time = relative(text, now: now) ?? absolute(text, isEnd: isEnd) { return time }
    throw FilterError.badTime(text, option: option)
  }

  /// Parses `-10m`: seconds, minutes, hours or days before now.
  private static func relative(_ text: String, now: Int64) -> Int64? {
    guard text.hasPrefix("-"), let unit = text.last else { return nil }
    let seconds: Double? =
      switch unit {
      case "s": 1
      case "m": 60
      case "h": 3600
      case "d": 86400
      default: nil
      }
    guard let seconds, let count = Double(text.dropFirst().dropLast()), count >= 0, count < 1e6
    else { return nil }
    return now - Int64(saturating: count * seconds * 1e9)
  }

  /// Parses `2026-01-31`, `2026-01-31T12:00`, `2026-01-31 12:00:00.5Z`, `2026-01-31T12:00+01:00`.
  private static func absolute(_ text: String, isEnd: Bool) -> Int64? {
    var text = text[...]
    var offset: Int64?
    if text.last == "Z" {
      text.removeLast()
    } else if let found = UTCTime.offset(text.utf8.suffix(6)) {
      // As `datetime.isoformat` in Python and `date -Is` write it.
      offset = found
      text.removeLast(6)
    }
    let halves = text.split(omittingEmptySubsequences: false) { $0 == "T" || $0 == " " }
    let date = halves[0].split(separator: "-", omittingEmptySubsequences: false).map { Int64($0) }
    guard halves.count <= 2, date.count == 3, let year = date[0], let month = date[1],
      let day = date[2], (1970...2200).contains(year), (1...12).contains(month),
      (1...31).contains(day),
      UTCTime.daysSince1970(year, month, day)
        < UTCTime.daysSince1970(month == 12 ? year + 1 : year, month % 12 + 1, 1)
    else { return nil }
    var nanoseconds = UTCTime.daysSince1970(year, month, day) * 86_400_000_000_000
    guard halves.count == 2 else { return offset == nil ? nanoseconds : nil }
    let clock = halves[1].split(separator: ":", omittingEmptySubsequences: false)
    guard (2...3).contains(clock.count), let hour = Int64(clock[0]), let minute = Int64(clock[1]),
      (0...23).contains(hour), (0...59).contains(minute)
    else { return nil }
    nanoseconds += (hour * 3600 + minute * 60) * 1_000_000_000
    if clock.count == 3 {
      guard let rest = seconds(clock[2], isEnd: isEnd) else { return nil }
      nanoseconds += rest
    }
    return nanoseconds - (offset ?? 0) * 1_000_000_000
  }

  /// Parses `05`, `05.25` exactly, which floating point would not.
  private static func seconds(_ text: Substring, isEnd: Bool) -> Int64? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard let second = parts.first.flatMap({ Int64($0) }), (0..<61).contains(second) else {
      return nil
    }
    guard parts.count > 1 else { return second * 1_000_000_000 }
    let digits = parts[1]
    guard parts.count == 2, (1...9).contains(digits.utf8.count), let fraction = Int64(digits),
      digits.utf8.allSatisfy({ (0x30...0x39).contains($0) })
    else { return nil }
    let unit = (digits.utf8.count..<9).reduce(Int64(1)) { product, _ in product * 10 }
    return second * 1_000_000_000 + fraction * unit + (isEnd ? unit - 1 : 0)
  }
}
