import ArgumentParser
import EventLog
import LogFormat
import LogMaintenance
import Querying

struct MessagesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "messages",
    abstract: "Show what Dask's loggers wrote on scheduler, workers and nannies.",
    usage: """
      tasklog messages [<filter> ...] [--run <run>] [--format <format>] [-n <count>] [--follow]
      """,
    discussion: """
      A repeated filter means "or", different filters mean "and"; filters apply before limits. \
      Recorded are messages at WARNING and above, unless the option "messages" of the recorder says \
      otherwise; of many in one second only some, and "dropped" is the number of those that were left \
      out before a message. The view "messages" has the tracebacks, too.

      Examples:
        tasklog messages
        tasklog messages --level error --worker 0
        tasklog messages --grep "heartbeat|memory" --follow
      """)

  @OptionGroup var logs: LogsOptions
  @OptionGroup var selection: RunOption
  @OptionGroup(title: "Filters") var filters: MessageFilterOptions
  @OptionGroup var format: FormatOptions

  @Option(
    name: [.customShort("n"), .customShort("l"), .customLong("limit")], parsing: .unconditional,
    help: ArgumentHelp(
      "The maximum number of rows; with --follow, of the last recorded rows.", valueName: "count"))
  var limit: Int?

  @Flag(help: "Show the last message first.")
  var reverse = false

  @Flag(name: .shortAndLong, help: "Follow a live run until it ends.")
  var follow = false

  func run() throws {
    if let limit, limit < 0 { throw Failure.usage("--limit \(limit): expected 0 or more") }
    if reverse, follow { throw Failure.usage("--reverse and --follow cannot be combined") }
    // Errors in the command come before any error of a log.
    let filter = try filters.filter(now: Clock.now())
    var options = EventQuery.Options()
    options.limit = limit
    options.isReversed = reverse
    options.follows = follow
    options.columns = Self.columns.compactMap { EventColumn($0.name) }
    options.shownColumns = Self.columns.map(\.column)
    let isTemplate = logs.given.count == 1 && LogTemplate.isTemplate(logs.given[0])
    let logSet = try logs.resolve(
      run: selection.selector, choosing: selection.choice(),
      follow || isTemplate ? .files : .groups, follows: follow, restoresOrder: false)
    defer { logSet.remove() }
    let query = try EventQuery(logSet, filter: filter, options: options)
    try format.writeInParts { try query.write(to: &$0, flush: $1) }
    if follow {
      for (log, run) in try query.deadRuns() {
        RunWarnings.reportDeath(run, of: logSet.parts.count > 1 ? log : nil)
      }
    }
  }

  /// The columns of the view `events`, and how they are shown.
  private static let columns: [(name: String, column: Column)] = [
    ("seq", Column("seq", rank: 5)), ("time", Column("time", .time)),
    ("run", Column("run", rank: 7)), ("source", Column("source", rank: 4, leastWidth: 9)),
    ("worker", Column("worker", .address, rank: 3)), ("args.level", Column("level")),
    ("args.logger", Column("logger", rank: 2)), ("args.text", Column("text", leastWidth: 30)),
    ("args.dropped", Column("dropped", rank: 6)),
  ]
}

/// The options that select messages.
struct MessageFilterOptions: ParsableArguments {
  private static let levels = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

  @Option(
    help: ArgumentHelp(
      "A worker's name, address or address pattern: what it or its nanny wrote.",
      valueName: "worker"))
  var worker: [String] = []

  @Option(
    help: ArgumentHelp(
      "The lowest level: debug, info, warning, error or critical.", valueName: "level"),
    completion: .list(levels.map { $0.lowercased() }))
  var level: String?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("A regular expression that matches in the message.", valueName: "regex"))
  var grep: [String] = []

  @OptionGroup var times: TimeOptions

  func filter(now: Int64) throws -> EventFilter {
    var filter = EventFilter()
    filter.hooks = ["message"]
    filter.workers = worker
    filter.patterns = try grep.map { try FilterParsing.pattern($0, option: "--grep") }
    if let level {
      guard let first = Self.levels.firstIndex(of: level.uppercased()) else {
        throw Failure.usage(
          "--level \(level): expected \(Self.levels.map { $0.lowercased() }.joined(separator: ", "))"
        )
      }
      let names = Self.levels[first...].joined(separator: "|")
      filter.args = [ArgCondition(name: "level", comparison: .matches, value: "^(\(names))$")]
    }
    try times.add(to: &filter, now: now)
    return filter
  }
}
