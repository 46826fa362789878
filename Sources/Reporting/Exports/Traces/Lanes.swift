/// Lanes for slices that may overlap: each goes to the first lane where it overlaps with nothing.
///
/// Slices come in the order of their ends as the scheduler learned of them, which is nearly, but not
/// quite, that of their times; so each lane remembers the last few thousand of its slices, and takes
/// nothing that begins before those.
struct Lanes<Track> {
  private var lanes: [Lane] = []

  private struct Lane {
    static var most: Int { 4096 }
    var track: Track
    /// What is known no more lies before this.
    var floor = Int64.min
    /// Disjoint, in ascending order.
    var starts: [Int64] = []
    var stops: [Int64] = []

    init(_ track: Track) { self.track = track }

    /// Takes a slice, or tells that it has no room for it.
    mutating func take(_ start: Int64, _ stop: Int64) -> Bool {
      guard start >= floor else { return false }
      var place = starts.count
      while place > 0, starts[place - 1] > start { place -= 1 }
      if place > 0, stops[place - 1] > start { return false }
      // What is written later must end before what was written begins: in a trace, events of one
      // time stay in the order in which they were written.
      if place < starts.count, starts[place] <= stop { return false }
      starts.insert(start, at: place)
      stops.insert(stop, at: place)
      if starts.count > Self.most {
        floor = stops[Self.most / 2 - 1]
        starts.removeFirst(Self.most / 2)
        stops.removeFirst(Self.most / 2)
      }
      return true
    }
  }

  /// The track for a slice. Without an end it reaches as far as the track does.
  ///
  /// - Parameter makeTrack: makes another one; gets how many there are.
  mutating func track(
    from start: Int64, to stop: Int64?, makeTrack: (Int) -> Track
  ) -> Track {
    for place in lanes.indices where lanes[place].take(start, stop ?? .max) {
      return lanes[place].track
    }
    var lane = Lane(makeTrack(lanes.count))
    _ = lane.take(start, stop ?? .max)
    lanes.append(lane)
    return lane.track
  }
}
