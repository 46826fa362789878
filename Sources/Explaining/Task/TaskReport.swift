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
    var all: [(run: Int64, sentence: TaskExplanation.Sentence)] = []
    for run in runs {
      for case .key(let key) in try reader.subjects(named: name) {
        all += try reader.explanation(ofKey: key, in: run).sentences.map { (run.number, $0) }
      }
    }
    guard !all.isEmpty else { return nil }
    let table = Querying.Report.Table(
      "sentences", title: name,
      columns: [
        Column("run"), Column("attempt"), Column("time", .time), Column("sentence"),
        Column("evidence", .json),
      ],
      rows: all.map { run, sentence in
        [
          .integer(run), .integer(Int64(sentence.attempt)), .text(Timestamp.iso(sentence.time)),
          .text(sentence.text), .text(JSONWriter.text(.list(sentence.evidence.map(Value.int)))),
        ]
      })
    var report = Querying.Report([table])
    report.text = { text(all, ofSeveral: runs.count > 1, $0) }
    report.hasTablesOnTerminal = false
    return report
  }

  /// A part for each attempt.
  private static func text(
    _ all: [(run: Int64, sentence: TaskExplanation.Sentence)], ofSeveral: Bool, _ terminal: Terminal
  ) -> String {
    var block = TextBlock(terminal)
    var heading = ""
    for (run, sentence) in all {
      let attempt =
        sentence.attempt == 0 ? "before its first attempt" : "attempt \(sentence.attempt)"
      let new = ofSeveral ? "run #\(run), \(attempt)" : attempt
      if new != heading {
        block.space()
        block.colored(new, isBad: false)
        heading = new
      }
      let time = Units.timeOfDay(sentence.time)
      let seqs = sentence.evidence.map { "\($0)" }.joined(separator: ", ")
      block.prose("\(time)  \(sentence.text) [seq \(seqs)]", indent: 2)
    }
    return block.text
  }
}
