import ArgumentParser
import EventLog
import Explaining
import LogAnalysis
import LogFormat
import LogMaintenance
import Querying
import Recording
import Reporting

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Write an HTML page about a run.",
    usage:
      "tasklog report [<filter> ...] [-o <path>] [--log <path> ...] [--run <run>] "
      + "[--compare <run>] [--log2 <path>] [--limit <megabytes>]",
    discussion: """
      Shows the task stream, tasks by state, workers, prefixes, errors with tracebacks, slowest \
      tasks, critical path, and the story of each key. The page needs no network: open it from \
      disk, send it, keep it. The runs of several logs are shown as one, and halves of one run \
      that were recorded separately are merged. If the page would be larger than --limit, the \
      hashes in keys are shortened, then the stories; the page and the command report that.

      Examples:
        tasklog report -o report.html
        tasklog report --run "#1" --compare latest -o both.html
        tasklog report --prefix count --since seq:20 -o count.html
      """)

  @Option(
    name: [.customShort("o"), .customLong("output")],
    help: ArgumentHelp("The file to write.", valueName: "path"))
  var output: String = "report.html"

  @OptionGroup var logs: LogsOptions
  @OptionGroup var selection: RunOption
  @OptionGroup(title: "Filters") var scope: ScopeOptions

  @Option(
    help: ArgumentHelp("A second run, shown next to the first; as for --run.", valueName: "run")
  )
  var compare: String?

  @Option(
    help: ArgumentHelp("The log of the second run, if it is a different one.", valueName: "path"))
  var log2: String?

  @Option(
    help: ArgumentHelp(
      "The maximum size of the page, which omits details to fit. By default 60.",
      valueName: "megabytes"))
  var limit: Int?

  func run() throws {
    if let limit, limit < 1 {
      throw Failure.usage("--limit \(limit): expected 1 or more megabytes")
    }
    if log2 != nil, compare == nil {
      throw Failure.usage("--log2: requires --compare, which selects the second run")
    }
    for path in try logs.allPaths() + (log2.map(ArchiveFiles.logs) ?? [])
    where FileIdentity.isSame(path, output) {
      throw Failure.usage("-o \(output): is the log itself; name another file")
    }
    let filter = try scope.filter(now: Clock.now())
    var logSets: [LogSet] = []
    defer { for logSet in logSets { logSet.remove() } }
    var sides = [try side(logs.given, selection.selector, selection.choice(), &logSets)]
    if let compare {
      sides.append(try side(log2.map { [$0] } ?? logs.given, compare, nil, &logSets))
    }
    let isEmpty = try select(filter, jobs: logSets.map(\.jobs), &sides)
    let lines = sides.flatMap(\.shares)
    if isEmpty { throw Failure.run(lines.joined(separator: "; ")) }
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
    for line in lines { Console.warn(line) }
    report(result)
    for side in sides { for run in side.runs { try RunWarnings.reportParts(run, side.reader) } }
  }

  /// Restricts the sides to the selected parts; returns whether there is nothing to show.
  ///
  /// - Parameter jobs: those that were selected on each side.
  private func select(
    _ filter: ScopeFilter, jobs: [[String: [Job]]], _ sides: inout [ReportPage.Side]
  ) throws -> Bool {
    var isEmpty = true
    for index in sides.indices {
      let scoped = try ScopedRuns(
        sides[index].reader, sides[index].runs, filter, jobs: jobs[index])
      (sides[index].scopes, sides[index].shares) = (scoped.scopes, scoped.lines)
      isEmpty = isEmpty && scoped.isEmpty
    }
    return isEmpty
  }

  private func report(_ result: ReportPage.Result) {
    Console.print(
      "\(output): \(Printable.count(result.tasks, "task")), "
        + "\(Printable.count(result.spans, "span")) of work, \(Self.size(result.bytes))")
    if result.shortenedKeys > 0 {
      Console.print(
        "  hashes are shortened in \(Printable.count(result.shortenedKeys, "key"))")
    }
    if result.omittedEvents > 0 {
      Console.print(
        "  its stories omit \(Printable.count(result.omittedEvents, "event")) of workers; "
          + "see 'tasklog story'")
    }
  }

  private static func size(_ bytes: Int) -> String {
    bytes < 1_000_000
      ? "\((bytes + 999) / 1000) kB" : "\(Double((bytes + 99_999) / 100_000) / 10) MB"
  }

  /// A side with the runs of one log, or of several merged logs.
  private func side(
    _ names: [String], _ selector: String, _ choose: RunChoice?,
    _ logSets: inout [LogSet]
  ) throws -> ReportPage.Side {
    // Unrelated logs may each have a selected run.
    let logSet = try LogSet.resolve(
      names, runs: selector, choosing: choose, mode: .oneOfSelections, environment: .command())
    logSets.append(logSet)
    let reader = try logSet.reader()
    return ReportPage.Side(
      reader: reader, runs: try logSet.parts[0].runs(reader),
      name: logSet.named.map(\.name).map(Self.name).joined(separator: " + "),
      explain: { run in
        // Of up to 400 tasks, each of which may have waited for most of the run.
        let history = try TaskHistory(reader, run, mostWaitEvents: 10_000)
        return { key in
          try history.explanation(ofKey: key, choices: .none).sentences.map {
            ReportPage.Sentence(attempt: Int64($0.attempt), time: $0.time, text: $0.text)
          }
        }
      })
  }

  /// The name of a log in the title of the page.
  private static func name(_ path: String) -> String { path.lastPathComponent }
}
