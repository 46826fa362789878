import EventLog
import LogAnalysis
import LogFormat

extension Reports {
  /// A spool of a recorder that has not been recovered to the log.
  package struct PendingSpool: Sendable {
    package var run: String
    package var bytes: Int64
    package var isLive: Bool

    package init(run: String, bytes: Int64, isLive: Bool) {
      self.run = run
      self.bytes = bytes
      self.isLive = isLive
    }
  }

  /// What is recorded in a log, how, and what is missing from it.
  ///
  /// - Parameter files: the files that the log was merged from, if any.
  /// - Throws: `LogError`.
  package static func inspection(
    _ reader: LogReader, _ runs: [RunInfo], files: [LogReader] = [], spools: [PendingSpool]
  ) throws -> Report {
    let properties = try fileProperties(reader, files)
    let runRows: [[SQLiteValue]] = try runs.map { run in
      let totals = try reader.totals(of: run)
      return [
        .integer(run.number), .text(run.id), .text(run.engine), .text(run.engineVersion),
        .text(run.recorderVersion), .text(run.mode), time(run.started), time(run.ended),
        .text(run.endText), .integer(totals.events), .integer(totals.tasks),
        .integer(totals.workers), .integer(totals.missing),
      ]
    }
    // Two tables use the same kinds.
    var cachedKinds: [Int64: [EventKind]] = [:]
    func kinds(_ run: RunInfo) throws -> [EventKind] {
      if let kinds = cachedKinds[run.number] { return kinds }
      let kinds = try reader.eventKinds(of: run)
      cachedKinds[run.number] = kinds
      return kinds
    }
    return Report([
      Report.Table(
        "file", title: "File", columns: [Column("fact"), Column("value")],
        rows: properties.map { [.text($0.name), $0.value] }
      ).withSizes(in: "value", of: "fact"),
      Report.Table("runs", title: "Runs", columns: runColumns, rows: runRows),
      Report.Table(
        "kinds", title: "Kinds of events",
        columns: [
          run, Column("source", leastWidth: 9), Column("hook"), Column("events"),
          Column("args_bytes", .bytes), Column("snapshot_bytes", .bytes, rank: 1),
        ]
      ) { emit in
        for run in runs {
          for kind in try kinds(run) where kind.events > 0 {
            try emit([
              .integer(run.number), .text(kind.source.rawValue), .text(kind.hook),
              .integer(kind.events), .integer(kind.argsBytes), .integer(kind.snapshotBytes),
            ])
          }
        }
      },
      Report.Table(
        "reduced", title: "Redacted, truncated and excluded events",
        columns: [
          run, Column("source", leastWidth: 9), Column("hook"), Column("redacted"),
          Column("capped"), Column("excluded"),
        ]
      ) { emit in
        for run in runs {
          for kind in try kinds(run) where kind.redacted + kind.capped + kind.excluded > 0 {
            try emit([
              .integer(run.number), .text(kind.source.rawValue), .text(kind.hook),
              .integer(kind.redacted), .integer(kind.capped), .integer(kind.excluded),
            ])
          }
        }
      },
      Report.Table(
        "limits", title: "Recording limits",
        columns: [run, Column("option"), Column("value")],
        rows: runs.flatMap { run in
          run.limits.options.map { [.integer(run.number), .text($0.name), .text($0.value)] }
        }),
      view(
        "gaps", title: "Gaps", of: "gaps",
        [
          run, Column("source", leastWidth: 9), Column("worker", .address), Column("source_seq"),
          Column("count"), Column("reason"), Column("time", .time, rank: 1),
        ], path: reader.path, runs: runs, order: "run, source, worker, source_seq"),
      Report.Table(
        "spools", title: "Spools not yet recovered to the log",
        columns: [Column("id"), Column("bytes", .bytes), Column("recorder")],
        rows: spools.map {
          [.text($0.run), .integer($0.bytes), .text($0.isLive ? "running" : "died")]
        }),
    ])
  }

  /// The properties of the log; sizes are the sums over its files.
  private static func fileProperties(
    _ reader: LogReader, _ files: [LogReader]
  ) throws -> [LogReader.FileProperty] {
    guard !files.isEmpty else { return try reader.fileFacts() }
    var sums: [String: Int64] = [:]
    for property in try files.flatMap({ try $0.fileFacts() }) {
      if case .integer(let number) = property.value { sums[property.name, default: 0] += number }
    }
    return try reader.fileFacts().map { property in
      ["bytes", "free_bytes"].contains(property.name)
        ? .init(name: property.name, value: .integer(sums[property.name] ?? 0)) : property
    } + [.init(name: "files", value: .integer(Int64(files.count)))]
  }

  private static let runColumns: [Column] = [
    Column("run"), Column("id", rank: 6, leastWidth: 36), Column("engine", rank: 2),
    Column("engine_version", rank: 7), Column("recorder_version", rank: 8), Column("mode", rank: 3),
    Column("started", .date, rank: 1), Column("ended", .date, rank: 4), Column("end", .state),
    Column("events"), Column("tasks"), Column("workers", rank: 5), Column("missing"),
  ]
}
