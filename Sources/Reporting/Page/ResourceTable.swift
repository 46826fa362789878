import EventLog
import LogAnalysis
import TaskLogPlugin

/// What workers measured of themselves, for the curves of the page: the least and the most of each
/// measure in each of some equal intervals of time.
struct ResourceTable {
  /// The measures as the page has them, in integers: bytes, bytes per second, tenths of a percent,
  /// thousandths, microseconds.
  private static let measures: [(metric: WorkerSample.Metric, scale: Double)] = [
    (.memory, 1), (.managed, 1), (.spilled, 1), (.cpu, 10), (.netRead, 1), (.netWrite, 1),
    (.diskRead, 1), (.diskWrite, 1), (.gil, 1000), (.eventLoop, 1e6),
  ]

  /// The greatest number of intervals, and of intervals of all workers together: what limits the size
  /// of a page with many workers.
  private static let mostIntervals: Int64 = 1024
  private static let mostPoints: Int64 = 50_000
  /// Workers send two heartbeats a second at most, in microseconds.
  private static let leastWidth: Int64 = 500_000

  /// A value that a worker did not tell.
  private static let absent: Int64 = -1

  fileprivate struct Sample {
    var time: Int64
    var values: [Int64]
  }

  /// By row of the worker, in the order of time.
  private var samples: [Int: [Sample]] = [:]
  /// Of the scheduler: how late its event loop was, and its interval.
  private var scheduler: [Sample] = []
  /// By row of the worker, in bytes.
  private(set) var limits: [Int: Int64] = [:]

  mutating func add(_ sample: WorkerSample, row: Int, time: Int64) {
    let values = Self.measures.map { metric, scale in
      sample[metric].flatMap { Int64(exactly: ($0 * scale).rounded()) }.map { max(0, $0) }
        ?? Self.absent
    }
    samples[row, default: []].append(Sample(time: time, values: values))
  }

  mutating func add(_ load: SchedulerLoad, time: Int64) {
    let values = [load.late, load.interval].map { seconds in
      seconds.flatMap { Int64(exactly: ($0 * 1e6).rounded()) }.map { max(0, $0) } ?? Self.absent
    }
    scheduler.append(Sample(time: time, values: values))
  }

  mutating func setLimit(_ limit: Int64, row: Int) { limits[row] = limit }

  /// The curves of one worker, or of all workers together.
  struct Curves {
    /// By measure, and by interval.
    var least: [[Int64]]
    var most: [[Int64]]

    init(count: Int) {
      least = Array(repeating: Array(repeating: absent, count: count), count: measures.count)
      most = least
    }
  }

  /// How late the event loop of the scheduler was in each interval, and its interval.
  struct SchedulerCurves {
    var late: [Int64]
    var interval: [Int64]

    fileprivate init(_ samples: [Sample], _ grid: Grid) {
      var curves = Array(repeating: Array(repeating: absent, count: grid.count), count: 2)
      // A sample is of the time since the one before it.
      var first = 0
      for sample in samples {
        let last = min(grid.count - 1, max(0, Int((sample.time - grid.start) / grid.width)))
        for (place, value) in sample.values.enumerated() where value != absent {
          for interval in min(first, last)...last {
            curves[place][interval] = max(curves[place][interval], value)
          }
        }
        first = last + 1
      }
      (late, interval) = (curves[0], curves[1])
    }

    var document: Value {
      .object(["late": .list(late.map(Value.int)), "interval": .list(interval.map(Value.int))])
    }
  }

  struct Grid {
    var start: Int64 = 0
    var width: Int64 = 1
    var count = 0
    /// All workers together first, then each.
    var curves: [Curves] = []
    /// The rows of the workers.
    var rows: [Int] = []
    /// `nil` if the scheduler did not measure itself.
    var scheduler: SchedulerCurves?

    /// Whether any worker measured it.
    func has(_ metric: WorkerSample.Metric) -> Bool {
      guard let place = measures.firstIndex(where: { $0.metric == metric }) else { return false }
      return curves.first?.most[place].contains { $0 != absent } ?? false
    }
  }

  /// - Parameters:
  ///   - times: what the page shows, in microseconds.
  ///   - left: when a worker left, by its row.
  func grid(_ times: TimeExtent, left: (Int) -> Int64?) -> Grid {
    guard !samples.isEmpty, let first = times.first, let last = times.last else { return Grid() }
    var grid = Grid()
    let length = max(1, last - first)
    // A damaged log may have any times.
    guard length < 1 << 60 else { return grid }
    let most = max(32, min(Self.mostIntervals, Self.mostPoints / Int64(samples.count)))
    grid.start = first
    grid.width = max(Self.leastWidth, (length + most - 1) / most)
    grid.count = Int((length + grid.width - 1) / grid.width)
    grid.rows = samples.keys.sorted()
    let workers = grid.rows.map { curves($0, grid, left($0)) }
    grid.curves = [Self.together(workers, grid.count)] + workers
    if !scheduler.isEmpty { grid.scheduler = SchedulerCurves(scheduler, grid) }
    return grid
  }

  private func curves(_ row: Int, _ grid: Grid, _ left: Int64?) -> Curves {
    var curves = Curves(count: grid.count)
    for sample in samples[row] ?? [] {
      let interval = min(grid.count - 1, max(0, Int((sample.time - grid.start) / grid.width)))
      for (place, value) in sample.values.enumerated() where value != Self.absent {
        let least = curves.least[place][interval]
        curves.least[place][interval] = least == Self.absent ? value : min(least, value)
        curves.most[place][interval] = max(curves.most[place][interval], value)
      }
    }
    // A measure holds until the next one, or until the worker leaves.
    let end = left.map { Int(($0 - grid.start) / grid.width) } ?? grid.count
    for place in Self.measures.indices {
      var value = Self.absent
      for interval in 0..<grid.count {
        if curves.most[place][interval] != Self.absent {
          value = curves.most[place][interval]
        } else if interval <= end {
          (curves.least[place][interval], curves.most[place][interval]) = (value, value)
        }
      }
    }
    return curves
  }

  /// Sums; of shares and of the event loop the mean and the most.
  private static func together(_ workers: [Curves], _ count: Int) -> Curves {
    var all = Curves(count: count)
    for (place, measure) in measures.enumerated() {
      let isSum = measure.metric != .gil && measure.metric != .eventLoop
      for interval in 0..<count {
        var (least, most, number): (Int64, Int64, Int64) = (0, 0, 0)
        for worker in workers where worker.most[place][interval] != absent {
          number += 1
          least += isSum ? worker.least[place][interval] : worker.most[place][interval]
          most =
            isSum ? most + worker.most[place][interval] : max(most, worker.most[place][interval])
        }
        guard number > 0 else { continue }
        all.least[place][interval] = isSum ? least : least / number
        all.most[place][interval] = most
      }
    }
    return all
  }
}

extension ResourceTable.Grid {
  /// For all workers together and for each: by measure the least of each interval as differences, then
  /// what the most is above it.
  func write(to column: PageColumn) {
    for curves in curves {
      for (least, most) in zip(curves.least, curves.most) {
        var before: Int64 = 0
        for value in least {
          column.signed(value - before)
          before = value
        }
        for (least, most) in zip(least, most) { column.number(most - least) }
      }
    }
  }
}
