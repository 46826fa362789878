import EventLog

extension LogReader {
  /// The time of all threads of a run's workers by what they did.
  ///
  /// - Parameters:
  ///   - scope: the part of the run; `nil` for all of it. If it selects tasks, only work on these
  ///     counts, and no idle time.
  ///   - owners: what else than its prefix to find out about each task.
  ///   - intervals: the number of intervals over time.
  ///   - splitsComputing: whether to read from heartbeats how much of computing was on a processor.
  /// - Throws: `LogError`.
  package func threadTime(
    of run: RunInfo, in scope: RunScope? = nil, by owners: TaskIndex.Owners = [],
    intervals: Int = 60, splitsComputing: Bool = true
  ) throws -> ThreadTime {
    try translating {
      var scan = try ThreadTimeScan(self, run, scope, owners)
      return ThreadTimeSweep.split(
        try scan.scan(intervals: intervals, splitsComputing: splitsComputing))
    }
  }
}
