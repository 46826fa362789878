import EventLog
import LogFormat

/// The part of computing that was on a processor.
enum CPUShares {
  /// By index of a worker and by prefix, from Dask's sums of `thread-cpu` and `thread-noncpu`.
  ///
  /// - Parameter waits: the seconds that tasks waited for locks, by index and prefix. They are not
  ///   computing, and Dask counts them as `thread-noncpu`.
  static func read(
    _ reader: LogReader, _ run: RunInfo, _ lives: WorkerLives,
    without waits: [Int: [String: Double]]
  ) throws -> [(Int, [String: Double])] {
    struct Seconds { var cpu = 0.0, other = 0.0 }
    var seconds: [Int: [String: Seconds]] = [:]
    try HeartbeatScan.forEach(reader, run) { worker, seq, _, args in
      guard let place = lives.place(worker, at: seq) else { return }
      HeartbeatMetrics.activities(in: args) { activity in
        guard activity.context == "execute", activity.unit == "seconds",
          let prefix = activity.prefix
        else { return }
        switch activity.name {
        case "thread-cpu":
          seconds[place, default: [:]][prefix, default: Seconds()].cpu += activity.value
        case "thread-noncpu":
          seconds[place, default: [:]][prefix, default: Seconds()].other += activity.value
        default: break
        }
      }
    }
    return seconds.map { place, prefixes in
      var shares: [String: Double] = [:]
      for (prefix, seconds) in prefixes {
        let sum = seconds.cpu + max(0, seconds.other - (waits[place]?[prefix] ?? 0))
        if sum > 0 { shares[prefix] = min(1, max(0, seconds.cpu / sum)) }
      }
      return (place, shares)
    }
  }
}
