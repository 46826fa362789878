import EventLog
import LogAnalysis
import LogFormat

extension Reports {
  /// The functions in which the tasks of workers were, from their statistical profile.
  ///
  /// - Throws: `LogError`.
  static func functions(
    _ reader: LogReader, _ runs: [RunInfo], in scopes: RunScopes
  ) throws -> Report {
    let profiles = try runs.map { ($0.number, try reader.profile(of: $0, in: scopes[$0])) }
    var report = Report([
      Report.Table(
        "function", title: "Functions in the profile of workers",
        columns: [
          run, Column("function", leastWidth: 18), Column("own_seconds", .seconds),
          Column("own_share", .share), Column("seconds", .seconds, rank: 1),
          Column("share", .share, rank: 2), Column("file", rank: 1, leastWidth: 24),
          Column("line", rank: 3), Column("samples", rank: 4),
        ]
      ) { emit in
        for (run, profile) in profiles {
          let all = profile.all
          func shares(_ samples: Int64) -> [SQLiteValue] {
            [
              .real(Double(samples) * profile.interval),
              all.samples > 0 ? .real(Double(samples) / Double(all.samples)) : .null,
            ]
          }
          // Dask counts the innermost function of a stack for its caller; one that no other has called, for
          // none.
          for function in all.functions where function.all > 0 {
            try emit(
              [.integer(run), .text(function.frame.name)] + shares(function.own)
                + shares(function.all) + [
                  .text(function.frame.file), .integer(function.frame.line),
                  .integer(function.all),
                ])
          }
          if all.functionless > 0 {
            let values = shares(all.functionless)
            try emit(
              [.integer(run), .text("(none)")] + values + values
                + [.null, .null, .integer(all.functionless)])
          }
        }
      }
    ])
    let gaps = profiles.compactMap { $1.gap }
    if !gaps.isEmpty {
      report.text = { terminal in
        var block = TextBlock(terminal)
        for gap in gaps { block.prose(gap) }
        return block.text
      }
    }
    return report.onTerminal(
      none: "no profile in the log: record it with the option profile, such as TASKLOG_PROFILE=true"
    )
  }
}
