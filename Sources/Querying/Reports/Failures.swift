import EventLog
import LogAnalysis
import LogFormat

extension Reports {
  /// The failures of runs: by cause, each task that failed by itself, the tasks that failed because
  /// of it, and failures seen only by workers: the views `error_causes`, `errors`, `failures` and
  /// `worker_errors`, from one pass over the events.
  ///
  /// - Throws: `LogError`.
  package static func errors(_ reader: LogReader, _ runs: [RunInfo]) throws -> Report {
    let all = try runs.map { ($0.number, try reader.failures(of: $0)) }
    return Report([
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
  }

  /// The maximum rows shown to people: thousands of tasks may fail because of one.
  private static let mostCauses = 100
  private static let mostFailures = 200

  private static let atWorkersColumns: [Column] = [
    run, Column("seq", rank: 4), Column("time", .time, rank: 3), key,
    Column("worker", .address, rank: 1), Column("start", .state, rank: 3),
    Column("exception", rank: 2, leastWidth: 20), Column("traceback", rank: 6, leastWidth: 20),
  ]

  private static let causeColumns: [Column] = [
    run, Column("exception", leastWidth: 30), Column("tasks"), Column("dependents"),
    Column("workers", rank: 2), Column("first_key", rank: 1, leastWidth: 18),
    Column("first_seq", rank: 3), Column("first_traceback", rank: 5, leastWidth: 20),
  ]

  private static let errorColumns: [Column] = [
    run, Column("seq", rank: 4), Column("time", .time, rank: 3), key,
    Column("worker", .address, rank: 1), Column("retries"), Column("dependents"),
    Column("exception", rank: 2, leastWidth: 20), Column("traceback", rank: 6, leastWidth: 20),
  ]

  private static let affectedColumns: [Column] = [
    run, Column("seq", rank: 4), Column("time", .time, rank: 3), key,
    Column("cause_key", leastWidth: 18), Column("cause_seq", rank: 5),
  ]

  /// Above this limit, sorting all spans costs no more than searching for the longest.
  private static let maximumSpans = 10_000

  /// The longest spans of work, as in the view `slowest`.
  ///
  /// - Parameter action: only spans of this kind, such as compute or transfer; `nil` for all.
  /// - Throws: `LogError`.
  package static func slowest(
    _ reader: LogReader, _ runs: [RunInfo], action: String?, limit: Int
  ) throws -> Report {
    var condition = action == nil ? "TRUE" : "action = :action"
    if limit <= maximumSpans {
      let events = try reader.eventsWithLongestSpans(in: runs, action: action, limit: limit)
      condition += " AND seq IN (\(events.map(String.init).joined(separator: ", ")))"
    }
    return Report([
      view(
        "slowest", title: "The longest spans of work", of: "slowest",
        [
          run, Column("seconds"), Column("action"), key, Column("prefix", rank: 4, leastWidth: 12),
          Column("worker", .address, rank: 1), Column("seq", rank: 5), Column("start", rank: 6),
          Column("stop", rank: 7), Column("life", rank: 8),
        ], path: reader.path, runs: runs, condition: condition, limit: limit,
        parameters: action.map { [("action", .text($0))] } ?? [])
    ])
  }

  /// The chain of tasks and waits that determined the length of the run: the view `critical_path`,
  /// traced back from the end.
  ///
  /// - Throws: `LogError`.
  package static func criticalPath(_ reader: LogReader, _ runs: [RunInfo]) throws -> Report {
    let all = try runs.map { ($0.number, try reader.criticalPath(of: $0)) }
    return Report([
      Report.Table(
        "critical_path", title: "Critical path", columns: pathColumns
      ) { emit in
        for (run, pieces) in all {
          for (index, piece) in pieces.enumerated() {
            try emit([
              .integer(run), .integer(Int64(index + 1)), .text(piece.key),
              .text(piece.kind.rawValue), piece.worker,
              piece.start.flatMap { start in piece.stop.map { seconds($0 &- start) } } ?? .null,
              piece.share, time(piece.start), time(piece.stop), .integer(piece.seq),
              piece.life.map(SQLiteValue.integer) ?? .null,
            ])
          }
        }
      }
    ])
  }

  private static let pathColumns: [Column] = [
    run, Column("step", rank: 2), key, Column("segment", leastWidth: 8),
    Column("worker", .address, rank: 1), Column("seconds"), Column("share"),
    Column("started", .time, rank: 3), Column("stopped", .time, rank: 4), Column("seq", rank: 5),
    Column("life", rank: 8),
  ]
}
