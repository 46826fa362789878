import ArgumentParser
import EventLog
import Querying

struct RunsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runs",
    abstract: "List the runs in a log, with how they ended.",
    discussion: """
      A run is closed (its recorder said so), died (its recorder is gone without a word), or still \
      running. Missing events are those that the log knows to have lost.

      Examples:
        tasklog runs
        tasklog runs --format csv
      """)

  @OptionGroup var logs: LogsOptions
  @OptionGroup var format: FormatOptions

  func run() throws {
    let joined = try logs.joined(all: true)
    defer { joined.remove() }
    let reader = try joined.reader()
    try format.write { try Queries.runs(reader, to: &$0) }
    for run in try reader.runs() { try RunNotes.tellParts(run, reader) }
  }
}
