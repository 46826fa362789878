import LogAnalysis
import LogFormat

extension Reports {
  /// Errors of many runs by exception and function.
  ///
  /// - Parameter runs: the numbers and IDs of the runs that were read, by their places.
  package static func errorGroups(
    _ groups: ErrorGroups, _ runs: [(number: Int64, id: String)]
  ) -> Report {
    let table = Report.Table("groups", title: "Errors over runs", columns: groupColumns) { emit in
      for group in groups.sorted {
        guard let first = group.runs.first, let last = group.runs.last else { continue }
        try emit([
          text(group.type), text(group.frame), .integer(Int64(group.runs.count)),
          .integer(group.tasks), .integer(group.dependents), .integer(runs[first].number),
          .integer(runs[last].number), .text(runs[first].id), .text(runs[last].id),
          group.exception, .text(group.key),
        ])
      }
    }
    return Report([
      table.onTerminal(
        first: [
          "type", "frame", "runs", "tasks", "first_run", "last_run", "exception",
        ]
      ) { _ in "'tasklog errors --run N' with the same --log shows the errors of one run" }
    ]).onTerminal(
      none: "no errors in \(Units.count(Int64(runs.count), "run"))")
  }

  private static let groupColumns: [Column] = [
    Column("type", leastWidth: 14), Column("frame", leastWidth: 18), Column("runs"),
    Column("tasks"), Column("dependents", rank: 3), Column("first_run"), Column("last_run"),
    Column("first_id", rank: 6, leastWidth: 12), Column("last_id", rank: 5, leastWidth: 12),
    Column("exception", .exception, rank: 1, leastWidth: 20),
    Column("key", .key, rank: 2, leastWidth: 16),
  ]
}
