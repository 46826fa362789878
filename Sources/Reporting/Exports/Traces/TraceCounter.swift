/// A number that changes, on a track of its own.
///
/// Of changes that follow on each other too quickly to be told apart in a picture of the whole run,
/// only the last is written.
struct TraceCounter {
  private let track: TraceTrack
  /// Nanoseconds.
  private let resolution: Int64
  private(set) var value: Int64 = 0
  private var pending: (time: Int64, value: Int64)?
  private var from = Int64.min

  init(_ track: TraceTrack, resolution: Int64) {
    self.track = track
    self.resolution = resolution
  }

  mutating func add(_ difference: Int64, at time: Int64, _ writer: inout some TraceWriter) {
    value += difference
    if let pending, time &- from >= resolution || resolution == 0 {
      writer.count(pending.value, at: pending.time, on: track)
      from = time
    } else if pending == nil {
      from = time
    }
    pending = (time, value)
  }

  mutating func finish(_ writer: inout some TraceWriter) {
    if let pending { writer.count(pending.value, at: pending.time, on: track) }
    pending = nil
  }
}
