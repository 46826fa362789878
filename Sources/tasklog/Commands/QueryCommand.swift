import ArgumentParser
import EventLog
import Glibc
import LogFormat
import LogMaintenance
import Querying

struct QueryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "query",
    abstract: "Show the events of a run, or query the log with SQL.",
    usage: """
      tasklog query [<filter> ...] [--run <run>] [--format <format>] [-n <count>]
      tasklog query <sql> [-p <name=value> ...] [--format <format>] [-n <count>]
      tasklog query --schema
      """,
    discussion: """
      A repeated filter means "or", different filters mean "and"; filters apply before limits. \
      Without --hook only transitions are shown. On a terminal a table omits columns that do not \
      fit and marks that with "…"; the other formats have all columns.

      Examples:
        tasklog query --finish erred
        tasklog query --key "('count', *)" --worker 0 -n 20
        tasklog query --arg "nbytes>1000" --columns key,worker,args.nbytes
        tasklog query --source worker --group-by worker,finish
        tasklog query --hook addWorker --columns time,worker
        tasklog query "SELECT key, seconds FROM slowest WHERE prefix = :p" -p p=count
        tasklog query "SELECT count(*) FROM tasks" --each --log . --runs closed

      --schema lists the views for SQL, each with an example.
      """)

  @Argument(help: ArgumentHelp("A SELECT over the views of the log; read-only.", valueName: "sql"))
  var sql: String?

  @OptionGroup var logs: LogsOptions
  @OptionGroup var selection: RunOption
  @OptionGroup(title: "Filters") var filters: FilterOptions
  @OptionGroup(title: "Output") var output: QueryOutputOptions
  @OptionGroup var format: FormatOptions

  @Option(
    name: [.customShort("p"), .customLong("param")], parsing: .unconditionalSingleValue,
    help: ArgumentHelp("A value for :name in the SQL.", valueName: "name=value"))
  var parameters: [String] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The time limit of SQL; 0 for none. By default 60.", valueName: "seconds"))
  var timeout: Double?

  @Flag(
    help:
      "Run the SQL on each run of --runs, or all runs of the logs, and show its run in each row.")
  var each = false

  @Flag(help: "List the views for SQL, with their columns and an example of each.")
  var schema = false

  func run() throws {
    if schema { return try SchemaText.write(format) }
    try output.check()
    if let sql { return try run(sql: sql) }
    for (option, isGiven) in [
      ("-p", !parameters.isEmpty), ("--timeout", timeout != nil), ("--each", each),
    ] where isGiven {
      throw Failure.usage("\(option) requires SQL")
    }
    // Errors in the command come before any error of a log.
    let filter = try filters.filter(now: Clock.now())
    let options = try output.options()
    let logSet = try logSet()
    defer { logSet.remove() }
    let query = try EventQuery(logSet, filter: filter, options: options)
    for reason in query.emptyReasons { Console.warn(reason) }
    try format.writeInParts { try query.write(to: &$0, flush: $1) }
    if case .events = options.result, output.showCursor {
      Console.printError("cursor: \(try query.cursor())")
    }
    if output.follow {
      let isSeveral = logSet.parts.count > 1 && logSet.template == nil
      for (log, run) in try query.deadRuns() {
        RunWarnings.reportDeath(run, of: isSeveral ? log : nil)
      }
    }
    let segments = try logSet.parts.map { part in
      let reader = try part.reader()
      return try part.runs(reader).map { RunSegment(reader: reader, run: $0) }
    }
    if logSet.template != nil {
      return try RunWarnings.print(files: segments.compactMap(\.last))
    }
    for part in segments.joined() {
      try RunWarnings.print(
        part.reader, [part.run], of: segments.count > 1 ? part.reader.name : nil)
    }
  }

  private func logSet() throws -> LogSet {
    // Following and cursors treat each log separately. The segments of a run are read one after
    // the other, without a merge.
    let isPerLog = output.follow || output.showCursor || output.afterCursor != nil
    let isTemplate = logs.given.count == 1 && LogTemplate.isTemplate(logs.given[0])
    // The graphs of a run may be in other segments than the events of their tasks.
    let joinsSegments = isTemplate && !filters.span.isEmpty
    if joinsSegments, isPerLog {
      throw Failure.usage(
        "--span: cannot be combined with --follow or a cursor for \(logs.given[0]); name one log")
    }
    return try logs.resolve(
      run: selection.selector, choosing: selection.choice(),
      isPerLog || isTemplate && !joinsSegments ? .files : .groups, follows: output.follow,
      restoresOrder: false)
  }

  private func run(sql: String) throws {
    let selectors =
      (selection.run == nil ? [] : ["--run"]) + (selection.runs == nil ? [] : ["--runs"])
    let unsupported = (each ? [] : selectors) + filters.given + output.given
    if let option = unsupported.first {
      throw Failure.usage("\(option) cannot be combined with SQL; filter in the WHERE clause")
    }
    if let timeout, !(timeout >= 0 && timeout < 1e9) {
      throw Failure.usage("--timeout \(timeout): expected 0 (no limit) or more seconds")
    }
    let parameters = try parameters.map(Self.parameter)
    if each { return try run(sql: sql, parameters, ofEachIn: RunArchive(logs)) }
    // There is no --run here: of a template the newest run.
    let logSet = try logs.resolve(run: "latest", .groups, restoresOrder: false)
    defer { logSet.remove() }
    guard logSet.parts.count == 1 else {
      throw Failure.usage("SQL reads one log; combine several with 'tasklog merge'")
    }
    let path = logSet.parts[0].path
    let seconds = timeout ?? 60
    SQLMemory.limitProcess()
    try format.write {
      try EventQueries.sql(
        sql, path: path, parameters: parameters, timeoutSeconds: seconds > 0 ? seconds : nil,
        limit: output.limit, begin: Self.endIfStuck, to: &$0)
    }
  }

  /// Runs SQL on each of the selected runs, one after the other.
  private func run(
    sql: String, _ parameters: [(name: String, value: SQLiteValue)], ofEachIn archive: RunArchive
  ) throws {
    var archive = archive
    let indexes = try archive.selectedRuns(selection, else: selection.run ?? "all")
    let takesRun = sql.contains(":run")
    let seconds = timeout ?? 60
    SQLMemory.limitProcess()
    try format.write { writer in
      var rows = RowsOfRuns(writer)
      for index in indexes {
        try archive.read(index) { reader, run in
          if !takesRun, try reader.runs().count > 1 {
            throw Failure.usage(
              "\(reader.name): has several runs: add 'WHERE run = :run' to the SQL")
          }
          rows.run = (Int64(index + 1), run.id)
          var output: any RowWriter = rows
          defer { if let written = output as? RowsOfRuns { rows = written } }
          try EventQueries.sql(
            sql, path: reader.path,
            parameters: parameters + (takesRun ? [("run", .integer(run.number))] : []),
            timeoutSeconds: seconds > 0 ? seconds : nil, limit: self.output.limit,
            begin: Self.endIfStuck, to: &output)
        }
      }
      rows.end()
    }
  }

  /// Ends the program if the time is over and SQL is in a function that does not end.
  private static func endIfStuck(_ limit: StatementLimit) {
    guard let seconds = limit.seconds else { return }
    let thread = ParallelThread.start {
      limit.waitUntilStuck()
      Console.warn(UserSQLError.tookTooLong(seconds: seconds).description)
      ScratchFolder.removeAll()
      // Not with `exit`: what it calls belongs to the thread that is stuck.
      _exit(Failure.runCode)
    }
    if let thread { pthread_detach(thread) }
  }

  /// Parses `name=value`; a value that reads as a number becomes one.
  private static func parameter(_ text: String) throws -> (name: String, value: SQLiteValue) {
    guard let sign = text.firstIndex(of: "="), sign != text.startIndex else {
      throw Failure.usage("-p \(text.isEmpty ? "''" : text): expected name=value")
    }
    let value = String(text[text.index(after: sign)...])
    if let number = Int64(value), String(number) == value {
      return (String(text[..<sign]), .integer(number))
    }
    if let number = Double(value), number.isFinite, number.description == value {
      return (String(text[..<sign]), .real(number))
    }
    return (String(text[..<sign]), .text(value))
  }
}

