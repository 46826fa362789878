import EventLog
import TaskLogPlugin

/// The peak and the mean of what workers measured of themselves.
package struct ResourceUse: Sendable {
  package struct Measure: Sendable {
    package private(set) var count: Int64 = 0
    package private(set) var peak = 0.0
    private var sum = 0.0

    package var mean: Double? { count > 0 ? sum / Double(count) : nil }

    mutating func add(_ value: Double) {
      peak = count == 0 ? value : max(peak, value)
      count += 1
      sum += value
    }
  }

  /// One worker, or one worker in an interval of time.
  package struct Row: Sendable {
    /// An index in `lives`.
    package var worker: Int
    /// When the interval starts, in nanoseconds since 1970 UTC; `nil` for all of the time.
    package var time: Int64?
    package var heartbeats: Int64 = 0
    private var measures = [Measure](
      repeating: Measure(), count: WorkerSample.Metric.allCases.count)

    init(worker: Int, time: Int64?) {
      (self.worker, self.time) = (worker, time)
    }

    /// `nil` if the worker did not measure it.
    package subscript(_ metric: WorkerSample.Metric) -> Measure? {
      let measure = measures[metric.rawValue]
      return measure.count > 0 ? measure : nil
    }

    mutating func add(_ sample: WorkerSample) {
      heartbeats += 1
      for metric in WorkerSample.Metric.allCases {
        if let value = sample[metric] { measures[metric.rawValue].add(value) }
      }
    }
  }

  package var lives = WorkerLives()
  /// By index of a worker, in bytes.
  package var memoryLimits: [Int: Int64] = [:]
  package var rows: [Row] = []
  /// The width of an interval over time, in nanoseconds.
  package var width: Int64 = 0

  /// The widths of intervals, in seconds.
  private static let widths: [Int64] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400,
  ]
  /// About the number of intervals of a run.
  private static let intervalCount: Int64 = 60

  static func width(of duration: Int64) -> Int64 {
    let wanted = duration / intervalCount / 1_000_000_000
    return (widths.first { $0 >= wanted } ?? (wanted / 86_400 + 1) * 86_400) * 1_000_000_000
  }
}

extension LogReader {
  /// - Parameter isOverTime: whether each worker has a row for each interval.
  /// - Throws: `LogError`.
  package func resourceUse(
    of run: RunInfo, in scope: RunScope? = nil, overTime isOverTime: Bool = false
  ) throws -> ResourceUse {
    var use = ResourceUse()
    use.lives = try workerLives(of: run)
    use.memoryLimits = try memoryLimits(of: run)
    let last = try translating { try timeOfLastEvent(in: run) } ?? run.started
    if isOverTime {
      let window = scope?.window ?? TimeWindow()
      let part = window.part(run.started, last) ?? (run.started, last)
      use.width = ResourceUse.width(of: part.stop - part.start)
    }
    var places: [Int64: [Int: Int]] = [:]
    try forEachSample(of: run, in: scope) { sample in
      let interval = isOverTime ? sample.time / use.width : 0
      var place = places[interval]?[sample.worker]
      if place == nil {
        place = use.rows.count
        places[interval, default: [:]][sample.worker] = use.rows.count
        use.rows.append(
          ResourceUse.Row(worker: sample.worker, time: isOverTime ? interval * use.width : nil))
      }
      if let place { use.rows[place].add(sample) }
    }
    use.rows.sort { ($0.worker, $0.time ?? 0) < ($1.worker, $1.time ?? 0) }
    return use
  }
}
