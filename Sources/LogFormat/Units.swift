/// Durations, sizes, shares and counts as a person reads them.
package enum Units {
  /// A duration in the largest unit that fits: `768 µs`, `1.2 ms`, `12 s`, `3 min 20 s`.
  package static func duration(seconds: Double) -> String {
    guard seconds.isFinite else { return "\(seconds)" }
    let magnitude = seconds.magnitude
    let sign = seconds < 0 ? "-" : ""
    // What is less than half a nanosecond is an error of rounding.
    guard magnitude >= 0.5e-9 else { return "0 s" }
    for (unit, size) in [("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3)] {
      if magnitude / size < 999.5 { return "\(sign)\(twoDigits(magnitude / size)) \(unit)" }
    }
    if magnitude < 59.5 { return "\(sign)\(twoDigits(magnitude)) s" }
    return sign + long(magnitude.rounded())
  }

  /// A duration of at least a minute, in its two largest units.
  private static func long(_ seconds: Double) -> String {
    guard seconds < 1e15 else { return "\(seconds) s" }
    let seconds = Int64(saturating: seconds)
    func two(_ large: Int64, _ one: String, _ small: Int64, _ other: String) -> String {
      small == 0 ? "\(large) \(one)" : "\(large) \(one) \(small) \(other)"
    }
    switch seconds {
    case ..<3600: return two(seconds / 60, "min", seconds % 60, "s")
    case ..<86_400: return two(seconds / 3600, "h", seconds / 60 % 60, "min")
    default: return two(seconds / 86_400, "d", seconds / 3600 % 24, "h")
    }
  }

  /// A time of threads: in hours, too, if it is days.
  package static func duration(hours: Double) -> String {
    hours < 24 ? duration(seconds: hours * 3600) : "\(Int64(saturating: hours.rounded())) h"
  }

  package static func duration(nanoseconds: Int64) -> String {
    duration(seconds: Double(nanoseconds) / 1e9)
  }

  /// A size in powers of 1024: `28 B`, `3.9 MiB`.
  package static func bytes(_ count: Double) -> String {
    guard count.isFinite else { return "\(count)" }
    let sign = count < 0 ? "-" : ""
    var rest = count.magnitude
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
      let text = unit == "B" ? whole(rest) : twoDigits(rest)
      if rest < 1023.5 { return "\(sign)\(text) \(unit)" }
      rest /= 1024
    }
    return "\(sign)\(twoDigits(rest)) PiB"
  }

  /// A share as percent: `74 %`, `3.4 %`; one that is not 0 is never shown as 0.
  package static func percent(_ share: Double) -> String {
    guard share.isFinite else { return "\(share)" }
    let percent = share * 100
    if percent == 0 { return "0 %" }
    if percent.magnitude < 0.05 { return percent < 0 ? "> -0.1 %" : "< 0.1 %" }
    // What is not quite all is not shown as all.
    if share < 1, percent >= 99.5 { return "> 99 %" }
    return "\(percent < 0 ? "-" : "")\(twoDigits(percent.magnitude)) %"
  }

  /// A number with its digits in groups: `1,234,567`.
  package static func count(_ number: Int64) -> String {
    var text = ""
    for (index, digit) in String(number.magnitude).reversed().enumerated() {
      if index > 0, index % 3 == 0 { text.append(",") }
      text.append(digit)
    }
    return (number < 0 ? "-" : "") + String(text.reversed())
  }

  /// A count with its noun: `1,234 events`.
  package static func count(_ number: Int64, _ noun: String) -> String {
    "\(count(number)) \(noun)\(number == 1 ? "" : "s")"
  }

  /// A number with two digits if it is less than 10, and else without a fraction.
  package static func twoDigits(_ number: Double) -> String {
    let tenths = (number * 10).rounded()
    guard tenths < 100 else { return whole(number) }
    return "\(Int64(saturating: tenths) / 10).\(Int64(saturating: tenths) % 10)"
  }

  private static func whole(_ number: Double) -> String {
    let rounded = number.rounded()
    return rounded < 1e18 ? "\(Int64(saturating: rounded))" : "\(rounded)"
  }
}
