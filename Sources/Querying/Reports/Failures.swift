import EventLog
import LogAnalysis
import LogFormat

extension Reports {
  /// The failures of runs: by cause, each task that failed by itself, the tasks that failed because
  /// of it, and failures seen only by workers: the views `error_causes`, `errors`, `failures` and
  /// `worker_errors`, from one pass over the events.
  ///
  /// - Parameter scopes: the parts of the runs; `dependents` are those in all of the run.
  /// - Throws: `LogError`.
  package static func errors(
    _ reader: LogReader, _ runs: [RunInfo], in scopes: RunScopes = RunScopes()
  ) throws -> Report {
    let found = try runs.map { ($0, try reader.failures(of: $0, in: scopes[$0])) }
    let all = found.map { ($0.number, $1) }
    var report = Report([
      Report.Table("causes", title: "Causes", columns: causeColumns) { emit in
        for (run, failures) in all {
          for cause in try failures.causes() {
            try emit([
              .integer(run), cause.exception, .integer(cause.tasks), .integer(cause.dependents),
              .integer(cause.workers), .text(cause.firstKey), .integer(cause.firstSeq),
              cause.firstTraceback,
            ])
          }
        }
      }.shown(most: mostCauses),
      Report.Table("errors", title: "Tasks that failed on their own", columns: errorColumns) {
        emit in
        for (run, failures) in all {
          try failures.forEachError { error in
            try emit([
              .integer(run), .integer(error.seq), time(error.time), .text(error.key), error.worker,
              .integer(error.retries), .integer(error.dependents), error.exception,
              error.traceback,
            ])
          }
        }
      }.shown(most: mostFailures),
      Report.Table(
        "affected", title: "Tasks that failed because of them", columns: affectedColumns
      ) { emit in
        for (run, failures) in all {
          try failures.forEachAffected { task in
            try emit([
              .integer(run), .integer(task.seq), time(task.time), .text(task.key),
              text(task.blamed), task.causeSeq.map(SQLiteValue.integer) ?? .null,
            ])
          }
        }
      }.shown(most: mostFailures),
      Report.Table(
        "at_workers", title: "Failures seen only by a worker", columns: atWorkersColumns
      ) { emit in
        for (run, failures) in all {
          try failures.forEachAtWorkers { failure in
            try emit([
              .integer(run), .integer(failure.seq), time(failure.time), .text(failure.key),
              .text(failure.worker), text(failure.start), failure.exception, failure.traceback,
            ])
          }
        }
      }.shown(most: mostFailures),
    ])
    report.text = { try FailureBlocks.text(reader, found, in: scopes, $0) }
    report.hasTablesOnTerminal = false
    return report
  }

  /// The maximum rows shown to people: thousands of tasks may fail because of one.
  private static let mostCauses = 100
  private static let mostFailures = 200

  private static let atWorkersColumns: [Column] = [
    run, Column("seq", rank: 4), Column("time", .time, rank: 3), key,
    Column("worker", .address, rank: 1), Column("start", .state, rank: 3),
    Column("exception", .exception, leastWidth: 20), Column("traceback", rank: 6, leastWidth: 20),
  ]

  private static let causeColumns: [Column] = [
    run, Column("exception", .exception, leastWidth: 30), Column("tasks"), Column("dependents"),
    Column("workers", rank: 2), Column("first_key", rank: 1, leastWidth: 18),
    Column("first_seq", rank: 3), Column("first_traceback", rank: 5, leastWidth: 20),
  ]

  private static let errorColumns: [Column] = [
    run, Column("seq", rank: 4), Column("time", .time, rank: 3), key,
    Column("worker", .address, rank: 1), Column("retries"), Column("dependents"),
    Column("exception", .exception, leastWidth: 20), Column("traceback", rank: 6, leastWidth: 20),
  ]

  private static let affectedColumns: [Column] = [
    run, Column("seq", rank: 4), Column("time", .time, rank: 3), key,
    Column("cause_key", leastWidth: 18), Column("cause_seq", rank: 5),
  ]

