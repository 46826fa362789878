import ArgumentParser
import EventLog
import LogFormat
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
      missing, too. "labels" are those of the run; "host", "user" and "git_revision" are of the \
      process that requested the recording. For logs/{run}.db all runs are listed, each with all its files.

      Examples:
        tasklog runs
        tasklog runs --format csv
      """)

  @OptionGroup var logs: LogsOptions
  @OptionGroup var format: FormatOptions

  func run() throws {
    if logs.given.count == 1, LogTemplate.isTemplate(logs.given[0]) {
      let runs = try LogSet.segments(of: logs.given[0], environment: .command())
      try format.write(Reports.runs(runs, ofSeveral: true), options: logs.repeated)
      for run in runs { try RunWarnings.reportIncomplete(run) }
      return
    }
    let logSet = try logs.joined(run: "all", all: true)
    defer { logSet.remove() }
    let reader = try logSet.reader()
    let runs = try RunSegment.runs(in: [reader])
    try format.write(Reports.runs(runs, ofSeveral: false), options: logs.repeated)
    for run in try reader.runs() {
      try RunWarnings.reportParts(run, reader)
      try RunWarnings.reportIncomplete([RunSegment(reader: reader, run: run)])
    }
  }
}
