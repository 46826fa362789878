import ArgumentParser
import EventLog
import Glibc
import LogFormat
import LogMaintenance
import Querying
import Recording

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

  @OptionGroup var log: LogOptions

  @Option(
    help: ArgumentHelp("The log of the second run, if it is a different one.", valueName: "path"),
    completion: .file())
  var log2: String?

  @OptionGroup var report: ReportOptions

  func run() throws {
    let one = try ResolvedLog(log.given, run: first)
    defer { one.close() }
    let other = try ResolvedLog(log2 ?? log.given, run: second)
    defer { other.close() }
    try report.write(
      Reports.difference(try Self.run(first, of: one), try Self.run(second, of: other)))
  }

  private static func run(
    _ selector: String, of log: ResolvedLog
  ) throws -> (LogReader, RunInfo) {
    let reader = try LogReader(path: log.path)
    let runs = try reader.runs(matching: log.selector)
    guard runs.count == 1 else {
      throw Failure.usage("\(selector): selects several runs; compare two single runs")
    }
    return (reader, runs[0])
  }
}

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show a log's contents, recording options, sizes and missing events.",
    discussion: """
      Tables: file, runs, kinds (of events, with the bytes of their args and snapshots), withheld \
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
      "latest, all, #N, or a run ID prefix. By default all.", valueName: "run"))
  var selector: String?

  @OptionGroup var report: ReportOptions

  func run() throws {
    // By default only the newest run of a template, which may stand for years of runs.
    let isTemplate = logs.given.contains(where: LogTemplate.isTemplate)
    let resolved = try logs.resolve(
      run: selector ?? (isTemplate ? "latest" : "all"), isRecovering: false)
    let logSet = try LogSet(resolved, all: resolved.count > 1)
    defer { logSet.remove() }
    let reader = try logSet.reader()
    let runs = try reader.runs()
    let selected =
      selector == nil && runs.isEmpty ? [] : try reader.runs(matching: logSet.parts[0].selector)
    let files = resolved.flatMap { $0.isJoined ? $0.files : [$0.path] }
    try report.write(
      Reports.inspection(
        reader, selected, files: try resolved.flatMap(\.files).map { try LogReader(path: $0) },
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

struct MergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge", abstract: "Merge the runs of several logs into one log.",
    discussion: """
      Events keep their identity, and events that are already present are skipped. Two halves of \
      one run become one run, and a merge can be repeated.

      Examples:
        tasklog merge monday.db tuesday.db --into week.db
      """)

  @Argument(help: ArgumentHelp("The logs to read.", valueName: "log"), completion: .file())
  var logs: [String]

  @Option(
    help: ArgumentHelp("The log to write; created if it does not exist.", valueName: "path"),
    completion: .file())
  var into: String

  func run() throws {
    guard !LogTemplate.isTemplate(into) else {
      throw Failure.usage("--into \(into): the merged log is one file; omit {run} from its name")
    }
    let logs = logs.flatMap(LogTemplate.all)
    for path in logs {
      guard !FileIdentity.isSame(path, into) else {
        throw Failure.usage("--into \(into): is one of the logs to read; name another file")
      }
    }
    // Open all logs before writing anything.
    let resolved = try logs.map { try ResolvedLog($0, run: "all") }
    let logSet = try LogSet(resolved, all: false, recordsMissingAsGaps: false)
    defer { logSet.remove() }
    let readers = try logSet.parts.map { try $0.reader() }
    let merge = try LogMerge(into: into)
    defer { merge.close() }
    for reader in readers {
      let events = try reader.runs().reduce(Int64(0)) { try $0 + reader.totals(of: $1).events }
      var bar = ProgressBar(total: events, noun: "events")
      let result = try merge.add(reader) { bar.show($0) }
      bar.finish()
      let duplicates = result.known > 0 ? ", \(result.known) already present" : ""
      Console.print(
        "\(reader.name): \(Printable.count(result.runs, "run")), "
          + "\(Printable.count(result.added, "event")) added\(duplicates)")
    }
    for run in try LogReader(path: into).runs() { RunWarnings.reportFiles(run, path: into) }
  }
}

struct IndexCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "index", abstract: "Build the indexes that speed up queries of a large log.",
    discussion: """
      Builds the indexes on states and stimuli, which take about a ninth of the size of the log. \
      The index on keys always exists. The index on failures is built by the recorder at the end \
      of a run, if the log is small enough for that to take little time.

      Examples:
        tasklog index
        tasklog index --drop
      """)

  @OptionGroup var log: LogOptions

  @Flag(help: "Remove the indexes instead.")
  var drop = false

  func run() throws {
    for path in LogTemplate.all(log.given) {
      // Throws if the file is not a log, instead of creating one.
      _ = try LogReader(path: LogOptions.recovered(path))
      let writer = try LogWriter(path: path)
      defer { writer.close(isIndexing: false) }
      if drop { try writer.dropIndexes() } else { try writer.buildIndexes() }
    }
  }
}
