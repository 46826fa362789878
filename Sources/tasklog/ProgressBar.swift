import Glibc

/// A progress bar on the standard error, only where that is a terminal and only for long work.
struct ProgressBar {
  private let total: Int64
  private let noun: String
  private let started = ContinuousClock.now
  private var isShown = false

  /// - Parameter noun: what is counted, in the plural.
  init(total: Int64, noun: String) {
    self.total = total
    self.noun = noun
  }

  mutating func show(_ count: Int64) {
    let seconds = (ContinuousClock.now - started) / .seconds(1)
    guard seconds > 0.5, isatty(STDERR_FILENO) == 1 else { return }
    isShown = true
    let share = total > 0 ? min(1, Double(count) / Double(total)) : 0
    let width = 30
    let filled = Int(share * Double(width))
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
    let rate = Double(count) / seconds
    let left = rate > 0 ? Int(Double(total - count) / rate) : 0
    write("\r[\(bar)] \(Int(share * 100)) %  \(Int(rate)) \(noun)/s  \(max(0, left)) s left ")
  }

  func finish() {
    if isShown { write("\r\u{1B}[K") }
  }

  private func write(_ text: String) {
    _ = Array(text.utf8).withUnsafeBytes {
      Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count)
    }
  }
}
