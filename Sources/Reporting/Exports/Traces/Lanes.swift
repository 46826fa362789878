/// Assigns slices that may overlap to lanes: each to the first lane without an overlap.
///
/// Slices arrive in the order in which the scheduler received their ends, which is nearly, but not
/// quite, the order of their times. So each lane remembers its last few thousand slices, and
/// rejects slices that start before those.
struct Lanes<Track> {
  private var lanes: [Lane] = []

  private struct Lane {
    static var limit: Int { 4096 }
    var track: Track
    /// The slices before this time are forgotten.
    var floor = Int64.min
    /// Disjoint, in ascending order.
    var starts: [Int64] = []
    var stops: [Int64] = []

    init(_ track: Track) { self.track = track }

    /// Adds a slice; returns `false` if it overlaps with another.
    mutating func add(_ start: Int64, _ stop: Int64) -> Bool {
      guard start >= floor else { return false }
      var index = starts.count
      while index > 0, starts[index - 1] > start { index -= 1 }
      if index > 0, stops[index - 1] > start { return false }
      // A slice that is written later must end before an earlier written one starts: in a trace,
      // events of the same time stay in the order in which they were written.
      if index < starts.count, starts[index] <= stop { return false }
      starts.insert(start, at: index)
      stops.insert(stop, at: index)
      if starts.count > Self.limit {
        floor = stops[Self.limit / 2 - 1]
        starts.removeFirst(Self.limit / 2)
        stops.removeFirst(Self.limit / 2)
      }
      return true
    }
  }

  /// Returns the track for a slice. A slice without an end extends to the end of the track.
  ///
  /// - Parameter makeTrack: creates a track; receives the number of existing ones.
  mutating func track(
    from start: Int64, to stop: Int64?, makeTrack: (Int) -> Track
  ) -> Track {
    for index in lanes.indices where lanes[index].add(start, stop ?? .max) {
      return lanes[index].track
    }
    var lane = Lane(makeTrack(lanes.count))
    _ = lane.add(start, stop ?? .max)
    lanes.append(lane)
    return lane.track
  }
}
