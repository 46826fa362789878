/// A counter on its own track.
///
/// If changes are too close to be distinguished in a view of the whole run, only the last one is
/// written.
struct TraceCounter {
  private let track: TraceTrack
  /// The minimum time between two points, in nanoseconds.
  private let resolution: Int64
  private(set) var value: Int64 = 0
  private var pending: (time: Int64, value: Int64)?
  private var start = Int64.min

  init(_ track: TraceTrack, resolution: Int64) {
    self.track = track
    self.resolution = resolution
  }

  mutating func add(_ difference: Int64, at time: Int64, _ writer: inout some TraceWriter) {
    value += difference
    if let pending, time - start >= resolution || resolution == 0 {
      writer.count(pending.value, at: pending.time, on: track)
      start = time
    } else if pending == nil {
      start = time
    }
    pending = (time, value)
  }

  mutating func finish(_ writer: inout some TraceWriter) {
    if let pending { writer.count(pending.value, at: pending.time, on: track) }
    pending = nil
  }
}
