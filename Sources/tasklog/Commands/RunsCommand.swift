import ArgumentParser
import EventLog
import LogMaintenance
import Querying

struct RunsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runs",
    abstract: "List the runs in a log, and how they ended.",
    discussion: """
      A run is closed (its recorder recorded the end), died (its recorder stopped without \
      recording an end), or running. "missing" is the number of events known to be lost; \
      "incomplete" is the number of workers without an end in the log, whose last events may be \
      missing, too. For logs/{run}.db all runs are listed, each with all its files.

      Examples:
        tasklog runs
        tasklog runs --format csv
      """)

  @OptionGroup var logs: LogsOptions
  @OptionGroup var format: FormatOptions

  func run() throws {
    if logs.given.count == 1, let parts = try Self.parts(logs.given[0]) {
      try format.write(
        Reports.runs(parts.runs, ofSeveral: parts.files > 1), options: logs.repeated)
      for run in parts.runs { try RunWarnings.reportIncomplete(run) }
      return
    }
    let logSet = try logs.joined(run: "all", all: true)
    defer { logSet.remove() }
    let reader = try logSet.reader()
    let runs = try EventQueries.parts(of: [reader])
    try format.write(Reports.runs(runs, ofSeveral: false), options: logs.repeated)
    for run in try reader.runs() {
      try RunWarnings.reportParts(run, reader)
      try RunWarnings.reportIncomplete([RunSegment(reader: reader, run: run)])
    }
  }

  /// The segments of each run of a template such as `logs/{run}.db`; `nil` for other names, or if
  /// there are no files.
  private static func parts(_ template: String) throws -> (runs: [[RunSegment]], files: Int)? {
    while let resolver = try RotatedRunResolver(template, run: "all"), !resolver.paths.isEmpty {
      let readers = try resolver.paths.map { try LogReader(path: LogOptions.recovered($0)) }
      let runs = try EventQueries.parts(of: readers)
      // A new segment may have been started meanwhile; without it a live run looks ended.
      if try RotatedRunResolver(template, run: "all")?.paths == resolver.paths {
        return (runs, readers.count)
      }
    }
    return nil
  }
}
