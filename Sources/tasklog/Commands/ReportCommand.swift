import ArgumentParser
import EventLog
import Foundation
import LogFormat
import LogMaintenance
import Querying
import Recording
import Reporting

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Write one HTML page that shows what happened in a run.",
    discussion: """
      Task stream, tasks by state, workers, prefixes, errors with tracebacks, slowest tasks, \
      critical path, and the story of each key. The page needs no network: open it from disk, send \
      it, keep it. With several logs their runs are shown as one; halves of one run that were \
      recorded apart come together. A page that would be larger than --limit shortens the hashes in \
      keys, and then the stories; it says so.

      Examples:
        tasklog report -o report.html
        tasklog report --run "#1" --compare latest -o both.html
      """)

  @Option(
    name: [.customShort("o"), .customLong("output")],
    help: ArgumentHelp("The file to write.", valueName: "path"))
  var output: String = "report.html"

  @OptionGroup var logs: LogsOptions
  @OptionGroup var selection: RunOption

  @Option(
    help: ArgumentHelp("A second run, shown beside the first, as --run takes it.", valueName: "run")
  )
  var compare: String?

  @Option(
    help: ArgumentHelp("The log of the second run, when it is another.", valueName: "path"))
  var log2: String?

  @Option(
    help: ArgumentHelp(
      "How large the page may be before it holds less. By default 60.", valueName: "megabytes"))
  var limit: Int?

  func run() throws {
    if let limit, limit < 1 { throw Failure.usage("--limit \(limit): 1 or more megabytes") }
    if log2 != nil, compare == nil {
      throw Failure.usage("--log2: goes with --compare; say which run of it is the second one")
    }
    for path in logs.allPaths + (log2.map(LogTemplate.all) ?? [])
    where FileIdentity.isSame(path, output) {
      throw Failure.usage("-o \(output): is the log itself; name another file")
    }
    var joined: [LogSet] = []
    defer { for logs in joined { logs.remove() } }
    var sides = [try side(logs.asked(run: selection.selector), &joined)]
    if let compare {
      let others = try log2.map { [try ResolvedLog($0, run: compare)] } ?? logs.asked(run: compare)
      sides.append(try side(others, &joined))
    }
    let events = try sides.reduce(Int64(0)) { sum, side in
      try side.runs.reduce(sum) { try $0 + side.reader.eventCount(of: $1) }
    }
    var bar = ProgressBar(total: events, noun: "events")
    let result: ReportPage.Result
    do {
      defer { bar.finish() }
      result = try ReportPage.write(
        sides, to: output, version: taskLogVersion,
        limit: limit.map { $0 * 1_000_000 } ?? ReportPage.sizeLimit
      ) { bar.show($0) }
    }
    tell(result)
    for side in sides { for run in side.runs { try RunWarnings.reportParts(run, side.reader) } }
  }

  private func tell(_ result: ReportPage.Result) {
    Console.print(
      "\(output): \(Printable.count(result.tasks, "task")), "
        + "\(Printable.count(result.spans, "span")) of work, \(Self.size(result.bytes))")
    if result.shortenedKeys > 0 {
      Console.print(
        "  hashes in \(Printable.count(result.shortenedKeys, "key")) are shortened in it")
    }
    if result.omittedEvents > 0 {
      Console.print(
        "  its stories are without \(Printable.count(result.omittedEvents, "event")) of workers; "
          + "'tasklog story' has them")
    }
  }

  private static func size(_ bytes: Int) -> String {
    bytes < 1_000_000
      ? "\((bytes + 999) / 1000) kB" : "\(Double((bytes + 99_999) / 100_000) / 10) MB"
  }

  /// The runs of one log as they are, of several put into one.
  private func side(_ logs: [ResolvedLog], _ kept: inout [LogSet]) throws -> ReportPage.Side {
    let joined = try LogSet(logs, all: false)
    kept.append(joined)
    let name = logs.map(\.name).map(Self.name).joined(separator: " + ")
    guard joined.parts.count > 1 else {
      let reader = try joined.reader()
      return ReportPage.Side(
        reader: reader, runs: try reader.runs(matching: joined.parts[0].selector), name: name)
    }
    // Of logs that have nothing to do with each other, each may have a run that is meant.
    let wanted = Set(
      try logs.flatMap { log in
        try LogReader(path: log.path).runs(matching: log.selector).map(\.id)
      })
    let all = try LogSet(logs, all: true)
    kept.append(all)
    let reader = try all.reader()
    return ReportPage.Side(
      reader: reader, runs: try reader.runs().filter { wanted.contains($0.id) }, name: name)
  }

  private static func name(_ path: String) -> String {
    URL(fileURLWithPath: path).lastPathComponent
  }
}
