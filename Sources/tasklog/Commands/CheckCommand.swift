import ArgumentParser
import EventLog
import LogAnalysis
import LogFormat
import LogMaintenance
import Querying

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Check a log for damage and inconsistencies.",
    discussion: """
      Checks the file, its views, references between rows, args, gaps in seqs, invalid \
      transitions, the ends of runs, and the spools next to the log. An error is damage that the \
      log does not record itself; a warning is a loss that it records, or events that are not \
      recovered yet. If several recorders consumed a run from one queue, missing events are \
      searched in all logs that are named. The exit code is 2 if there are errors, with --strict \
      also if there are warnings. Nothing is changed.

      Examples:
        tasklog check
        tasklog check --quick --strict --format jsonl
      """)

  @OptionGroup var logs: LogsOptions

  @Flag(help: "Skip the slow checks: the contents of args, blobs and indexes.")
  var quick = false

  @Flag(help: "Fail on warnings, too.")
  var strict = false

  @OptionGroup var format: FormatOptions

  func run() throws {
    var failed = false
    var rows: [[SQLiteValue]] = []
    var summaries: [String] = []
    var parts = PartialRunAudit()
    // The logs are read without recovery: events in spools stay there, and are reported.
    let paths = try logs.allPaths()
    for path in paths {
      let result: LogCheck.Result
      do {
        result = try check(path)
      } catch let error as LogError where paths.count > 1 {
        // The others are checked all the same.
        failed = true
        rows.append(
          Self.row(Finding(.unreadable, place: "the file", detail: error.description), path))
        summaries.append("\(path): cannot be read")
        continue
      }
      failed = failed || result.hasErrors || (strict && result.hasWarnings)
      rows += result.findings.map { Self.row($0, path) }
      summaries.append(Self.summary(result, path))
      // The check itself has reported an unreadable log.
      if !result.hasErrors { try parts.add(LogReader(path: path)) }
    }
    for (finding, logs) in parts.findings {
      failed = failed || strict
      rows.append(Self.row(finding, logs.joined(separator: " + ")))
    }
    let columns = [
      Column("severity", .state), Column("finding", leastWidth: 20), Column("log", rank: 2),
      Column("run"), Column("count"), Column("place", leastWidth: 18),
      Column("detail", leastWidth: 30),
    ]
    if !rows.isEmpty || !format.isTable {
      try format.write(
        Reports.findings(
          Report.Table("findings", title: "Findings", columns: columns, rows: rows), rows))
    }
    if format.isTable { for summary in summaries { Console.print(summary) } }
    if failed { throw ExitCode(Failure.answerCode) }
  }

  private func check(_ path: String) throws -> LogCheck.Result {
    let check = try LogCheck(path: path)
    // Why it cannot be read is among the findings.
    let total = (try? LogReader(path: path).lastSeq()) ?? 0
    var bar = ProgressBar(total: total, noun: "events")
    defer { bar.finish() }
    return try check.run(isQuick: quick) { bar.show($0) }
  }

  private static func row(_ finding: Finding, _ path: String) -> [SQLiteValue] {
    [
      .text(finding.severity.rawValue), .text(finding.kind.rawValue), .text(path),
      finding.run.map { .integer($0) } ?? .null, .integer(finding.count), .text(finding.place),
      .text(finding.detail),
    ]
  }

  private static func summary(_ result: LogCheck.Result, _ path: String) -> String {
    let extent =
      "\(Printable.count(result.events, "event")) of \(Printable.count(result.runs, "run"))"
    guard !result.findings.isEmpty else { return "\(path): \(extent), no findings" }
    let counts = [(Finding.Severity.error, "error"), (.warning, "warning"), (.info, "note")]
      .compactMap { severity, name in
        let count = result.findings.count { $0.severity == severity }
        return count > 0 ? Printable.count(count, name) : nil
      }
    return "\(path): \(extent), \(counts.joined(separator: ", "))"
  }
}
