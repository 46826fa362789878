import EventLog
import LogFormat

extension Reports {
  /// The runs of a log, or of several files.
  ///
  /// - Parameters:
  ///   - runs: the parts of each.
  ///   - ofSeveral: whether the runs come from several files and are numbered across them.
  package static func runs(_ runs: [[RunSegment]], ofSeveral: Bool) -> Report {
    Report([
      Report.Table("runs", title: "Runs", columns: EventQueries.runColumns) { emit in
        var collector: any RowWriter = RowCollector()
        try EventQueries.write(runs, ofSeveral: ofSeveral, to: &collector)
        for row in (collector as? RowCollector)?.rows ?? [] { try emit(row) }
      }.onTerminal(
        first: [
          "run", "started", "seconds", "end", "tasks", "workers", "events", "missing", "incomplete",
        ]
      ) { _ in "'tasklog summary --run N' tells how run N went" }
    ]).onTerminal(none: "no runs")
  }
}

/// Collects rows.
private struct RowCollector: RowWriter {
  var rows: [[SQLiteValue]] = []

  mutating func start(_ columns: [Column]) {}
  mutating func row(_ values: [SQLiteValue]) { rows.append(values) }
  mutating func finish() {}
}
