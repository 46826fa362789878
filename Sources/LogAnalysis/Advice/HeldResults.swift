/// A result that stayed in memory after its last use.
struct HeldResult: Sendable, Equatable {
  /// The row ID of the key.
  var key: Int64
  /// When the last task that used it ended, and when it was released; `Int64.max` if it never was.
  var start: Int64
  var stop: Int64
  var bytes: Int64
  var prefix: String?
}

/// What results took of memory after their last use, while other tasks were unfinished: pure.
struct HeldResults: Sendable, Equatable {
  var count: Int64 = 0
  /// The maximum of bytes at a time, and their mean over the time while tasks were unfinished.
  var most: Int64 = 0
  var mean: Int64 = 0
  /// The longest time, in nanoseconds.
  var longest: Int64 = 0
  /// The prefix of most of it.
  var prefix: String?

  init() {}

  /// - Parameter unfinished: when tasks were unfinished, in order and without overlaps.
  init(_ results: [HeldResult], while unfinished: [ThreadTimeInput.Interval]) {
    let time = unfinished.reduce(Int64(0)) { $0 + $1.stop - $1.start }
    var changes: [(time: Int64, bytes: Int64)] = []
    var prefixes: [String: Double] = [:]
    var product = 0.0
    for result in results {
      let whole = ThreadTimeInput.Interval(result.start, result.stop)
      let parts = unfinished.compactMap { whole.part(of: $0) }
      let held = parts.reduce(Int64(0)) { $0 + $1.stop - $1.start }
      guard held > 0 else { continue }
      count += 1
      longest = max(longest, held)
      product += Double(result.bytes) * Double(held)
      prefixes[result.prefix ?? "", default: 0] += Double(result.bytes) * Double(held)
      for part in parts { changes += [(part.start, result.bytes), (part.stop, -result.bytes)] }
    }
    guard time > 0, count > 0 else { return }
    mean = Int64(exactly: (product / Double(time)).rounded()) ?? 0
    prefix = prefixes.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
    var bytes: Int64 = 0
    for change in changes.sorted(by: { $0 < $1 }) {
      bytes += change.bytes
      most = max(most, bytes)
    }
  }
}
