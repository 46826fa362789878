import LogFormat

extension Reports {
  /// The findings of a check; on a terminal each with all that is known of it.
  ///
  /// - Parameter rows: those of the table.
  package static func findings(_ table: Report.Table, _ rows: [[SQLiteValue]]) -> Report {
    var report = Report([table])
    let names = table.columns.map(\.name)
    report.text = { terminal in
      var block = TextBlock(terminal)
      for row in rows {
        func text(_ name: String) -> String {
          names.firstIndex(of: name).map { row[$0].plainText } ?? ""
        }
        let run = text("run").isEmpty ? "" : " in run #\(text("run"))"
        let count = ["", "0", "1"].contains(text("count")) ? "" : " (\(text("count")))"
        block.colored(
          "\(text("severity")): \(text("finding"))\(count)\(run)", isBad: text("severity") != "info"
        )
        block.prose("\(text("log")), \(text("place"))", indent: 2)
        block.prose(text("detail"), indent: 2)
      }
      return block.text
    }
    report.hasTablesOnTerminal = false
    return report
  }
}
