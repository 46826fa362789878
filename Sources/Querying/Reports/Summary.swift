import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

extension Reports {
  /// Each prefix with the outcomes of its tasks, the time in each state, the share of each worker:
  /// the views `prefixes`, `prefix_states` and `workers`, from one pass over the events.
  ///
  /// - Parameter scopes: the parts of the runs.
  /// - Throws: `LogError`.
  package static func summary(
    _ reader: LogReader, _ runs: [RunInfo], in scopes: RunScopes = RunScopes()
  ) throws -> Report {
    let summariesOfRuns = try runs.map { ($0, try reader.summary(of: $0, in: scopes[$0])) }
    let summaries = summariesOfRuns.map { ($0.number, $1) }
    let incomplete = try runs.flatMap { try reader.incompleteWorkers(of: $0) }
    let isShown = shownPrefixes(summaries)
    let tables = [
      Report.Table(
        "prefixes", title: "Tasks by prefix", columns: prefixColumns,
        rows: summaries.flatMap { run, summary in summary.prefixes.map { row(run, $0) } }
      ).shown(most: .max, isShown).onTerminal(
        first: ["run", "prefix", "tasks", "failed", "retried", "compute", "nbytes"]),
      Report.Table(
        "states", title: "Seconds in each state", columns: stateColumns,
        rows: summaries.flatMap { run, summary in summary.states.map { row(run, $0) } }
      ).shown(most: .max, isShown).onTerminal(title: "Time in each state"),
      Report.Table(
        "workers", title: "Workers", columns: workerColumns,
        rows: summaries.flatMap { run, summary in summary.workers.map { row(run, $0) } }
      ).shown(most: mostWorkers).forWorkers(),
    ]
    var report = Report(tables + (incomplete.isEmpty ? [] : [table(of: incomplete)]))
    report.text = { try SummaryHeadline.text(reader, summariesOfRuns, in: scopes, $0) }
    return report
  }

  /// Workers whose last events may be missing, and where these events may be.
  private static func table(of incomplete: [IncompleteWorker]) -> Report.Table {
    Report.Table(
      "incomplete", title: "Workers whose last events may be missing",
      columns: [
        run, Column("worker", .address), Column("server_id", rank: 3, leastWidth: 43),
        Column("host"),
        Column("folder", rank: 1), Column("spool", .state), Column("missing_ends"),
      ],
      rows: incomplete.map { worker in
        [
          .integer(worker.run), .text(worker.address), text(worker.serverID), text(worker.host),
          text(worker.folder), .text(worker.spool.rawValue),
          worker.missingEnds.map(SQLiteValue.integer) ?? .null,
        ]
      })
  }

  /// The maximum rows shown to people per run: there may be as many prefixes as tasks.
  private static let mostPrefixes = 50
  private static let mostWorkers = 500

  /// Selects the rows shown: prefixes with the longest compute time, and among equal ones those
  /// with the most tasks.
  private static func shownPrefixes(
    _ summaries: [(Int64, RunSummary)]
  ) -> (([SQLiteValue]) -> Bool)? {
    guard summaries.contains(where: { $1.prefixes.count > mostPrefixes }) else { return nil }
    func name(_ run: Int64, _ prefix: String?) -> [UInt8] {
      Array("\(run) \(prefix.map { "=" + $0 } ?? "")".utf8)
    }
    var shown: Set<[UInt8]> = []
    for (run, summary) in summaries {
      let first = summary.prefixes.sorted {
        ($0.computeSeconds, $0.tasks) > ($1.computeSeconds, $1.tasks)
      }
      for prefix in first.prefix(mostPrefixes) { shown.insert(name(run, prefix.name)) }
    }
    return { row in
      guard case .integer(let run) = row[0] else { return true }
      guard case .text(let prefix) = row[1] else { return shown.contains(name(run, nil)) }
      return shown.contains(name(run, prefix))
    }
  }

