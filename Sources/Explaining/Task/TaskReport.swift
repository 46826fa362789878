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
    _ reader: LogReader, _ runs: [RunInfo], of name: String, isFull: Bool = false,
    index: PlacementIndex? = nil
  ) throws -> Querying.Report? {
    var all: [(run: Int64, sentence: TaskExplanation.Sentence)] = []
    var choices: [(run: Int64, choice: TaskExplanation.Choice)] = []
    for run in runs {
      let history = try TaskHistory(reader, run, index: index)
      for case .key(let key) in try reader.subjects(named: name) {
        let explanation = try history.explanation(
          ofKey: key, choices: isFull ? .all : .usual)
        all += explanation.sentences.map { (run.number, $0) }
        choices += explanation.choices.map { (run.number, $0) }
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
    var report = Querying.Report([table, CandidateTable.table(choices)])
    report.text = { text(all, choices, ofSeveral: runs.count > 1, $0) }
    report.hasTablesOnTerminal = false
    return report
  }

  /// A part for each attempt.
  private static func text(
    _ all: [(run: Int64, sentence: TaskExplanation.Sentence)],
    _ choices: [(run: Int64, choice: TaskExplanation.Choice)], ofSeveral: Bool,
    _ terminal: Terminal
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
      // By its event: keys of the same text may have attempts of the same number.
      let choice = choices.first { $0.choice.recorded.seq == sentence.evidence.last }
      if sentence.isChoice, let choice {
        for line in CandidateTable.lines(choice.choice) { block.verbatim(line, indent: 4) }
      }
    }
    return block.text
  }
}
