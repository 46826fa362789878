/// Which columns of a table are shown on a terminal, and how wide.
///
/// Columns first give up room, each down to its least width; when that is not enough the least
/// important ones are left out, at last those on the right. Room that is left over goes to the most
/// important ones first.
struct TableLayout: Equatable {
  /// Between two columns.
  static let gap = 2
  private static let mark = 1

  struct Measure {
    /// As wide as its widest cell.
    var natural: Int
    /// What it can still be read in.
    var least: Int
    /// The higher, the earlier it is left out; 0 for columns that stay.
    var rank: Int
  }

  /// The columns that are shown, by their place.
  private(set) var shown: [Int]
  /// Their widths.
  private(set) var widths: [Int]
  /// Whether there are others, too.
  private(set) var isPartial: Bool

  init(_ measures: [Measure], available: Int) {
    let least = measures.map { min($0.natural, $0.least) }
    var shown = Array(measures.indices)
    func total() -> Int {
      let gaps = Self.gap * max(0, shown.count - 1)
      // What was left out is marked at the end of the header.
      let marked = shown.count < measures.count ? Self.gap + Self.mark : 0
      return shown.reduce(gaps + marked) { $0 + least[$1] }
    }
    while shown.count > 1, total() > available {
      let candidate = shown.max { (measures[$0].rank, $0) < (measures[$1].rank, $1) }
      shown.removeAll { $0 == candidate }
    }
    var widths = shown.map { least[$0] }
    var room = available - total()
    while room > 0 {
      let narrow = widths.indices.filter { widths[$0] < measures[shown[$0]].natural }
      guard let rank = narrow.map({ measures[shown[$0]].rank }).min() else { break }
      let growing = narrow.filter { measures[shown[$0]].rank == rank }
      for place in growing.prefix(room) { widths[place] += 1 }
      room -= min(room, growing.count)
    }
    if shown.count == 1 { widths[0] = max(1, min(widths[0], available)) }
    self.shown = shown
    self.widths = widths
    isPartial = shown.count < measures.count
  }
}
