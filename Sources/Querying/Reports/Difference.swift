import EventLog
import LogAnalysis
import LogFormat

extension Reports {
  /// Compares two runs side by side, with the first differing event of their schedulers. Values
  /// that always differ between runs (times, stimuli, addresses of workers) are ignored.
  ///
  /// - Parameter limits: tested with the first run as the baseline.
  /// - Throws: `LogError`, `MeasureError`.
  package static func difference(
    _ first: (reader: LogReader, run: RunInfo), _ second: (reader: LogReader, run: RunInfo),
    _ limits: [MeasureLimit] = []
  ) throws -> (report: Report, results: [MeasureLimit.Result]) {
    let one = try first.reader.summary(of: first.run)
    let two = try second.reader.summary(of: second.run)
    let difference = try FirstDifference(first, second)
    // What threads did takes longer than all else: only where it is requested.
    func figures() throws -> (before: [RunFigures], after: [RunFigures]) {
      (
        [try first.reader.figures(of: first.run, one)],
        [try second.reader.figures(of: second.run, two)]
      )
    }
    func measures() throws -> [Comparison] {
      let (before, after) = try figures()
      return Comparison.all(of: after, baseline: before).filter { $0.measure.prefix == nil }
    }
    var results: [MeasureLimit.Result] = []
    if !limits.isEmpty {
      let (before, after) = try figures()
      results = try limits.flatMap { try $0.results(of: after, baseline: before) }
    }
    let report = Report(
      [
        Report.Table(
          "prefixes", title: "Tasks by prefix", columns: prefixColumns, rows: prefixRows(one, two)
        ).onTerminal(
          first: ["prefix", "tasks1", "tasks2", "failed1", "failed2", "compute1", "compute2"]),
        Report.Table(
          "states", title: "Seconds in each state", columns: stateColumns,
          rows: stateRows(one, two)
        ).onTerminal(title: "Time in each state"),
        Report.Table(
          "first_difference", title: "The first difference", columns: eventColumns,
          rows: difference.map(eventRows) ?? []
        ).onTerminal(whenEmpty: "none: the schedulers of both runs did the same"),
        measureTable(measures),
      ] + limitTables(results))
    return (report, results)
  }

  // MARK: - Figures

  private static let prefixColumns: [Column] = [
    Column("prefix", leastWidth: 14),
    Column("tasks1"), Column("tasks2"), Column("done1", rank: 4), Column("done2", rank: 4),
    Column("failed1"), Column("failed2"), Column("retried1", rank: 3),
    Column("retried2", rank: 3), Column("nbytes1", .bytes, rank: 2),
    Column("nbytes2", .bytes, rank: 2),
    Column("compute1", .seconds, rank: 1), Column("compute2", .seconds, rank: 1),
  ]

  private static func prefixRows(_ one: RunSummary, _ two: RunSummary) -> [[SQLiteValue]] {
    let names = Set(one.prefixes.map(\.name)).union(two.prefixes.map(\.name))
    return names.sorted { ($0 ?? "") < ($1 ?? "") }.map { name in
      let a = one.prefixes.first { $0.name == name } ?? RunSummary.Prefix()
      let b = two.prefixes.first { $0.name == name } ?? RunSummary.Prefix()
      return [
        text(name), .integer(a.tasks), .integer(b.tasks), .integer(a.done), .integer(b.done),
        .integer(a.failed), .integer(b.failed), .integer(a.retried), .integer(b.retried),
        .integer(a.nbytes), .integer(b.nbytes), rounded(a.computeSeconds, 1e6),
        rounded(b.computeSeconds, 1e6),
      ]
    }
  }

  private static let stateColumns: [Column] = [
    Column("prefix", leastWidth: 14), Column("source", rank: 2, leastWidth: 9),
    Column("state", .state), Column("count1", rank: 1), Column("count2", rank: 1),
    Column("p50_1", .seconds), Column("p50_2", .seconds), Column("max1", .seconds, rank: 3),
    Column("max2", .seconds, rank: 3),
  ]

  private static func stateRows(_ one: RunSummary, _ two: RunSummary) -> [[SQLiteValue]] {
    struct StateKey: Hashable, Comparable {
      var prefix, source, state: String

      init(_ state: RunSummary.State) {
        (prefix, source, self.state) = (state.prefix ?? "", state.source, state.state)
      }

      static func < (a: StateKey, b: StateKey) -> Bool {
        (a.prefix, a.source, a.state) < (b.prefix, b.source, b.state)
      }
    }
    let before = Dictionary(one.states.map { (StateKey($0), $0) }, uniquingKeysWith: { $1 })
    let after = Dictionary(two.states.map { (StateKey($0), $0) }, uniquingKeysWith: { $1 })
    return Set(before.keys).union(after.keys).sorted().map { id in
      let (a, b) = (before[id], after[id])
      return [
        .text(id.prefix), .text(id.source), .text(id.state), .integer(a?.count ?? 0),
        .integer(b?.count ?? 0), a.map { seconds($0.p50) } ?? .null,
        b.map { seconds($0.p50) } ?? .null, a.map { seconds($0.max) } ?? .null,
        b.map { seconds($0.max) } ?? .null,
      ]
    }
  }

  // MARK: - The stream

  private static let eventColumns: [Column] = [
    Column("side"), Column("event"), Column("seq", rank: 2), Column("time", .time, rank: 1),
    Column("hook"), key, Column("start", .state), Column("finish", .state),
  ]

  /// The differing events of both sides; only one if the other side has ended before.
  private static func eventRows(_ difference: FirstDifference) -> [[SQLiteValue]] {
    [(1, difference.first), (2, difference.second)].compactMap { side, step in
      step.map { step in
        [
          .integer(side), .integer(difference.number), .integer(step.seq), time(step.time),
          .text(step.hook), text(step.key), text(step.start), text(step.finish),
        ]
      }
    }
  }
}
