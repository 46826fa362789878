import EventLog
import LogAnalysis
import LogFormat
import LogMaintenance

/// A run or a job in it that is compared.
package struct ComparedRun: Sendable {
  package var id: String
  /// `nil` for all of the run.
  package var job: String?
  package var log: String
  package var started: Int64
  package var end: String
  package var figures: RunFigures

  package init(_ run: Archive.Run, _ job: Job?, _ figures: RunFigures) {
    (id, log) = (run.entry.id, run.paths.joined(separator: " + "))
    self.job = job?.name
    (started, end) = (job?.started ?? run.entry.started, run.entry.endText)
    self.figures = figures
  }
}

extension [ComparedRun] {
  /// The column with the names of jobs; a terminal has it before others if there are any.
  var jobColumn: Column { Column("job", rank: contains { $0.job != nil } ? 0 : 9) }
}

extension Reports {
  /// Runs compared with those of a baseline: every measure, and what limits say.
  package static func comparison(
    _ runs: [ComparedRun], baseline: [ComparedRun], _ results: [MeasureLimit.Result]
  ) -> Report {
    let compared = Comparison.all(of: runs.map(\.figures), baseline: baseline.map(\.figures))
    var report = Report(
      [measureTable({ compared }), runTable(runs, baseline: baseline)] + limitTables(results))
    report.text = { terminal in
      var block = TextBlock(terminal)
      let noun = (runs + baseline).allSatisfy { $0.job != nil } ? "job" : "run"
      block.prose(headline(compared, runs.count, baseline: baseline.count, noun))
      for row in compared where row.verdict == .higher || row.verdict == .lower {
        block.colored(sentence(row), isBad: row.verdict == .higher)
      }
      for result in results { block.colored(limitText(result), isBad: result.hasFailed) }
      return block.text
    }
    return report
  }

  // MARK: - Sentences

  /// How many runs or jobs were compared, and what can be told from them.
  static func headline(
    _ compared: [Comparison], _ runs: Int, baseline: Int, _ noun: String = "run"
  ) -> String {
    let tested = compared.count { $0.probability != nil }
    let alarms = compared.count { $0.verdict == .higher || $0.verdict == .lower }
    let text =
      "\(Units.count(Int64(runs), noun)) compared with \(Units.count(Int64(baseline), noun)) of the baseline: "
    if runs < 2 || baseline < 2 {
      return text
        + "one \(noun) alone does not tell a difference from chance; the table shows where it "
        + "lies among the others."
    }
    let needed = Comparison.runsNeeded(measures: tested)
    if alarms == 0, min(runs, baseline) < needed {
      return text + "too few to tell a difference from chance; with \(tested) measures it takes "
        + "\(needed) on each side."
    }
    return text
      + (alarms == 0
        ? "no difference of 10 % or more that chance does not explain."
        : "\(Units.count(Int64(alarms), "measure")) of \(compared.count) differ by 10 % or more, which "
          + "chance does not explain.")
  }

  private static func sentence(_ row: Comparison) -> String {
    let (before, after) = (row.baselineMedian ?? 0, row.median ?? 0)
    let change = row.change.map { "\($0 > 0 ? "+" : "")\(Units.percent($0)), " } ?? ""
    return
      "\(row.measure.text): \(row.measure.text(before)) before, \(row.measure.text(after)) now "
      + "(\(change)p \(probabilityText(row.corrected)))"
  }

  private static func probabilityText(_ value: Double?) -> String {
    guard let value else { return "unknown" }
    return value < 0.0001 ? "< 0.0001" : "= \((value * 10_000).rounded() / 10_000)"
  }

  private static func limitText(_ result: MeasureLimit.Result) -> String {
    "\(result.hasFailed ? "FAILED" : "ok"): \(result.text)"
  }

  // MARK: - Tables

  /// - Parameter compared: called when the table is written.
  static func measureTable(_ compared: @escaping () throws -> [Comparison]) -> Report.Table {
    Report.Table("measures", title: "Measures", columns: measureColumns) { emit in
      for row in try compared() { try emit(measureRow(row)) }
    }.withUnits(first: ["measure", "class", "prefix", "baseline", "value", "change", "verdict"])
  }

  private static func measureRow(_ row: Comparison) -> [SQLiteValue] {
    [
      .text(row.measure.name.rawValue), text(row.measure.timeClass), text(row.measure.prefix),
      .text(unit(row.measure)), value(row.baselineMedian, row.measure),
      value(row.median, row.measure),
      row.change.map { SQLiteValue.real(($0 * 1e4).rounded() / 1e4) } ?? .null,
      .text(verdict(row)), .integer(Int64(row.baseline.count)),
      .integer(Int64(row.values.count)), row.probability.map(SQLiteValue.real) ?? .null,
      row.corrected.map(SQLiteValue.real) ?? .null, value(row.baseline.min(), row.measure),
      value(row.baseline.max(), row.measure), value(row.values.min(), row.measure),
      value(row.values.max(), row.measure),
    ]
  }

