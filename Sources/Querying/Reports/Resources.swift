import EventLog
import LogAnalysis
import LogFormat

extension Reports {
  /// The peak and the mean of what each worker measured of itself.
  ///
  /// - Parameter isOverTime: whether each worker has a row for each interval.
  /// - Throws: `LogError`.
  package static func resources(
    _ reader: LogReader, _ runs: [RunInfo], overTime isOverTime: Bool,
    in scopes: RunScopes = RunScopes()
  ) throws -> Report {
    let uses = try runs.map {
      ($0.number, try reader.resourceUse(of: $0, in: scopes[$0], overTime: isOverTime))
    }
    let table = Report.Table(
      isOverTime ? "over_time" : "resources",
      title: isOverTime ? "Resources of workers over time" : "Resources of workers",
      columns: resourceColumns.filter { $0.name != "time" || isOverTime }
    ) { emit in
      for (run, use) in uses {
        for worker in use.rows { try emit(row(run, worker, use, isOverTime)) }
      }
    }
    return Report([
      table.onTerminal(
        first: ["run", "worker", "time", "memory_peak", "memory_mean", "memory_limit", "cpu_mean"])
    ]).onTerminal(none: "no heartbeats in the log")
  }

  private static let resourceColumns: [Column] = [
    run, Column("worker", .address, leastWidth: 21), Column("time", .time),
    Column("heartbeats", rank: 8), Column("memory_peak", .bytes), Column("memory_mean", .bytes),
    Column("memory_limit", .bytes, rank: 1), Column("managed_peak", .bytes, rank: 4),
    Column("managed_mean", .bytes, rank: 6), Column("spilled_peak", .bytes, rank: 1),
    Column("spilled_mean", .bytes, rank: 6), Column("cpu_peak", rank: 3),
    Column("cpu_mean", rank: 1), Column("net_read_peak", .bytes, rank: 5),
    Column("net_read_mean", .bytes, rank: 3), Column("net_write_peak", .bytes, rank: 5),
    Column("net_write_mean", .bytes, rank: 3), Column("disk_read_peak", .bytes, rank: 5),
    Column("disk_read_mean", .bytes, rank: 4), Column("disk_write_peak", .bytes, rank: 5),
    Column("disk_write_mean", .bytes, rank: 4), Column("gil_peak", .share, rank: 5),
    Column("gil_mean", .share, rank: 2), Column("event_loop_peak", .seconds, rank: 4),
    Column("event_loop_mean", .seconds, rank: 2), Column("life", rank: 7),
  ]

  private static func row(
    _ run: Int64, _ row: ResourceUse.Row, _ use: ResourceUse, _ isOverTime: Bool
  ) -> [SQLiteValue] {
    let life = use.lives.lives[row.worker]
    func pair(_ metric: WorkerSample.Metric, _ digits: Double?) -> [SQLiteValue] {
      let measure = row[metric]
      return [measure?.peak, measure?.mean].map { value in
        guard let digits else {
          return value.map { .integer(Int64(saturating: $0.rounded())) } ?? .null
        }
        return rounded(value, digits)
      }
    }
    let limit = use.memoryLimits[row.worker].flatMap { $0 > 0 ? SQLiteValue.integer($0) : nil }
    return [.integer(run), .text(life.address)] + (isOverTime ? [time(row.time)] : [])
      + [.integer(row.heartbeats)] + pair(.memory, nil) + [limit ?? .null]
      + pair(.managed, nil) + pair(.spilled, nil) + pair(.cpu, 1e1) + pair(.netRead, nil)
      + pair(.netWrite, nil) + pair(.diskRead, nil) + pair(.diskWrite, nil) + pair(.gil, 1e4)
      + pair(.eventLoop, 1e6) + [.integer(life.number)]
  }
}
