/// A few figures as they change over time, at most so many points of them.
///
/// Exact as long as they fit; then moments are put together, twice as wide ones each time, of which
/// the last figures stand.
struct StepSeries {
  private let limit: Int
  private let width: Int
  /// Microseconds that are one point.
  private(set) var resolution: Int64 = 1
  private(set) var times: [Int64] = []
  private(set) var values: [Int64] = []

  /// - Parameters:
  ///   - width: how many figures.
  ///   - limit: how many points at most.
  init(width: Int, limit: Int) {
    self.width = width
    self.limit = limit
  }

  /// - Parameter time: microseconds; what comes late counts where time has got to.
  mutating func add(_ time: Int64, _ figures: some Collection<Int64>) {
    let time = max(time, times.last ?? time)
    if let last = times.last, last / resolution == time / resolution {
      values.replaceSubrange((values.count - width)..., with: figures)
      return
    }
    times.append(time)
    values.append(contentsOf: figures)
    if times.count > limit { coarsen() }
  }

  private mutating func coarsen() {
    while times.count > limit * 3 / 4 {
      resolution *= 2
      var kept = 0
      for place in times.indices {
        if kept > 0, times[kept - 1] / resolution == times[place] / resolution {
          copy(place, to: kept - 1)
        } else {
          times[kept] = times[place]
          copy(place, to: kept)
          kept += 1
        }
      }
      times.removeLast(times.count - kept)
      values.removeLast(values.count - kept * width)
    }
  }

  private mutating func copy(_ place: Int, to kept: Int) {
    for figure in 0..<width { values[kept * width + figure] = values[place * width + figure] }
  }

  /// Times, then each figure by itself, all as differences.
  func write(to column: PageColumn) {
    var before: Int64 = 0
    for time in times {
      column.signed(time - before)
      before = time
    }
    for figure in 0..<width {
      before = 0
      for place in times.indices {
        let value = values[place * width + figure]
        column.signed(value - before)
        before = value
      }
    }
  }
}