/// The options for the output of the selected events.
struct QueryOutputOptions: ParsableArguments {
  @Option(
    name: [.customShort("n"), .customShort("l"), .customLong("limit")], parsing: .unconditional,
    help: ArgumentHelp(
      "The maximum number of rows; with --follow, of the last recorded rows.", valueName: "count"))
  var limit: Int?

  @Flag(help: "Show the last event first.")
  var reverse = false

  @Option(
    help: ArgumentHelp(
      "Show these columns of the view events, or args.NAME, separated by commas.",
      valueName: "columns"))
  var columns: String?

  @Flag(help: "Show only the number of events.")
  var count = false

  @Option(
    help: ArgumentHelp(
      "Show the number of events for each value of these columns.", valueName: "columns"))
  var groupBy: String?

  @Flag(name: .shortAndLong, help: "Follow a live run until it ends.")
  var follow = false

  @Flag(help: "Print a cursor for --after-cursor on the standard error at the end.")
  var showCursor = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Show only events that arrived after this cursor.", valueName: "cursor"))
  var afterCursor: String?

  /// The names of the options in use that cannot be combined with SQL.
  var given: [String] {
    [
      ("--reverse", reverse), ("--columns", columns != nil), ("--count", count),
      ("--group-by", groupBy != nil), ("--follow", follow), ("--show-cursor", showCursor),
      ("--after-cursor", afterCursor != nil),
    ].filter(\.1).map(\.0)
  }

