import TaskLogPlugin

/// Where two results first differ.
///
/// Redacted and truncated values cannot be compared and count as equal.
struct FirstDivergence {
  /// The path to it: `durations.inc`, `keys.3`; empty for the root.
  var place: String
  var live: Value
  var replayed: Value

  init?(live: Value, replayed: Value) {
    self.init(live, replayed, at: [])
  }

  private init?(_ live: Value, _ replayed: Value, at path: [String]) {
    switch (live, replayed) {
    case (.tagged("$opaque", _), _): return nil
    case (.dict(let ours), .dict(let theirs)) where ours.map(\.key) == theirs.map(\.key):
      for (mine, other) in zip(ours, theirs) {
        let name = mine.key.string ?? JSONWriter.text(mine.key)
        if let divergence = FirstDivergence(mine.value, other.value, at: path + [name]) {
          self = divergence
          return
        }
      }
      return nil
    case (.list(let ours), .list(let theirs)) where ours.count == theirs.count,
      (.tuple(let ours), .tuple(let theirs)) where ours.count == theirs.count:
      for (index, (mine, other)) in zip(ours, theirs).enumerated() {
        if let divergence = FirstDivergence(mine, other, at: path + [String(index)]) {
          self = divergence
          return
        }
      }
      return nil
    default:
      // Compared as text, so that NaN equals itself and 1 differs from 1.0.
      if JSONWriter.text(live) == JSONWriter.text(replayed) { return nil }
      place = path.joined(separator: ".")
      (self.live, self.replayed) = (live, replayed)
    }
  }
}
