/// Computes when an event is due in a replay at recorded times.
///
/// Events of several sources are in causal order, which is not the order of their clocks: an event
/// earlier than its predecessors is due at once.
struct Pacer {
  private let speed: Double
  private var first: Int64?

  init(speed: Double) {
    self.speed = speed
  }

  /// The nanoseconds after the first event at which this event is due.
  mutating func due(_ time: Int64) -> Int64 {
    guard let first else {
      self.first = time
      return 0
    }
    // Times from a log may be absurd.
    let (after, hasOverflown) = time.subtractingReportingOverflow(first)
    guard !hasOverflown, after > 0 else { return 0 }
    return Int64(saturating: min(Double(after) / speed, 1e18))
  }
}
