import TaskLogPlugin

/// Where two results first differ.
///
/// What was not kept, because it was redacted or too large, cannot be compared and differs from
/// nothing.
struct FirstDivergence {
  /// The way to it: `durations.inc`, `keys.3`; empty for all of it.
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
        if let parting = FirstDivergence(mine.value, other.value, at: path + [name]) {
          self = parting
          return
        }
      }
      return nil
    case (.list(let ours), .list(let theirs)) where ours.count == theirs.count,
      (.tuple(let ours), .tuple(let theirs)) where ours.count == theirs.count:
      for (place, (mine, other)) in zip(ours, theirs).enumerated() {
        if let parting = FirstDivergence(mine, other, at: path + [String(place)]) {
          self = parting
          return
        }
      }
      return nil
    default:
      // By text, so that NaN is itself and 1 is not 1.0.
      if JSONWriter.text(live) == JSONWriter.text(replayed) { return nil }
      place = path.joined(separator: ".")
      (self.live, self.replayed) = (live, replayed)
    }
  }
}