  func check() throws {
    if let limit, limit < 0 {
      throw Failure.usage("--limit \(limit): expected 0 or more")
    }
    for (first, second) in [
      (("--reverse", reverse), ("--follow", follow)), (("--count", count), ("--follow", follow)),
      (("--group-by", groupBy != nil), ("--follow", follow)),
      (("--count", count), ("--group-by", groupBy != nil)),
      (("--count", count), ("--columns", columns != nil)),
      (("--group-by", groupBy != nil), ("--columns", columns != nil)),
    ] where first.1 && second.1 {
      throw Failure.usage("\(first.0) and \(second.0) cannot be combined")
    }
  }

  func options() throws -> EventQuery.Options {
    var options = EventQuery.Options()
    options.limit = limit
    options.isReversed = reverse
    options.follows = follow
    options.afterCursor = afterCursor
    options.columns = try columns.map { try Self.columns($0, option: "--columns") }
    if count { options.result = .count }
    if let groupBy {
      options.result = .groups(
        try Self.columns(groupBy, option: "--group-by", forGroups: true))
    }
    return options
  }

  /// - Parameter forGroups: only columns that events can be counted by.
  private static func columns(_ list: String, option: String, forGroups: Bool = false) throws
    -> [EventColumn]
  {
    let names = EventColumn.known.filter { !forGroups || EventColumn($0)?.isGroup == true }
    return try list.split(separator: ",", omittingEmptySubsequences: false).map { name in
      // `group` is Dask's word; GROUP is a keyword of SQL.
      let name = name == "group" ? "key_group" : String(name)
      guard let column = EventColumn(name), !forGroups || column.isGroup else {
        throw Failure.usage(
          "\(option) \(name.isEmpty ? "''" : name): unknown column; columns are "
            + names.joined(separator: ", ") + ", args.NAME")
      }
      return column
    }
  }
}
