/// A few values over time, with a limited number of points.
///
/// Exact while the points fit. Beyond that, points within an interval are merged, with the last
/// values of the interval; the interval doubles each time.
struct StepSeries {
  private let limit: Int
  private let width: Int
  /// The interval of one point, in microseconds.
  private(set) var resolution: Int64 = 1
  private(set) var times: [Int64] = []
  private(set) var values: [Int64] = []

  /// - Parameters:
  ///   - width: the number of values per point.
  ///   - limit: the maximum number of points.
  init(width: Int, limit: Int) {
    self.width = width
    self.limit = limit
  }

  /// - Parameter time: the time in microseconds; an earlier time than the last one counts as the
  ///   last one.
  mutating func add(_ time: Int64, _ newValues: some Collection<Int64>) {
    let time = max(time, times.last ?? time)
    if let last = times.last, last / resolution == time / resolution {
      values.replaceSubrange((values.count - width)..., with: newValues)
      return
    }
    times.append(time)
    values.append(contentsOf: newValues)
    if times.count > limit { coarsen() }
  }

  private mutating func coarsen() {
    while times.count > limit * 3 / 4 {
      resolution *= 2
      var kept = 0
      for index in times.indices {
        if kept > 0, times[kept - 1] / resolution == times[index] / resolution {
          copy(index, to: kept - 1)
        } else {
          times[kept] = times[index]
          copy(index, to: kept)
          kept += 1
        }
      }
      times.removeLast(times.count - kept)
      values.removeLast(values.count - kept * width)
    }
  }

  private mutating func copy(_ index: Int, to kept: Int) {
    for figure in 0..<width { values[kept * width + figure] = values[index * width + figure] }
  }

  /// Writes the times, then each value separately, all as differences.
  func write(to column: PageColumn) {
    var before: Int64 = 0
    for time in times {
      column.signed(time - before)
      before = time
    }
    for figure in 0..<width {
      before = 0
      for index in times.indices {
        let value = values[index * width + figure]
        column.signed(value - before)
        before = value
      }
    }
  }
}
