import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

extension Reports {
  /// The workers that left, and why.
  ///
  /// - Parameter scopes: the parts of the runs.
  /// - Throws: `LogError`.
  package static func deaths(
    _ reader: LogReader, _ runs: [RunInfo], in scopes: RunScopes = RunScopes()
  ) throws -> Report {
    let all = try runs.map { ($0.number, try reader.workerEnds(of: $0, in: scopes[$0])) }
    var table = Report.Table(
      "deaths", title: "Workers that left", columns: endColumns,
      rows: all.flatMap { run, ends in ends.map { row(run, $0) } }
    ).onTerminal(first: ["run", "worker", "name", "left", "cause", "tasks", "explanation"])
    table.forTerminal = nameForTerminal
    var report = Report([table]).onTerminal(none: "no worker left")
    if all.contains(where: { !$1.isEmpty }) {
      report.text = { terminal in
        var block = TextBlock(terminal)
        for (_, ends) in all { for end in ends { add(end, to: &block) } }
        return block.text
      }
      report.hasTablesOnTerminal = false
    }
    return report
  }

  private static let endColumns: [Column] = [
    run, Column("worker", .address, leastWidth: 21), Column("name", .json, rank: 5),
    Column("left", .time, rank: 3), Column("cause"), Column("explanation", leastWidth: 30),
    Column("missing", rank: 4), Column("evidence", .json, rank: 6), Column("tasks"),
    Column("keys", .json, rank: 5), Column("suspects", .json, rank: 6),
    Column("recomputed", rank: 4), Column("lost_bytes", .bytes, rank: 5),
    Column("forgotten", rank: 6), Column("memory", .bytes, rank: 4),
    Column("memory_limit", .bytes, rank: 5), Column("growth", .bytes, rank: 6),
    Column("seq", rank: 5), Column("life", rank: 8),
  ]

  /// At most so many keys of a worker are in a row, and shown to people.
  private static let mostKeys = 100
  private static let examples = 5

  private static func row(_ run: Int64, _ end: WorkerEnd) -> [SQLiteValue] {
    let (evidence, verdict) = (end.evidence, end.verdict)
    return [
      .integer(run), .text(end.address), .text(end.name), time(end.time),
      .text(verdict.cause.rawValue), .text(verdict.explanation), text(verdict.missing),
      json(verdict.evidence.map(Value.int)), .integer(end.processing.count),
      json(end.processing.keys.prefix(mostKeys).map(Value.string)),
      json(
        end.suspects.map { suspect in
          .object([
            "key": .string(suspect.key), "workers": .list(suspect.workers.map(Value.string)),
          ])
        }),
      .integer(end.recomputed), .integer(end.lostBytes), .integer(end.forgotten.count),
      evidence.memory.last.map { .integer($0.bytes) } ?? .null,
      evidence.memoryLimit > 0 ? .integer(evidence.memoryLimit) : .null,
      evidence.growth.map { .integer(Int64(saturating: $0)) } ?? .null, .integer(end.seq),
      .integer(end.life),
    ]
  }

  private static func json(_ values: [Value]) -> SQLiteValue {
    .text(JSONWriter.text(.list(values)))
  }

  private static func nameForTerminal(_ row: [SQLiteValue]) -> [SQLiteValue] {
    guard case .text(let json) = row[2] else { return row }
    var row = row
    let name = (try? JSONReader.value(json))?.string ?? json
    row[2] = json == "null" || row[1] == .text(name) ? .null : .text(name)
    return row
  }

  // MARK: - On a terminal

  private static func add(_ end: WorkerEnd, to block: inout TextBlock) {
    block.space()
    let title = "\(label(end)) left at \(Units.timeOfDay(end.time)): \(end.verdict.cause.rawValue)"
    if isTrouble(end.verdict.cause) { block.trouble(title) } else { block.prose(title) }
    addDetails(end, to: &block, indent: 2)
  }

  static func label(_ end: WorkerEnd) -> String {
    let address = WorkerLives.label(end.address, end.life)
    let name = (try? JSONReader.value(end.name))?.string ?? end.name
    return name == "null" || name == end.address ? address : "\(address) (\(name))"
  }

  private static func isTrouble(_ cause: EndVerdict.Cause) -> Bool {
    switch cause {
    case .shutdown, .retired, .scaledDown, .restarted, .closed, .nannyClosed, .lifetime: false
    default: true
    }
  }

  /// What decided it, what it was doing, and what was lost.
  private static func addDetails(_ end: WorkerEnd, to block: inout TextBlock, indent: Int) {
    addCause(end, to: &block, indent: indent)
    if end.processing.count > 0 {
      block.keys(
        "\(Units.count(end.processing.count, "task")) \(end.processing.count == 1 ? "was" : "were") assigned to it:",
        Array(end.processing.keys.prefix(examples)), of: end.processing.count, indent: indent)
    }
    for suspect in end.suspects.prefix(examples) {
      block.prose(
        "\(suspect.key) was assigned before to \(suspect.workers.joined(separator: ", ")), lost as well.",
        indent: indent)
    }
    if end.recomputed > 0 {
      let bytes = end.lostBytes > 0 ? " of \(Units.bytes(Double(end.lostBytes)))" : ""
      block.prose(
        "\(Units.count(end.recomputed, "result"))\(bytes) \(end.recomputed == 1 ? "was" : "were") lost "
          + "and had to be computed again.", indent: indent)
    }
    if end.forgotten.count > 0 {
      block.keys(
        "Data was lost that cannot be computed again; cancelled with it:",
        Array(end.forgotten.keys.prefix(examples)), of: end.forgotten.count, indent: indent)
    }
  }

  /// Why it left, the events that say so, and what would have told.
  static func addCause(_ end: WorkerEnd, to block: inout TextBlock, indent: Int) {
    let seqs = end.verdict.evidence.map { "#\($0)" }.joined(separator: ", ")
    let events =
      seqs.isEmpty ? "" : " (event\(end.verdict.evidence.count == 1 ? "" : "s") \(seqs))"
    block.prose(sentence(end.verdict.explanation) + events + ".", indent: indent)
    if let missing = end.verdict.missing {
      block.prose("What would have told: \(missing).", indent: indent)
    }
  }

  private static func sentence(_ text: String) -> String {
    text.prefix(1).uppercased() + text.dropFirst()
  }
}