  /// Above this limit, sorting all spans costs no more than searching for the longest.
  private static let maximumSpans = 10_000

  /// The longest spans of work, as in the view `slowest`.
  ///
  /// - Parameters:
  ///   - action: only spans of this kind, such as compute or transfer; `nil` for all.
  ///   - scopes: the parts of the runs; spans are cut at the edges of their time window.
  /// - Throws: `LogError`.
  package static func slowest(
    _ reader: LogReader, _ runs: [RunInfo], action: String?, limit: Int,
    in scopes: RunScopes = RunScopes()
  ) throws -> Report {
    let none =
      limit == 0
      ? "no rows: --limit is 0"
      : action.map { "no spans of work with the action \(Printable.text($0))" }
        ?? "no spans of work"
    if runs.contains(where: { scopes[$0] != nil }) {
      return try slowest(reader, runs, action, limit, scopes).onTerminal(none: none)
    }
    var condition = action == nil ? "TRUE" : "action = :action"
    if limit <= maximumSpans {
      let events = try reader.eventsWithLongestSpans(in: runs, action: action, limit: limit)
      condition += " AND seq IN (\(events.map(String.init).joined(separator: ", ")))"
    }
    return Report([
      view(
        "slowest", title: "The longest spans of work", of: "slowest", slowestColumns,
        path: reader.path, runs: runs, condition: condition, limit: limit,
        parameters: action.map { [("action", .text($0))] } ?? []
      ).onTerminal { rows in
        guard rows == limit else { return nil }
        return "\(limit == 1 ? "the longest" : "the \(limit) longest"); --limit shows more"
      }
    ]).onTerminal(none: none)
  }

  /// The chain of tasks and waits that determined the length of the run: the view `critical_path`,
  /// traced back from the end.
  ///
  /// - Parameter scopes: the parts of the runs: see `LogReader.criticalPath(of:in:)`.
  /// - Throws: `LogError`.
  package static func criticalPath(
    _ reader: LogReader, _ runs: [RunInfo], in scopes: RunScopes = RunScopes()
  ) throws -> Report {
    let all = try runs.map { ($0.number, try reader.criticalPath(of: $0, in: scopes[$0])) }
    var report = Report([
      Report.Table(
        "critical_path", title: "Critical path", columns: pathColumns
      ) { emit in
        for (run, phases) in all {
          for (index, phase) in phases.enumerated() {
            try emit([
              .integer(run), .integer(Int64(index + 1)), .text(phase.key),
              .text(phase.kind.rawValue), phase.worker,
              phase.start.flatMap { start in phase.stop.map { seconds($0 - start) } } ?? .null,
              phase.share, time(phase.start), time(phase.stop), .integer(phase.seq),
              phase.life.map(SQLiteValue.integer) ?? .null,
            ])
          }
        }
      }.onTerminal(first: ["run", "step", "phase", "key", "seconds", "share", "worker"])
    ]).onTerminal(none: "no critical path: no task was finished")
    if all.contains(where: { !$1.isEmpty }) {
      report.text = { PathHeadline.text(all, $0) }
    }
    return report
  }

  static let slowestColumns: [Column] = [
    run, Column("seconds", .seconds), Column("action"), key,
    Column("prefix", rank: 4, leastWidth: 12), Column("worker", .address, rank: 1),
    Column("seq", rank: 5), Column("start", .epoch, rank: 3), Column("stop", .epoch, rank: 7),
    Column("life", rank: 8),
  ]

  private static let pathColumns: [Column] = [
    run, Column("step", rank: 2), key, Column("phase", leastWidth: 8),
    Column("worker", .address, rank: 1), Column("seconds", .seconds), Column("share", .share),
    Column("started", .time, rank: 3), Column("stopped", .time, rank: 4), Column("seq", rank: 5),
    Column("life", rank: 8),
  ]
}
