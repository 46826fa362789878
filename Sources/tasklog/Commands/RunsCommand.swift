import ArgumentParser
import EventLog
import LogMaintenance
import Querying

struct RunsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runs",
    abstract: "List the runs in a log, with how they ended.",
    discussion: """
      A run is closed (its recorder said so), died (its recorder is gone without a word), or still \
      running. Missing events are those that the log knows to have lost; incomplete is how many workers \
      have no end in the log, so that their last events may be missing, too. Of logs/{run}.db all runs \
      are listed, each with all its files.

      Examples:
        tasklog runs
        tasklog runs --format csv
      """)

  @OptionGroup var logs: LogsOptions
  @OptionGroup var format: FormatOptions

  func run() throws {
    if logs.given.count == 1, let parts = try Self.parts(logs.given[0]) {
      try format.write { try Queries.write(parts.runs, ofSeveral: parts.files > 1, to: &$0) }
      for run in parts.runs { try RunWarnings.reportIncomplete(run) }
      return
    }
    let joined = try logs.joined(run: "all", all: true)
    defer { joined.remove() }
    let reader = try joined.reader()
    try format.write { try Queries.runs([reader], to: &$0) }
    for run in try reader.runs() {
      try RunWarnings.reportParts(run, reader)
      try RunWarnings.reportIncomplete([RunSegment(reader: reader, run: run)])
    }
  }

  /// What the files of a name like `logs/{run}.db` have of each run; nothing for other names, or when
  /// there are none.
  private static func parts(_ given: String) throws -> (runs: [[RunSegment]], files: Int)? {
    while let names = try RotatedRunResolver(given, run: "all"), !names.paths.isEmpty {
      let readers = try names.paths.map { try LogReader(path: LogOptions.recovered($0)) }
      let runs = try Queries.parts(of: readers)
      // A run may have gone on in another file meanwhile, and looks ended without that.
      if try RotatedRunResolver(given, run: "all")?.paths == names.paths {
        return (runs, readers.count)
      }
    }
    return nil
  }
}
