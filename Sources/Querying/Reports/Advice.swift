import EventLog
import LogAnalysis
import LogFormat

extension Reports {
  /// What is worth knowing about runs; on a terminal each piece with what shows it.
  ///
  /// - Parameter advice: of each run, by its number.
  package static func advice(_ advice: [(run: Int64, advice: Advice)]) -> Report {
    var report = Report([
      Report.Table("advice", title: "Advice", columns: adviceColumns, rows: advice.map(adviceRow))
    ])
    if !advice.isEmpty {
      report.text = { terminal in
        var block = TextBlock(terminal)
        for (run, advice) in advice {
          block.space()
          add(advice, run, to: &block)
        }
        return block.text
      }
    }
    report.hasTablesOnTerminal = false
    return report.onTerminal(none: "no advice: nothing costs enough to be worth any")
  }

  private static let adviceColumns = [
    run, Column("severity", .state), Column("kind"), Column("subject", .key, leastWidth: 18),
    Column("seconds", .seconds), Column("bytes", .bytes), Column("certainty", rank: 3),
    Column("finding", leastWidth: 30), Column("action", rank: 1, leastWidth: 30),
    Column("evidence", rank: 4),
  ]

  private static func adviceRow(_ run: Int64, _ advice: Advice) -> [SQLiteValue] {
    [
      .integer(run), .text(advice.severity.rawValue), .text(advice.kind.rawValue),
      text(advice.subject), advice.cost.map(seconds) ?? .null,
      advice.bytes.map(SQLiteValue.integer) ?? .null, .text(advice.certainty.rawValue),
      .text(advice.finding), .text(advice.action), .text(advice.evidence.commandLine),
    ]
  }

  private static func add(_ advice: Advice, _ run: Int64, to block: inout TextBlock) {
    let costs =
      [
        advice.cost.map { Units.duration(nanoseconds: $0) },
        advice.bytes.map { Units.bytes(Double($0)) },
      ]
      .compactMap { $0 }
    let cost = costs.isEmpty ? "" : " (\(costs.joined(separator: ", ")))"
    block.colored(
      "\(advice.severity.rawValue): \(advice.kind.rawValue)\(cost), \(advice.certainty.rawValue)",
      isBad: advice.severity == .warning)
    block.prose(advice.finding, indent: 2)
    block.prose(advice.action, indent: 2)
    block.commands([(advice.evidence.commandLine, "shows it")], indent: 2)
  }
}

extension Advice.Evidence {
  /// The command that shows it, as it is typed after `tasklog`.
  package var commandLine: String {
    switch self {
    case .sql(let sql): "query \(ShellWord.quoted(sql))"
    case .command(let command): command
    }
  }
}
