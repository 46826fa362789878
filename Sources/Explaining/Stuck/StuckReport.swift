import EventLog
import LogAnalysis
import LogFormat
import Querying
import TaskLogPlugin

extension Reports {
  /// What the unfinished tasks of runs wait for.
  ///
  /// - Throws: `LogError`.
  package static func stuck(
    _ reader: LogReader, _ runs: [RunInfo], at point: PointInTime = .end
  ) throws -> Querying.Report {
    let all = try runs.flatMap { run in
      try reader.stuckCauses(of: run, at: point).map { (run: run.number, cause: $0) }
    }
    var report = Querying.Report([
      Querying.Report.Table(
        "causes", title: "What tasks wait for", columns: columns, rows: all.map(row))
    ])
    if !all.isEmpty {
      report.text = { terminal in text(all, terminal) }
    }
    report.hasTablesOnTerminal = false
    return report.onTerminal(
      none: "no unfinished tasks at that moment; --at shows an earlier one")
  }

  private static let columns = [
    Column("run", rank: 9), Column("cause"), Column("key", leastWidth: 18), Column("tasks"),
    Column("waiting"), Column("wanted"), Column("worker", .address), Column("since", .time),
    Column("sentence", leastWidth: 30), Column("chain", .json, rank: 4),
    Column("evidence", .json, rank: 5), Column("disagreed", rank: 6),
  ]

  private static func row(_ run: Int64, _ cause: StuckCause) -> [SQLiteValue] {
    [
      .integer(run), .text(cause.kind.rawValue), .text(cause.key), .integer(cause.tasks),
      .integer(cause.waiting), .integer(cause.wanted), cause.worker.map(SQLiteValue.text) ?? .null,
      cause.since.map { .text(Timestamp.iso($0)) } ?? .null, .text(cause.sentence),
      .text(JSONWriter.text(.list(cause.chain.map(Value.string)))),
      .text(JSONWriter.text(.list(cause.evidence.map(Value.int)))),
      cause.disagreement.map { .integer($0.seq) } ?? .null,
    ]
  }
}

extension Reports {
  /// The number of causes that a terminal shows.
  private static let mostCauses = 20

  private static func text(_ all: [(run: Int64, cause: StuckCause)], _ terminal: Terminal) -> String
  {
    var block = TextBlock(terminal)
    for (_, cause) in all.prefix(mostCauses) {
      block.space()
      let wait = cause.waiting == 1 ? "waits" : "wait"
      let waiting =
        cause.waiting > 0
        ? ", and \(Units.count(cause.waiting, "task")) that \(wait) for \(cause.tasks == 1 ? "it" : "them")"
        : ""
      block.colored(
        "\(cause.kind.rawValue): \(Units.count(cause.tasks, "task"))\(waiting)",
        isBad: cause.kind != .running && cause.kind != .noThread)
      block.prose(cause.sentence, indent: 2)
      if cause.chain.count > 1 {
        block.prose(
          "A client waits for "
            + cause.chain.map { "'\($0)'" }.joined(separator: ", which waits for ")
            + ".", indent: 2)
      }
      if let story = TextBlock.story(cause.key) {
        block.commands([(story, "its events")], indent: 2)
      }
    }
    if all.count > mostCauses {
      block.space()
      block.prose(
        "… and \(Units.count(Int64(all.count - mostCauses), "more cause")); --format jsonl has all")
    }
    return block.text
  }
}
