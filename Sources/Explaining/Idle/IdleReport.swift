import EventLog
import LogAnalysis
import LogFormat
import Querying
import TaskLogPlugin

extension Reports {
  /// What workers did at a moment, or why they had nothing to do.
  ///
  /// - Parameter name: a name, an address or a pattern of addresses, or a server ID.
  /// - Returns: `nil` if no run has such a worker.
  /// - Throws: `LogError`.
  package static func idle(
    _ reader: LogReader, _ runs: [RunInfo], worker name: String, at point: PointInTime = .end
  ) throws -> Querying.Report? {
    var all: [(run: Int64, worker: IdleWorker)] = []
    for run in runs {
      let found = try reader.idleReasons(of: run, worker: name, at: point)
      all += (found ?? []).map { (run.number, $0) }
    }
    guard !all.isEmpty else { return nil }
    var report = Querying.Report([
      Querying.Report.Table(
        "reasons", title: "What workers did", columns: columns,
        rows: all.flatMap { run, worker in worker.reasons.map { row(run, worker, $0) } })
    ])
    report.text = { text(all, $0) }
    report.hasTablesOnTerminal = false
    return report
  }

  private static let columns = [
    Column("run", rank: 9), Column("worker", .address), Column("time", .time), Column("reason"),
    Column("key", leastWidth: 18), Column("tasks"), Column("other", .address),
    Column("since", .time), Column("sentence", leastWidth: 30), Column("evidence", .json, rank: 5),
  ]

  private static func row(
    _ run: Int64, _ worker: IdleWorker, _ reason: IdleReason
  ) -> [SQLiteValue] {
    [
      .integer(run), .text(worker.worker), .text(Timestamp.iso(worker.moment)),
      .text(reason.kind.rawValue), reason.key.map(SQLiteValue.text) ?? .null,
      .integer(reason.tasks), reason.other.map(SQLiteValue.text) ?? .null,
      reason.since.map { .text(Timestamp.iso($0)) } ?? .null, .text(reason.sentence),
      .text(JSONWriter.text(.list(reason.evidence.map(Value.int)))),
    ]
  }

  private static func text(
    _ all: [(run: Int64, worker: IdleWorker)], _ terminal: Terminal
  ) -> String {
    var block = TextBlock(terminal)
    for (_, worker) in all {
      block.space()
      block.colored(
        "worker \(worker.worker) at \(Units.timeOfDay(worker.moment))",
        isBad: worker.reasons.contains { $0.kind != .running })
      for reason in worker.reasons {
        let seqs = reason.evidence.map { "\($0)" }.joined(separator: ", ")
        block.prose(
          "\(reason.kind.rawValue): \(reason.sentence)\(seqs.isEmpty ? "" : " [seq \(seqs)]")",
          indent: 2)
      }
    }
    return block.text
  }
}
