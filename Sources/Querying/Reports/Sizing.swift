import EventLog
import LogAnalysis
import LogFormat

extension Reports {
  /// What tasks needed, which workers would have held the runs, and what these cost.
  ///
  /// - Throws: `LogError`.
  package static func sizing(
    _ reader: LogReader, _ runs: [RunInfo], in scopes: RunScopes = RunScopes()
  ) throws -> Report {
    let all = try runs.map { ($0.number, try reader.sizing(of: $0, in: scopes[$0])) }
    var hours = all.flatMap { run, sizing in
      sizing.hours.map { hoursRow(.integer(run), $0, isRun: $0.kind == "run") }
    }
    hours += try labels(reader, all).map { hoursRow(.null, $0, isRun: false) }
    var report = Report([
      Report.Table(
        "prefixes", title: "Tasks", columns: sizingPrefixColumns,
        rows: all.flatMap { run, sizing in sizing.prefixes.map { prefixRow(run, $0) } }
      ).onTerminal(
        first: ["run", "prefix", "tasks", "memory_low", "memory_high", "cpu_share", "moved"]),
      Report.Table(
        "workers", title: "Workers that would have held it", columns: shapeColumns,
        rows: all.flatMap { run, sizing in sizing.shapes.map { shapeRow(run, $0) } }),
      Report.Table("hours", title: "Core-hours", columns: hoursColumns, rows: hours),
    ])
    report.text = { terminal in
      var block = TextBlock(terminal)
      for (_, sizing) in all where !sizing.prefixes.isEmpty { block.prose(trust(sizing)) }
      return block.text
    }
    return report
  }

  private static let sizingPrefixColumns = [
    run, Column("prefix", leastWidth: 18), Column("tasks"), Column("memory_low", .bytes),
    Column("memory_high", .bytes), Column("memory_seen", .bytes, rank: 3), Column("basis", rank: 2),
    Column("sampled_tasks", rank: 4), Column("samples", rank: 4), Column("left_out", rank: 5),
    Column("held", rank: 5), Column("cpu_share", .share), Column("busy", .seconds, rank: 1),
    Column("bytes", .bytes, rank: 1), Column("moved", .bytes),
  ]

  private static func prefixRow(_ run: Int64, _ prefix: Sizing.Prefix) -> [SQLiteValue] {
    let memory = prefix.memory
    return [
      .integer(run), text(prefix.name), .integer(prefix.tasks), bytes(memory.low),
      bytes(memory.high), bytes(memory.seen), .text(memory.basis.rawValue),
      .integer(Int64(memory.tasks)), .integer(Int64(memory.samples)),
      .integer(Int64(memory.leftOut)), .integer(Int64(memory.held)),
      prefix.cpuShare.map(SQLiteValue.real) ?? .null, seconds(prefix.busy), .integer(prefix.bytes),
      prefix.moved.map(SQLiteValue.integer) ?? .null,
    ]
  }

  private static let shapeColumns = [
    run, Column("threads"), Column("workers"), Column("memory_low", .bytes),
    Column("memory_high", .bytes), Column("limit", .bytes), Column("covered", .share),
    Column("seen", .bytes),
  ]

  private static func shapeRow(_ run: Int64, _ shape: Sizing.Shape) -> [SQLiteValue] {
    [
      .integer(run), .integer(shape.threads), .integer(shape.workers), bytes(shape.low),
      bytes(shape.high), bytes(shape.limit), .real(shape.covered), bytes(shape.seen),
    ]
  }

  private static let hoursColumns = [
    run, Column("kind"), Column("name", leastWidth: 18), Column("used_hours", .hours),
    Column("wasted_hours", .hours), Column("idle_hours", .hours),
  ]

  private static func hoursRow(
    _ run: SQLiteValue, _ hours: Sizing.Hours, isRun: Bool
  ) -> [SQLiteValue] {
    func value(_ nanoseconds: Int64) -> SQLiteValue { .real(Double(nanoseconds) / 3.6e12) }
    return [
      run, .text(hours.kind), isRun ? .null : .text(hours.name ?? "(none)"), value(hours.used),
      value(hours.wasted), value(hours.idle),
    ]
  }

  private static func bytes(_ bytes: Double?) -> SQLiteValue {
    bytes.map { .integer(Int64(saturating: $0.rounded())) } ?? .null
  }

  /// The thread-time of all runs with a label, for each label.
  private static func labels(
    _ reader: LogReader, _ all: [(run: Int64, sizing: Sizing)]
  ) throws -> [Sizing.Hours] {
    let origins = try reader.origins()
    var sums: [String: Sizing.Hours] = [:]
    for (run, sizing) in all {
      guard let whole = sizing.hours.first(where: { $0.kind == "run" }),
        let text = origins[run]?.labels,
        case .dict(let labels)? = try? JSONReader.value(text)
      else { continue }
      for label in labels {
        let name = "\(label.key.string ?? "")=\(label.value.string ?? JSONWriter.text(label.value))"
        var sum = sums[name] ?? Sizing.Hours(kind: "label", name: name)
        sum.used &+= whole.used
        sum.wasted &+= whole.wasted
        sum.idle &+= whole.idle
        sums[name] = sum
      }
    }
    return sums.values.sorted { ($0.name ?? "") < ($1.name ?? "") }
  }

  /// How far the estimates can be trusted.
  private static func trust(_ sizing: Sizing) -> String {
    let known = sizing.prefixes.filter { $0.memory.high != nil && $0.memory.basis != .mixed }
    let (held, leftOut) = known.reduce((0, 0)) { ($0.0 + $1.memory.held, $0.1 + $1.memory.leftOut) }
    let checked =
      leftOut > 0
      ? " Of \(Units.count(Int64(leftOut), "task")) left out of the estimates, \(held) stayed within the "
        + "range from the others." : ""
    let count = "\(known.count) of \(Units.count(Int64(sizing.prefixes.count)))"
    return
      "Memory is an estimate from what workers measured about every half second, and is known of "
      + "\(count) prefixes.\(checked)"
  }
}
