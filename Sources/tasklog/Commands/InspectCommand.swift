import ArgumentParser
import EventLog
import LogFormat
import LogMaintenance
import Querying
import Recording

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show a log's contents, recording options, sizes and missing events.",
    discussion: """
      Tables: file, runs, kinds (of events, with the bytes of their args and snapshots), reduced \
      (the number of events with redacted or truncated values, and of filtered events), limits \
      (the recording options that exclude data), gaps, and spools (of recorders whose last events \
      are not in the log yet). Nothing is changed, and spools are not recovered. For logs/{run}.db \
      it shows the newest run, with the size of all its files.

      Examples:
        tasklog inspect
        tasklog inspect --table kinds --format csv
      """)

  @OptionGroup var logs: LogsOptions

  @Option(
    name: .customLong("run"),
    help: ArgumentHelp(
      "latest, all, a number as in 'runs', or a run ID prefix. By default all.", valueName: "run"))
  var selector: String?

  @OptionGroup var report: ReportOptions

  func run() throws {
    // By default only the newest run of a template, which may stand for years of runs.
    let isTemplate = logs.given.contains(where: LogTemplate.isTemplate)
    let logSet = try logs.resolve(
      run: selector ?? (isTemplate ? "latest" : "all"), .one, isRecovering: false)
    defer { logSet.remove() }
    let reader = try logSet.reader()
    let runs = try reader.runs()
    let selected =
      selector == nil && runs.isEmpty ? [] : try logSet.parts[0].runs(reader)
    let files = logSet.named.flatMap { $0.segments.isEmpty ? [$0.path] : $0.segments }
    try report.write(
      Reports.inspection(
        reader, selected,
        files: try logSet.named.flatMap(\.segments).map { try LogReader(path: $0) },
        spools: files.flatMap { Self.spools($0, runs) }))
    for run in selected { try RunWarnings.reportParts(run, reader) }
  }

  private static func spools(_ path: String, _ runs: [RunInfo]) -> [Reports.PendingSpool] {
    Recovery.spools(log: path).map { spool in
      Reports.PendingSpool(
        run: spool.run, bytes: spool.bytes,
        isLive: runs.contains { $0.id == spool.run && $0.end == .running })
    }
  }
}
