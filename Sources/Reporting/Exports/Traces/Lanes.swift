/// Assigns slices that may overlap to lanes: each to the first lane without an overlap.
///
/// Slices arrive in the order in which the scheduler received their ends, which is nearly, but not
/// quite, the order of their times. So each lane remembers its last few thousand slices, and
/// rejects slices that start before those.
///
/// A damaged log may have a million slices at one time. Of so many lanes only the first ones are tried one by
/// one; of the others the one that ends first gets a slice that begins later.
struct Lanes<Track> {
  private static var triedOneByOne: Int { 256 }
  private var lanes: [Lane] = []
  private var others: [Track] = []
  /// A heap of the ends of the others.
  private var ends = EarliestEnds()

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
    guard lanes.count < Self.triedOneByOne else {
      return others[other(from: start, to: stop ?? .max, makeTrack)]
    }
    var lane = Lane(makeTrack(lanes.count))
    _ = lane.add(start, stop ?? .max)
    lanes.append(lane)
    return lane.track
  }

  /// The index of another lane for a slice.
  private mutating func other(
    from start: Int64, to stop: Int64, _ makeTrack: (Int) -> Track
  ) -> Int {
    if let first = ends.first, first.end <= start {
      ends.replaceFirst(end: max(start, stop))
      return first.lane
    }
    others.append(makeTrack(lanes.count + others.count))
    ends.add(end: max(start, stop), lane: others.count - 1)
    return others.count - 1
  }
}

/// Lanes by the end of their last slice: https://en.wikipedia.org/wiki/Binary_heap
private struct EarliestEnds {
  private var nodes: [(end: Int64, lane: Int)] = []

  var first: (end: Int64, lane: Int)? { nodes.first }

  mutating func add(end: Int64, lane: Int) {
    nodes.append((end, lane))
    var place = nodes.count - 1
    while place > 0, nodes[place].end < nodes[(place - 1) / 2].end {
      nodes.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  /// Gives the lane that ends first another end, which is not earlier.
  mutating func replaceFirst(end: Int64) {
    nodes[0].end = end
    var place = 0
    while true {
      var least = place
      for child in [2 * place + 1, 2 * place + 2]
      where child < nodes.count && nodes[child].end < nodes[least].end { least = child }
      if least == place { return }
      nodes.swapAt(place, least)
      place = least
    }
  }
}
