import EventLog
import LogAnalysis
import LogFormat
import Querying
import TaskLogPlugin

extension Reports {
  /// What happened to a task and why, in sentences.
  ///
  /// - Returns: `nil` if no run has the task.
  /// - Throws: `LogError`.
  package static func explanation(
    _ reader: LogReader, _ runs: [RunInfo], of name: String
  ) throws -> Querying.Report? {
    var rows: [[SQLiteValue]] = []
    for run in runs {
      for case .key(let key) in try reader.subjects(named: name) {
        rows += try reader.explanation(ofKey: key, in: run).sentences.map { sentence in
          [
            .integer(run.number), .integer(Int64(sentence.attempt)),
            .text(Timestamp.iso(sentence.time)), .text(sentence.text),
            .text(JSONWriter.text(.list(sentence.evidence.map(Value.int)))),
          ]
        }
      }
    }
    guard !rows.isEmpty else { return nil }
    return Querying.Report([
      Querying.Report.Table(
        "sentences", title: name,
        columns: [
          Column("run", rank: 9), Column("attempt", rank: 8), Column("time", .time),
          Column("sentence", leastWidth: 30), Column("evidence", .json, rank: 2),
        ], rows: rows)
    ])
  }
}
