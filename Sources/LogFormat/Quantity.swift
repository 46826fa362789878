/// Sizes and durations as users write them and Dask reads them: a number and a unit.
package enum Quantity {
  private static let sizes: [String: Double] = [
    "": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 1024, "mib": 1_048_576,
    "gib": 1_073_741_824, "tib": 1_099_511_627_776,
  ]
  private static let times: [String: Double] = [
    "": 1, "ms": 1e-3, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800,
  ]

  /// Bytes of `500MB`, `2 GiB`, `1024`; `nil` if the text is not a size.
  package static func bytes(_ text: String) -> Int? {
    guard let value = value(text, sizes), value < 1e18 else { return nil }
    return Int(saturating: value)
  }

  /// Seconds of `500ms`, `1.5 h`, `7d`, and plain seconds; `nil` if the text is not a duration.
  package static func seconds(_ text: String) -> Double? { value(text, times) }

  private static func value(_ text: String, _ units: [String: Double]) -> Double? {
    let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = text.dropFirst(number.count).filter { $0 != " " }.lowercased()
    guard let count = Double(number), let factor = units[unit] else { return nil }
    return count * factor
  }

  /// A size to read: `1.5 GB`, `100 bytes`.
  package static func text(bytes: Int64) -> String {
    var (value, unit) = (Double(bytes), 0)
    let names = ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000, unit < names.count - 1 {
      value /= 1000
      unit += 1
    }
    return unit == 0 ? "\(bytes) bytes" : "\((value * 10).rounded() / 10) \(names[unit])"
  }
}
