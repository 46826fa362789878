/// Chooses which columns of a table are shown on a terminal, and their widths.
///
/// Columns are first narrowed, each down to its minimum width; if that is not enough, the least
/// important ones are dropped, and finally those on the right. Remaining space goes to the most
/// important ones first.
struct TableLayout: Equatable {
  /// The space between two columns.
  static let gap = 2
  private static let mark = 1

  struct Measure {
    /// The width of its widest cell.
    var natural: Int
    /// The minimum readable width.
    var least: Int
    /// Columns with higher ranks are dropped first; columns with 0 stay.
    var rank: Int
  }

  /// The indexes of the columns that are shown.
  private(set) var shown: [Int]
  /// Their widths.
  private(set) var widths: [Int]
  /// Whether columns have been dropped.
  private(set) var isPartial: Bool

  init(_ measures: [Measure], available: Int) {
    let least = measures.map { min($0.natural, $0.least) }
    var shown = Array(measures.indices)
    func total() -> Int {
      let gaps = Self.gap * max(0, shown.count - 1)
      // Dropped columns are marked at the end of the header.
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
      for index in growing.prefix(room) { widths[index] += 1 }
      room -= min(room, growing.count)
    }
    if shown.count == 1 { widths[0] = max(1, min(widths[0], available)) }
    self.shown = shown
    self.widths = widths
    isPartial = shown.count < measures.count
  }
}
