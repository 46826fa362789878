import EventLog
import LogAnalysis
import Querying
import TaskLogPlugin

/// What is worth knowing about the runs of a page.
struct AdviceTable {
  private var rows: [(run: Int, advice: Advice)] = []

  mutating func add(_ run: RunInfo, _ scan: PageScan) throws {
    let index = scan.runs.count - 1
    rows += try scan.reader.advice(of: run, in: scan.scopes[run]).map { (index, $0) }
  }

  /// Run, severity, kind, subject, cost in microseconds, bytes, certainty, finding, action, evidence.
  var document: Value {
    .list(
      rows.map { run, advice in
        .list([
          .int(Int64(run)), .string(advice.severity.rawValue), .string(advice.kind.rawValue),
          advice.subject.map(Value.string) ?? .null,
          advice.cost.map { .int(($0 + 500) / 1000) } ?? .null,
          advice.bytes.map(Value.int) ?? .null, .string(advice.certainty.rawValue),
          .string(advice.finding), .string(advice.action), .string(advice.evidence.commandLine),
        ])
      })
  }
}
