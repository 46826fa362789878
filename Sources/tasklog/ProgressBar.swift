import Glibc

/// A progress bar on the standard error, shown only on a terminal and only for long work.
struct ProgressBar {
  /// Seconds between two updates.
  private static let updateInterval = 0.1
  private static let width = 30

  private let total: Int64?
  private let noun: String
  private let started = ContinuousClock.now
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var shownAt: Double?

  /// - Parameters:
  ///   - total: `nil` if it is unknown.
  ///   - noun: what is counted, in the plural.
  init(total: Int64?, noun: String) {
    self.total = total
    self.noun = noun
  }

  mutating func show(_ count: Int64) {
    guard isTerminal else { return }
    let seconds = (ContinuousClock.now - started) / .seconds(1)
    guard seconds > 0.5, seconds - (shownAt ?? 0) >= Self.updateInterval else { return }
    shownAt = seconds
    write("\r" + Self.text(count, of: total, noun, seconds) + "\u{1B}[K")
  }

  func finish() {
    if shownAt != nil { write("\r\u{1B}[K") }
  }

  static func text(_ count: Int64, of total: Int64?, _ noun: String, _ seconds: Double) -> String {
    let rate = seconds > 0 ? Double(count) / seconds : 0
    guard let total else { return "\(count) \(noun)  \(Int(saturating: rate)) \(noun)/s" }
    let share = total > 0 ? min(1, Double(count) / Double(total)) : 0
    let filled = Int(saturating: share * Double(width))
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
    let remaining = rate > 0 ? Double(max(0, total - count)) / rate : 0
    return
      "[\(bar)] \(Int(saturating: share * 100)) %  \(Int(saturating: rate)) \(noun)/s  \(duration(remaining)) left"
  }

  /// `45 s`, `3 min 20 s`, `2 h 5 min`.
  private static func duration(_ seconds: Double) -> String {
    let seconds = Int(saturating: min(seconds, 1e9))
    switch seconds {
    case ..<60: return "\(seconds) s"
    case ..<3600: return "\(seconds / 60) min \(seconds % 60) s"
    default: return "\(seconds / 3600) h \(seconds / 60 % 60) min"
    }
  }

  private func write(_ text: String) {
    _ = Array(text.utf8).withUnsafeBytes {
      Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count)
    }
  }
}
