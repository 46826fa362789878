import EventLog
import LogAnalysis
import LogFormat
import Querying
import Scheduling
import TaskLogPlugin

/// How recorded choices of workers compare with the rules.
struct PlacementCount {
  var decisions: Int64 = 0
  /// The recorded worker is one of the best.
  var expected: Int64 = 0
  /// The same, and there are several best ones.
  var ties: Int64 = 0
  /// Only one worker is considered.
  var single: Int64 = 0

  mutating func add(_ recorded: RecordedPlacement) {
    decisions += 1
    if recorded.placement.candidates.count == 1 { single += 1 }
    guard recorded.isExpected else { return }
    expected += 1
    if recorded.placement.best.count > 1 { ties += 1 }
  }
}

extension Reports {
  /// The recorded choices of workers in runs, compared with the rules at the rebuilt state.
  ///
  /// - Throws: `LogError`.
  package static func placements(
    _ reader: LogReader, _ runs: [RunInfo], index: PlacementIndex? = nil
  ) throws -> Querying.Report {
    var counts: [(run: Int64, rule: String, count: PlacementCount)] = []
    var differences: [[SQLiteValue]] = []
    for run in runs {
      let lives = try reader.workerLives(of: run)
      var byRule: [String: PlacementCount] = [:]
      for walk in try PlacementWalk.walks(reader, run) {
        try walk.all(index) { recorded in
          let placement = recorded.placement
          let rule = placement.isRestricted ? "restricted" : placement.rule.rawValue
          byRule[rule, default: PlacementCount()].add(recorded)
          if !recorded.isExpected { differences.append(difference(recorded, rule, run, lives)) }
        }
      }
      counts += byRule.sorted { $0.key < $1.key }.map { (run.number, $0.key, $0.value) }
    }
    return Querying.Report([
      Querying.Report.Table(
        "placements", title: "Choices of a worker, and the rules",
        columns: [
          Column("run", rank: 9), Column("rule"), Column("decisions"), Column("expected"),
          Column("ties"), Column("single"), Column("different"),
        ],
        rows: counts.map { run, rule, count in
          [
            .integer(run), .text(rule), .integer(count.decisions), .integer(count.expected),
            .integer(count.ties), .integer(count.single),
            .integer(count.decisions - count.expected),
          ]
        }),
      Querying.Report.Table(
        "differences", title: "Choices that the rules do not lead to",
        columns: [
          Column("run", rank: 9), Column("seq"), Column("key", leastWidth: 18), Column("rule"),
          Column("worker", .address), Column("sentence", leastWidth: 30),
        ], rows: differences
      ).shown(most: 20),
    ]).onTerminal(none: "no worker was chosen for a task")
  }

  private static func difference(
    _ recorded: RecordedPlacement, _ rule: String, _ run: RunInfo, _ lives: WorkerLives
  ) -> [SQLiteValue] {
    let sentence = PlacementSentence.text(
      recorded.placement, worker: recorded.worker, doubts: recorded.doubts
    ) { lives.label($0, at: recorded.seq) }
    return [
      .integer(run.number), .integer(recorded.seq), .text(recorded.key.text), .text(rule),
      .text(recorded.worker), .text(sentence),
    ]
  }
}

extension WorkerLives {
  /// The name of the worker at an address in a sentence.
  func label(_ address: String, at seq: Int64) -> String {
    place(address, at: seq).map(label) ?? address
  }
}

/// The candidates of a choice.
enum CandidateTable {
  /// The number of candidates that a terminal shows.
  private static let most = 5

  static func table(_ choices: [(run: Int64, choice: TaskExplanation.Choice)])
    -> Querying.Report.Table
  {
    Querying.Report.Table(
      "candidates", title: "The workers that were considered",
      columns: [
        Column("run", rank: 9), Column("attempt"), Column("seq"), Column("rule"),
        Column("worker", .address), Column("chosen"), Column("best"), Column("threads"),
        Column("occupancy", .seconds), Column("processing"), Column("waiting"),
        Column("fetch_bytes", .bytes), Column("start_in", .seconds), Column("nbytes", .bytes),
      ],
      rows: choices.flatMap { run, choice in
        choice.recorded.placement.candidates.map { row($0, run, choice) }
      })
  }

  private static func row(
    _ candidate: Placement.Candidate, _ run: Int64, _ choice: TaskExplanation.Choice
  ) -> [SQLiteValue] {
    let recorded = choice.recorded
    return [
      .integer(run), .integer(Int64(choice.attempt)), .integer(recorded.seq),
      .text(recorded.placement.rule.rawValue), .text(candidate.address),
      .integer(candidate.address == recorded.worker ? 1 : 0), .integer(candidate.isBest ? 1 : 0),
      .integer(Int64(candidate.threads)), .real(candidate.occupancy),
      .integer(Int64(candidate.processing)), .integer(Int64(candidate.waiting)),
      .integer(candidate.missingBytes), .real(candidate.start), .integer(candidate.nbytes),
    ]
  }

  /// The lines of a choice on a terminal; none if only one worker was considered.
  static func lines(_ choice: TaskExplanation.Choice) -> [String] {
    let candidates = choice.recorded.placement.candidates
    guard candidates.count > 1 else { return [] }
    var shown = Array(candidates.prefix(most))
    // The one that was taken, and with it how far it is behind.
    let taken = candidates.first { $0.address == choice.recorded.worker }
    if let taken, !shown.contains(where: { $0.address == taken.address }) {
      shown[most - 1] = taken
    }
    let rows =
      [["", "worker", "threads", "work", "tasks", "waiting", "to fetch", "start in"]]
      + shown.map { cells($0, isTaken: $0.address == choice.recorded.worker) }
    let widths = rows[0].indices.map { column in
      rows.map { Printable.width($0[column]) }.max() ?? 0
    }
    var lines = rows.map { row in
      row.indices.map { column in
        let space = String(repeating: " ", count: widths[column] - Printable.width(row[column]))
        return column < 2 ? row[column] + space : space + row[column]
      }.joined(separator: "  ")
    }
    let others = candidates.count - shown.count
    if others > 0 {
      lines.append("   … and \(Units.count(Int64(others))) more; --format jsonl has all")
    }
    return lines
  }

  private static func cells(_ candidate: Placement.Candidate, isTaken: Bool) -> [String] {
    [
      isTaken ? "*" : "", Printable.text(candidate.address), "\(candidate.threads)",
      Units.duration(seconds: candidate.occupancy), "\(candidate.processing)",
      "\(candidate.waiting)", Units.bytes(Double(candidate.missingBytes)),
      Units.duration(seconds: candidate.start),
    ]
  }
}
