import ArgumentParser
import EventLog
import LogAnalysis
import LogFormat
import Querying

struct AdviceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "advice",
    abstract: "Show what is worth knowing about a run, and what to do about it.",
    usage: ScopedVerbOptions.usage("advice [--fail-on <severity>]"),
    discussion: """
      Shows what cost the most time or memory: tasks that are too small or too few, stragglers, \
      transfers, spilling, lost workers, retries that hid an error, a busy scheduler, and more. Each \
      has its cost (seconds of one thread, bytes), what to do, a command that shows it, and how sure \
      it is: "certain" is counted in the log, "likely" is concluded from it. Costs may overlap. The \
      article Advice lists the kinds and what decides them.

      Examples:
        tasklog advice
        tasklog advice --prefix count --since seq:20
      """)

  @OptionGroup var options: ScopedVerbOptions

  @Option(
    help: ArgumentHelp(
      "Exit with code 2 if there is advice of at least this severity: note or warning.",
      valueName: "severity"))
  var failOn: Advice.Severity?

  func run() throws {
    var found: [Advice] = []
    try options.write { reader, runs, scopes in
      let advice = try runs.flatMap { run in
        try reader.advice(of: run, in: scopes[run]).map { (run: run.number, advice: $0) }
      }
      found = advice.map(\.advice)
      return Reports.advice(advice)
    }
    guard let failOn, found.contains(where: { $0.severity >= failOn }) else { return }
    throw ExitCode(Failure.answerCode)
  }
}

extension Advice.Severity: ExpressibleByArgument {}
