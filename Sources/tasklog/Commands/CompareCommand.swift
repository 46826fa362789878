import ArgumentParser
import EventLog
import LogMaintenance
import Querying

struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Compare two runs: counts, durations, failures, first difference.",
    discussion: """
      Tables: prefixes, states, and first_difference: the first differing event of the schedulers. \
      Times, stimuli and addresses are not compared.

      Examples:
        tasklog compare "#1" latest
        tasklog compare latest latest --table prefixes --format csv
      """)

  @Argument(help: ArgumentHelp("A run, as for --run.", valueName: "run1"))
  var first: String

  @Argument(help: ArgumentHelp("The other run.", valueName: "run2"))
  var second: String

  @OptionGroup var logs: LogsOptions

  @Option(
    help: ArgumentHelp("The log of the second run, if it is a different one.", valueName: "path"),
    completion: .file())
  var log2: String?

  @OptionGroup var report: ReportOptions

  func run() throws {
    let one = try logs.resolve(run: first, .one)
    defer { one.remove() }
    let other = try LogSet.resolve(
      log2.map { [$0] } ?? logs.given, runs: second, mode: .one, environment: .command())
    defer { other.remove() }
    try report.write(
      Reports.difference(try Self.run(first, of: one), try Self.run(second, of: other)))
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
}
