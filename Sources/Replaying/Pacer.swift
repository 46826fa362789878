/// Says when an event is due in a replay that goes by the recorded times.
///
/// Events of several sources come in causal order, which is not that of their clocks: one that is
/// earlier than what was there before is due at once.
struct Pacer {
  private let speed: Double
  private var first: Int64?

  init(speed: Double) {
    self.speed = speed
  }

  /// The nanoseconds from the first event on after which this one is due.
  mutating func due(_ time: Int64) -> Int64 {
    guard let first else {
      self.first = time
      return 0
    }
    // Times come out of a log and may be absurd.
    let (after, hasOverflown) = time.subtractingReportingOverflow(first)
    guard !hasOverflown, after > 0 else { return 0 }
    return Int64(min(Double(after) / speed, 1e18))
  }
}
