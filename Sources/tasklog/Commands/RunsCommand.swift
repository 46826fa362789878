import ArgumentParser
import EventLog
import Querying

struct RunsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runs",
    abstract: "List the runs in a log, with how they ended.",
    discussion: """
      A run is closed (its recorder said so), died (its recorder is gone without a word), or still \
      running. Missing events are those that the log knows to have lost. Of logs/{run}.db all runs are \
      listed, each with all its files.

      Examples:
        tasklog runs
        tasklog runs --format csv
      """)

  @OptionGroup var log: LogOptions
  @OptionGroup var format: FormatOptions

  func run() throws {
    let names = try RunFileNames(log.given, run: "all")?.paths ?? []
    let readers = try (names.isEmpty ? [log.given] : names).map {
      try LogReader(path: LogOptions.recovered($0))
    }
    try format.write { try Queries.runs(readers, to: &$0) }
  }
}