  /// When workers joined and left, and their work.
  ///
  /// - Parameter scopes: the parts of the runs.
  /// - Throws: `LogError`.
  package static func workers(
    _ reader: LogReader, _ runs: [RunInfo], in scopes: RunScopes = RunScopes()
  ) throws -> Report {
    let rows = try runs.flatMap { run in
      let causes = Dictionary(
        try reader.workerEnds(of: run, in: scopes[run]).map {
          (WorkerLives.label($0.address, $0.life), $0.verdict.cause.rawValue)
        }, uniquingKeysWith: { $1 })
      return try reader.summary(of: run, in: scopes[run]).workers.map {
        row(run.number, $0) + [text(causes[WorkerLives.label($0.address, $0.life)])]
      }
    }
    return Report([
      Report.Table(
        "workers", title: "Workers", columns: workerColumns + [Column("end", rank: 3)], rows: rows
      ).forWorkers()
    ]).onTerminal(none: "no workers")
  }

  private static let prefixColumns: [Column] = [
    run, Column("prefix", leastWidth: 18), Column("tasks"), Column("done", rank: 4),
    Column("failed"), Column("retried"), Column("nbytes", .bytes, rank: 3),
    Column("compute", .seconds, rank: 1),
  ]

  private static func row(_ run: Int64, _ prefix: RunSummary.Prefix) -> [SQLiteValue] {
    [
      .integer(run), text(prefix.name), .integer(prefix.tasks), .integer(prefix.done),
      .integer(prefix.failed), .integer(prefix.retried), .integer(prefix.nbytes),
      rounded(prefix.computeSeconds, 1e6),
    ]
  }

  private static let stateColumns: [Column] = [
    run, Column("prefix", leastWidth: 18), Column("source", rank: 1, leastWidth: 9),
    Column("state", .state), Column("count"), Column("seconds", .seconds, rank: 2),
    Column("p50", .seconds), Column("p95", .seconds), Column("max", .seconds),
  ]

  private static func row(_ run: Int64, _ state: RunSummary.State) -> [SQLiteValue] {
    [
      .integer(run), text(state.prefix), .text(state.source), .text(state.state),
      .integer(state.count), seconds(state.total), seconds(state.p50), seconds(state.p95),
      seconds(state.max),
    ]
  }

  private static let workerColumns: [Column] = [
    run, Column("worker", .address, leastWidth: 21), Column("name", .json, rank: 5),
    Column("joined", .time, rank: 3),
    Column("left", .time, rank: 4), Column("nthreads", rank: 6), Column("tasks"),
    Column("failed", rank: 2), Column("nbytes", .bytes, rank: 4),
    Column("busy", .seconds, rank: 1), Column("utilization", .share), Column("occupancy", rank: 4),
    Column("life", rank: 7), Column("clock_offset", .seconds, rank: 8),
    Column("clock_uncertainty", .seconds, rank: 9),
  ]

  fileprivate static let firstWorkerColumns = [
    "run", "worker", "name", "tasks", "failed", "utilization", "busy", "joined", "left",
  ]

  /// The name of a worker without quotes, or nothing if it is its address.
  fileprivate static func forTerminal(_ row: [SQLiteValue]) -> [SQLiteValue] {
    guard case .text(let json) = row[2] else { return row }
    var row = row
    let name = (try? JSONReader.value(json))?.string ?? json
    row[2] = json == "null" || row[1] == .text(name) ? .null : .text(name)
    return row
  }

  private static func row(_ run: Int64, _ worker: RunSummary.Worker) -> [SQLiteValue] {
    [
      .integer(run), .text(worker.address), .text(worker.name), time(worker.joined),
      time(worker.left), worker.nthreads.map(SQLiteValue.integer) ?? .null,
      .integer(worker.tasks), .integer(worker.failed), .integer(worker.nbytes),
      rounded(worker.busySeconds, 1e6), rounded(worker.share, 1e4),
      rounded(worker.occupancy, 1e2), .integer(worker.life),
      worker.clock.map { seconds($0.offset) } ?? .null,
      worker.clock.map { seconds($0.uncertainty) } ?? .null,
    ]
  }
}

extension Report.Table {
  /// The same table of workers with its columns as a terminal shows them.
  fileprivate func forWorkers() -> Report.Table {
    var table = onTerminal(first: Reports.firstWorkerColumns)
    table.forTerminal = Reports.forTerminal
    return table
  }
}
