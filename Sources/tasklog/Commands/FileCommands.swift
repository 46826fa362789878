import ArgumentParser
import EventLog
import Glibc
import LogFormat
import LogMaintenance
import Querying
import Recording

struct DiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "Compare two runs: counts, durations, failures, first difference.",
    discussion: """
      Tables: prefixes, states, and first_difference: the first event of the schedulers that is \
      another. Times, stimuli and addresses are not compared.

      Examples:
        tasklog diff "#1" latest
        tasklog diff latest latest --table prefixes --format csv
      """)

  @Argument(help: ArgumentHelp("A run, as --run takes it.", valueName: "run1"))
  var first: String

  @Argument(help: ArgumentHelp("Another one.", valueName: "run2"))
  var second: String

  @OptionGroup var log: LogOptions

  @Option(
    help: ArgumentHelp("The log of the second run, when it is another.", valueName: "path"),
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
    _ selector: String, of asked: ResolvedLog
  ) throws -> (LogReader, RunInfo) {
    let reader = try LogReader(path: asked.path)
    let runs = try reader.runs(matching: asked.selector)
    guard runs.count == 1 else { throw Failure.usage("\(selector): diff compares two single runs") }
    return (reader, runs[0])
  }
}

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what is recorded in a log, how, and what is missing from it.",
    discussion: """
      Tables: file, runs, kinds (of events, with the bytes of their args and snapshots), withheld \
      (in how many events values are redacted or capped, and how many events a filter has left out), \
      limits (what the recorder was told not to keep), gaps, and spools (of recorders whose last \
      events are not in the log yet). Changes nothing: spools stay as they are. Of logs/{run}.db \
      it shows the newest run, with the bytes of all its files.

      Examples:
        tasklog inspect
        tasklog inspect --table kinds --format csv
      """)

  @OptionGroup var logs: LogsOptions

  @Option(
    name: .customLong("run"),
    help: ArgumentHelp(
      "latest, all, #number, or the beginning of a run's id. By default all.", valueName: "run"))
  var selector: String?

  @OptionGroup var report: ReportOptions

  func run() throws {
    // Of many logs the newest run; they may hold the runs of years.
    let isTemplate = logs.given.contains(where: LogTemplate.isTemplate)
    let asked = try logs.asked(
      run: selector ?? (isTemplate ? "latest" : "all"), isRecovering: false)
    let joined = try LogSet(asked, all: asked.count > 1)
    defer { joined.remove() }
    let reader = try joined.reader()
    let runs = try reader.runs()
    let selected =
      selector == nil && runs.isEmpty ? [] : try reader.runs(matching: joined.parts[0].selector)
    let files = asked.flatMap { $0.isJoined ? $0.files : [$0.path] }
    try report.write(
      Reports.inspection(
        reader, selected, files: try asked.flatMap(\.files).map { try LogReader(path: $0) },
        spools: files.flatMap { Self.spools($0, runs) }))
    for run in selected { try RunWarnings.reportParts(run, reader) }
  }

  private static func spools(_ path: String, _ runs: [RunInfo]) -> [Reports.Undrained] {
    Recovery.spools(log: path).map { spool in
      Reports.Undrained(
        run: spool.run, bytes: spool.bytes,
        isLive: runs.contains { $0.id == spool.run && $0.end == .running })
    }
  }
}

struct MergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge", abstract: "Put the runs of several logs into one.",
    discussion: """
      Events keep their identity: what is there already is not put in twice, so that two halves of \
      one run come together and a merge can be repeated.

      Examples:
        tasklog merge monday.db tuesday.db --into week.db
      """)

  @Argument(help: ArgumentHelp("The logs to read.", valueName: "log"), completion: .file())
  var logs: [String]

  @Option(
    help: ArgumentHelp("The log to write; made where there is none.", valueName: "path"),
    completion: .file())
  var into: String

  func run() throws {
    guard !LogTemplate.isTemplate(into) else {
      throw Failure.usage("--into \(into): one log comes out of it; name it without {run}")
    }
    let logs = logs.flatMap(LogTemplate.all)
    for path in logs {
      guard !FileIdentity.isSame(path, into) else {
        throw Failure.usage("--into \(into): is one of the logs that are read; name another")
      }
    }
    // All are opened before anything is written.
    let asked = try logs.map { try ResolvedLog($0, run: "all") }
    let joined = try LogSet(asked, all: false, judges: false)
    defer { joined.remove() }
    let readers = try joined.parts.map { try $0.reader() }
    let merge = try LogMerge(into: into)
    defer { merge.close() }
    for reader in readers {
      let events = try reader.runs().reduce(Int64(0)) { try $0 + reader.totals(of: $1).events }
      var bar = ProgressBar(total: events, noun: "events")
      let result = try merge.add(reader) { bar.show($0) }
      bar.finish()
      let known = result.known > 0 ? ", \(result.known) were there already" : ""
      Console.print(
        "\(reader.name): \(Printable.count(result.runs, "run")), "
          + "\(Printable.count(result.added, "event")) added\(known)")
    }
    for run in try LogReader(path: into).runs() { RunWarnings.reportFiles(run, path: into) }
  }
}

struct IndexCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "index", abstract: "Build the indexes that make a large log faster to ask.",
    discussion: """
      On states and stimuli, about a ninth of the size of the log. The one on keys is always there, \
      and a recorder builds that on failures when a run ends, as long as the log is small enough \
      for that to take no time worth mentioning.

      Examples:
        tasklog index
        tasklog index --drop
      """)

  @OptionGroup var log: LogOptions

  @Flag(help: "Take the indexes away again.")
  var drop = false

  func run() throws {
    for path in LogTemplate.all(log.given) {
      // Refuses what is no log, rather than making one.
      _ = try LogReader(path: LogOptions.recovered(path))
      let writer = try LogWriter(path: path)
      defer { writer.close(isIndexing: false) }
      if drop { try writer.dropIndexes() } else { try writer.buildIndexes() }
    }
  }
}
