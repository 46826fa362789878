import EventLog
import LogFormat

/// The part of computing that was on a processor.
enum CPUShares {
  /// A task's wait for locks.
  struct Wait {
    /// When the task that waited came to its end, on the scheduler's clock.
    var taskEnd: Int64
    var seconds: Double
  }

  /// By index of a worker and by prefix.
  typealias ByPrefix<Value> = [Int: [String: Value]]

  /// What a worker's heartbeats reported about the tasks of one prefix.
  struct Told {
    /// Dask's sums of `thread-cpu` and `thread-noncpu`.
    var (cpu, other) = (0.0, 0.0)
    /// When the last heartbeat with such a sum came: no task that ended later is in the sums.
    var last = Int64.min

    /// The part of computing that was on a processor; `nil` if it is not known.
    ///
    /// - Parameter waits: those of these tasks. They are not computing, and Dask counts them as
    ///   `thread-noncpu`.
    func share(without waits: [Wait]) -> Double? {
      let waited = waits.reduce(0) { $0 + ($1.taskEnd <= last ? $1.seconds : 0) }
      let rest = other - waited
      // More waiting than both measured together: the sums are not of the same tasks.
      guard rest > -0.01 * waited, cpu + max(0, rest) > 0 else { return nil }
      return min(1, max(0, cpu / (cpu + max(0, rest))))
    }
  }

  /// The shares, as far as they are known.
  static func read(
    _ reader: LogReader, _ run: RunInfo, _ lives: WorkerLives, without waits: ByPrefix<[Wait]>
  ) throws -> ByPrefix<Double> {
    var told: ByPrefix<Told> = [:]
    try HeartbeatScan.forEach(reader, run) { worker, seq, time, args in
      guard let place = lives.place(worker, at: seq) else { return }
      HeartbeatMetrics.activities(in: args) { activity in
        guard activity.context == "execute", activity.unit == "seconds",
          let prefix = activity.prefix
        else { return }
        switch activity.name {
        case "thread-cpu":
          told[place, default: [:]][prefix, default: Told()].cpu += activity.value
        case "thread-noncpu":
          told[place, default: [:]][prefix, default: Told()].other += activity.value
        default: return
        }
        told[place]?[prefix]?.last = time
      }
    }
    var shares: ByPrefix<Double> = [:]
    for (place, prefixes) in told {
      for (prefix, told) in prefixes {
        shares[place, default: [:]][prefix] = told.share(without: waits[place]?[prefix] ?? [])
      }
    }
    return shares
  }
}
