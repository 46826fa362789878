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

  @OptionGroup var logs: LogsOptions
  @OptionGroup var format: FormatOptions

  func run() throws {
    if logs.given.count == 1, let names = try RunFileNames(logs.given[0], run: "all"),
      !names.paths.isEmpty
    {
      let readers = try names.paths.map { try LogReader(path: LogOptions.recovered($0)) }
      return try format.write { try Queries.runs(readers, to: &$0) }
    }
    let joined = try logs.joined(run: "all", all: true)
    defer { joined.remove() }
    let reader = try joined.reader()
    try format.write { try Queries.runs([reader], to: &$0) }
    for run in try reader.runs() { try RunNotes.tellParts(run, reader) }
  }
}
