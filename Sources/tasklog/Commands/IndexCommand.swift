import ArgumentParser
import EventLog
import LogFormat

struct IndexCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "index", abstract: "Build the indexes that speed up queries of a large log.",
    discussion: """
      Builds the indexes on states and stimuli, which take about a ninth of the size of the log. \
      The index on keys always exists. The index on failures is built by the recorder at the end \
      of a run, if the log is small enough for that to take little time.

      Examples:
        tasklog index
        tasklog index --log . --drop
      """)

  @OptionGroup var logs: LogsOptions

  @Flag(help: "Remove the indexes instead.")
  var drop = false

  func run() throws {
    try LogsOptions.forEach(logs.given) { path in
      // Throws if the file is not a log, instead of creating one.
      _ = try LogReader(path: LogOptions.recovered(path))
      let writer = try LogWriter(path: path)
      defer { writer.close(isIndexing: false) }
      if drop { try writer.dropIndexes() } else { try writer.buildIndexes() }
    }
  }
}
