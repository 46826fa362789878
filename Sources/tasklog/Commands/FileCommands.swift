import ArgumentParser
import EventLog
import Glibc
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
    let reader = try LogReader(path: log.recoveredPath())
    let other = try log2.map { try LogReader(path: LogOptions.recovered($0)) } ?? reader
    try report.write(
      Verbs.difference(
        (reader, try Self.one(first, reader)), (other, try Self.one(second, other))))
  }

  private static func one(_ selector: String, _ reader: LogReader) throws -> RunInfo {
    let runs = try reader.runs(matching: selector)
    guard runs.count == 1 else { throw Failure.usage("\(selector): diff compares two single runs") }
    return runs[0]
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
      events are not in the log yet). Changes nothing: spools stay as they are.

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
    let joined = try JoinedLogs(logs.paths, all: logs.paths.count > 1)
    defer { joined.remove() }
    let reader = try joined.reader()
    let runs = try reader.runs()
    let selected =
      selector == nil && runs.isEmpty ? [] : try reader.runs(matching: selector ?? "all")
    try report.write(
      Verbs.inspection(reader, selected, spools: logs.paths.flatMap { Self.spools($0, runs) }))
    for run in selected { try RunNotes.tellParts(run, reader) }
  }

  private static func spools(_ path: String, _ runs: [RunInfo]) -> [Verbs.Undrained] {
    Recovery.spools(log: path).map { spool in
      Verbs.Undrained(
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
    let recovered = try logs.map(LogOptions.recovered)
    let joined = try JoinedLogs(recovered, all: false, judges: false)
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
    // Refuses what is no log, rather than making one.
    _ = try LogReader(path: log.recoveredPath())
    let writer = try LogWriter(path: log.path)
    defer { writer.close(isIndexing: false) }
    if drop { try writer.dropIndexes() } else { try writer.buildIndexes() }
  }
}