  private static let measureColumns: [Column] = [
    Column("measure"), Column("class", rank: 1, leastWidth: 12), Column("prefix", leastWidth: 10),
    Column("unit", rank: 6), Column("baseline"), Column("value"), Column("change", .share),
    Column("verdict", leastWidth: 12), Column("baseline_runs", rank: 5), Column("runs", rank: 5),
    Column("p", rank: 7), Column("p_corrected", rank: 4), Column("baseline_min", rank: 3),
    Column("baseline_max", rank: 3), Column("min", rank: 6), Column("max", rank: 6),
  ]

  private static func unit(_ measure: Measure) -> String {
    switch measure.unit {
    case .seconds: "s"
    case .bytes: "bytes"
    case .count: "count"
    }
  }

  static func value(_ value: Double?, _ measure: Measure) -> SQLiteValue {
    guard let value else { return .null }
    if measure.unit == .seconds { return rounded(value, 1e6) }
    let count = Int64(saturating: value)
    return Double(count) == value ? .integer(count) : .real(value)
  }

  /// What can be said of a difference; of a single run, where it lies among the others.
  private static func verdict(_ row: Comparison) -> String {
    if let place = row.place, row.baseline.count > 1, row.verdict != .equal {
      let all = row.baseline.count
      if place.below == all { return "above all \(all)" }
      if place.above == all { return "below all \(all)" }
      return "above \(place.below) of \(all), below \(place.above)"
    }
    return switch row.verdict {
    case .higher: "higher"
    case .lower: "lower"
    case .notShown: "no difference shown"
    case .cannotTell: "cannot tell"
    case .equal: "equal"
    }
  }

  private static func runTable(
    _ runs: [ComparedRun], baseline: [ComparedRun]
  ) -> Report.Table {
    let all = baseline.map { ("baseline", $0) } + runs.map { ("compared", $0) }
    return Report.Table(
      "runs", title: "Runs",
      columns: [
        Column("side"), Column("id", rank: 2, leastWidth: 12), (runs + baseline).jobColumn,
        Column("started", .date),
        Column("end"), Column("makespan", .seconds), Column("work", .seconds),
        Column("idle", .seconds, rank: 1), Column("tasks"), Column("failed"),
        Column("log", rank: 1, leastWidth: 20),
      ]
    ) { emit in
      for (side, run) in all {
        let whole = run.figures.whole
        try emit([
          .text(side), .text(run.id), text(run.job), time(run.started), .text(run.end),
          run.figures.makespan.map { rounded($0, 1e6) } ?? .null,
          rounded(whole.computeSeconds, 1e6), run.figures.idle.map { rounded($0, 1e6) } ?? .null,
          .integer(whole.tasks), .integer(whole.failed),
          .text(run.log),
        ])
      }
    }.shown(most: 10)
  }

  /// What limits say; none if there are none.
  static func limitTables(_ results: [MeasureLimit.Result]) -> [Report.Table] {
    guard !results.isEmpty else { return [] }
    let columns: [Column] = [
      Column("limit", leastWidth: 16), Column("measure", leastWidth: 12), Column("value"),
      Column("bound"), Column("result"),
    ]
    let rows = Report.Table(
      "limits", title: "Limits", columns: columns,
      rows: results.map { result in
        [
          .text(result.limit.text), .text(result.measure.text), value(result.value, result.measure),
          value(result.bound, result.measure), .text(result.hasFailed ? "failed" : "ok"),
        ]
      })
    return [rows.withUnits()]
  }
}

extension Report.Table {
  /// The same table, in which a terminal shows values in the unit of each row's measure.
  func withUnits(first: [String] = []) -> Report.Table {
    var table = onTerminal(first: first)
    let places = ["baseline", "value", "bound", "baseline_min", "baseline_max", "min", "max"]
      .compactMap { name in columns.firstIndex { $0.name == name } }
    let name = columns.firstIndex { $0.name == "measure" } ?? 0
    let change = columns.firstIndex { $0.name == "change" }
    table.forTerminal = { row in
      guard case .text(let text) = row[name],
        let word = text.split(separator: "(").first,
        let measure = Measure.Name(rawValue: String(word)).map({ Measure($0) })
      else { return row }
      var row = row
      for place in places {
        if let number = row[place].number { row[place] = .text(measure.text(number)) }
      }
      if let change, case .real(let share) = row[change] {
        row[change] = .text((share > 0 ? "+" : "") + Units.percent(share))
      }
      return row
    }
    return table
  }
}

extension SQLiteValue {
  fileprivate var number: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .real(let value): value
    default: nil
    }
  }
}
