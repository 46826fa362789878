import EventLog
import LogFormat
import LogMaintenance

extension Reports {
  private static let shown = [
    "run", "started", "seconds", "end", "tasks", "workers", "events", "missing", "incomplete",
  ]

  /// The runs of a log, or of several files.
  ///
  /// - Parameters:
  ///   - runs: the parts of each, in file order.
  ///   - ofSeveral: whether the runs come from several files and are numbered across them.
  package static func runs(_ runs: [[RunSegment]], ofSeveral: Bool) -> Report {
    Report([
      Report.Table("runs", title: "Runs", columns: EventQueries.runColumns) { emit in
        var origins = RunOrigins()
        for (index, parts) in runs.enumerated() {
          guard let entry = try RunEntry(parts, &origins, isSelectable: false) else { continue }
          try emit(EventQueries.row(ofSeveral ? Int64(index + 1) : entry.number, entry))
        }
      }.onTerminal(first: shown) { _ in "'tasklog summary --run N' tells how run N went" }
    ]).onTerminal(none: "no runs")
  }

  /// Runs of an archive, numbered from the oldest on.
  ///
  /// - Parameter indexes: those of the runs to show.
  package static func runs(_ archive: Archive, _ indexes: [Int]) -> Report {
    Report([
      Report.Table(
        "runs", title: "Runs",
        columns: EventQueries.runColumns + [Column("log", rank: 1, leastWidth: 20)]
      ) { emit in
        for index in indexes {
          let run = archive.runs[index]
          try emit(
            EventQueries.row(Int64(index + 1), run.entry)
              + [.text(run.paths.joined(separator: " + "))])
        }
      }.onTerminal(first: shown + ["log"]) { _ in
        "'tasklog summary --log LOG --run N' with the same --log tells how run N went"
      }
    ]).onTerminal(none: "no runs")
  }
}
