import LogAnalysis
import LogFormat

extension Reports {
  /// A number of each run, the oldest run first.
  ///
  /// - Parameter runs: with their numbers as `tasklog runs` shows them.
  package static func trend(
    _ measures: [Measure], _ runs: [(number: Int64, run: ComparedRun)]
  ) -> Report {
    let series = measures.map { measure in
      (measure, runs.map { measure.value($0.run.figures) })
    }
    let jobs = runs.map(\.run).jobColumn
    let columns = trendColumns.map { $0.name == "job" ? jobs : $0 }
    let table = Report.Table("trend", title: "Trend", columns: columns) { emit in
      for (measure, values) in series {
        for (row, found) in zip(runs, values) {
          guard let found else { continue }
          try emit([
            .integer(row.number), .text(row.run.id), text(row.run.job), time(row.run.started),
            .text(measure.name.rawValue), text(measure.timeClass), text(measure.prefix),
            value(found, measure), .text(row.run.log),
          ])
        }
      }
    }
    var report = Report([
      table.withUnits(
        first: ["run"] + (jobs.rank == 0 ? ["job"] : []) + [
          "started", "measure", "class", "prefix", "value", "log",
        ]
      )
      .shown(most: 40)
    ]).onTerminal(none: "no run has such a value")
    report.text = { terminal in
      var block = TextBlock(terminal)
      for (measure, values) in series {
        let known = values.compactMap(\.self)
        guard let least = known.min(), let most = known.max(), let last = known.last else {
          continue
        }
        block.verbatim(Sparkline.text(known, width: min(60, terminal.columns - 2)), indent: 0)
        block.prose(
          "\(measure.text): \(measure.text(least)) to \(measure.text(most)), "
            + "median \(measure.text(known.median ?? last)), last \(measure.text(last))")
        block.space()
      }
      return block.text
    }
    return report
  }

  private static let trendColumns: [Column] = [
    Column("run"), Column("id", rank: 3, leastWidth: 12), Column("job"),
    Column("started", .date),
    Column("measure"), Column("class", rank: 2, leastWidth: 12), Column("prefix", leastWidth: 10),
    Column("value"), Column("log", rank: 1, leastWidth: 20),
  ]
}

/// Numbers as a row of bars.
enum Sparkline {
  private static let bars = Array("▁▂▃▄▅▆▇█")

  /// From 0 to the largest number; of several numbers in one place, the largest is shown.
  static func text(_ values: [Double], width: Int) -> String {
    guard !values.isEmpty, width > 0 else { return "" }
    let places = min(values.count, width)
    let most = values.max() ?? 0
    return String(
      (0..<places).map { place in
        let part = values[(place * values.count / places)..<((place + 1) * values.count / places)]
        let share = most > 0 ? max(0, (part.max() ?? 0) / most) : 0
        return bars[min(bars.count - 1, Int(saturating: share * Double(bars.count)))]
      })
  }
}
