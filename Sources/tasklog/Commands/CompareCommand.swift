import ArgumentParser
import EventLog
import LogAnalysis
import LogMaintenance
import Querying
import Reporting

struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Compare two runs, or runs with a baseline of many; fail if one got worse.",
    usage: """
      tasklog compare <run1> <run2> [--log2 <path>] [<option> ...]
      tasklog compare --baseline <expression> [<run> ...] [<option> ...]
      """,
    discussion: """
      Two runs are compared in full. Tables: prefixes, states, first_difference (the first differing \
      event of the schedulers; times, stimuli and addresses are not compared) and measures.

      With --baseline runs (by default the latest) are compared with those that the expression selects, \
      without the compared ones. Tables: measures and runs. A difference is called "higher" or \
      "lower" if the medians differ by 10 % or more and chance makes one as large in less than 1 % of \
      such comparisons (rank-sum test, Holm's correction over all measures). A single run is not \
      called so; its place among the others is shown. If the expressions name job, client or span, these are \
      compared instead of whole runs, by default the newest one.

      A limit such as 'makespan > 1.2x', 'p95(prefix=load) > 3s', 'failed > 0' or 'time(class=disk) \
      > 2x' is tested on the median of the runs, where x is the median of the baseline, or of run1. The \
      exit code is 2 if a limit is exceeded. Measures: makespan, work, idle, missing, \
      time(class=…), and, of all tasks or with (prefix=…), tasks, failed, retried, work, bytes, p50, p95.

      Examples:
        tasklog compare "#1" latest
        tasklog compare latest latest --table prefixes --format csv
        tasklog compare --log . --baseline 'closed last 20' --fail-if 'missing > 0'
      """)

  @Argument(help: ArgumentHelp("A run, as for --run.", valueName: "run"))
  var compared: [String] = []

  @OptionGroup var logs: LogsOptions
  @OptionGroup var many: RunsOption

  @Option(
    help: ArgumentHelp("The log of the second run, if it is a different one.", valueName: "path"),
    completion: .file())
  var log2: String?

  @Option(
    help: ArgumentHelp(
      "Compare with all runs of which this is true, as for --runs.", valueName: "expression"))
  var baseline: String?

  @Option(
    help: ArgumentHelp("Exit with code 2 if this is true; can be repeated.", valueName: "limit"))
  var failIf: [String] = []

  @Option(
    help: ArgumentHelp("Write the limits as JUnit XML, too.", valueName: "path"),
    completion: .file())
  var junit: String?

  @OptionGroup var report: ReportOptions

  func run() throws {
    let limits = try failIf.map { try MeasureLimit($0) }
    if junit != nil, limits.isEmpty {
      throw Failure.usage("--junit: there are no limits to write; add --fail-if")
    }
    let results = try baseline == nil ? compareTwo(limits) : compareMany(limits)
    try finish(results)
  }

  // MARK: - Two runs

  private func compareTwo(_ limits: [MeasureLimit]) throws -> [MeasureLimit.Result] {
    guard many.runs == nil else {
      throw Failure.usage("--runs: what to compare these runs with? Add --baseline")
    }
    guard compared.count == 2 else {
      throw Failure.usage(
        "name two runs to compare, as in 'tasklog compare \"#1\" latest', or a --baseline of many")
    }
    let one = try logs.resolve(run: compared[0], .one)
    defer { one.remove() }
    let other = try LogSet.resolve(
      log2.map { [$0] } ?? logs.given, runs: compared[1], mode: .one, environment: .command())
    defer { other.remove() }
    let (difference, results) = try Reports.difference(
      try Self.run(compared[0], of: one), try Self.run(compared[1], of: other), limits)
    try report.write(difference)
    return results
  }

  private static func run(
    _ selector: String, of logSet: LogSet
  ) throws -> (LogReader, RunInfo) {
    let reader = try logSet.reader()
    let runs = try logSet.parts[0].runs(reader)
    guard runs.count == 1 else {
      throw Failure.usage("\(selector): selects several runs; compare two single runs")
    }
    return (reader, runs[0])
  }

  // MARK: - Many runs

  private func compareMany(_ limits: [MeasureLimit]) throws -> [MeasureLimit.Result] {
    if log2 != nil { throw Failure.usage("--log2 and --baseline cannot be combined") }
    if many.runs != nil, !compared.isEmpty {
      throw Failure.usage("\(compared[0]): name runs, or select them with --runs, not both")
    }
    let kind = try RunArchive.kind(of: baseline ?? "", option: "--baseline")
    var archive = try RunArchive(logs)
    let chosen = try chosen(&archive, kind)
    let others = try archive.select(baseline ?? "", option: "--baseline", excluding: chosen)
    guard !others.isEmpty else {
      throw Failure.run(
        "--baseline '\(baseline ?? "")': selects no \(kind?.rawValue ?? "run") to compare with; "
          + "see 'tasklog \(kind == nil ? "runs" : "jobs")'")
    }
    let found = archive.figures(of: others + chosen)
    let compared = Set(chosen)
    let before = found.filter { !compared.contains($0.item) }.map(\.run)
    let after = found.filter { compared.contains($0.item) }.map(\.run)
    guard !before.isEmpty, !after.isEmpty else {
      let side = before.isEmpty ? "baseline's" : "compared"
      throw Failure.run("none of the \(side) runs can be read")
    }
    let results = try limits.flatMap {
      try $0.results(of: after.map(\.figures), baseline: before.map(\.figures))
    }
    try report.write(
      Reports.comparison(after, baseline: before, results), options: logs.repeated)
    return results
  }

  /// What is compared: runs, or jobs if the baseline selects jobs; by default the newest.
  ///
  /// - Parameter kind: what the baseline selects.
  private func chosen(
    _ archive: inout RunArchive, _ kind: Job.Kind?
  ) throws -> [Archive.Item] {
    if let expression = many.runs {
      guard try RunArchive.kind(of: expression, option: "--runs") == kind else {
        throw Failure.usage(
          "--runs and --baseline must both select runs, or jobs of the same kind")
      }
      return try archive.selected(many)
    }
    if let kind {
      if let run = compared.first {
        throw Failure.usage(
          "\(run): the baseline selects a \(kind) of each run; select what to compare with --runs")
      }
      return try archive.select(baseline ?? "", option: "--baseline").suffix(1)
    }
    var chosen: [Int] = []
    for selector in compared.isEmpty ? ["latest"] : compared {
      chosen += try archive.runs(matching: selector).filter { !chosen.contains($0) }
    }
    return chosen.map { Archive.Item(index: $0) }
  }

  // MARK: - Limits

  /// Writes what the limits say, and fails if one is exceeded.
  private func finish(_ results: [MeasureLimit.Result]) throws {
    if let junit {
      let file = try OutputFile(path: junit)
      try file.write(JUnitXML.text(results, suite: "tasklog compare"))
      try file.commit()
    }
    let failed = results.filter(\.hasFailed)
    guard !failed.isEmpty else { return }
    // A terminal has shown them.
    if !report.format.isTable { for result in failed { Console.warn(result.text) } }
    throw Failure(
      message: failed.count == 1
        ? "failed: \(failed[0].limit.text)"
        : "failed: \(failed.count) of \(results.count) limits", code: Failure.answerCode)
  }
}
