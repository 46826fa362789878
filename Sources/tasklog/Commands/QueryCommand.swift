import ArgumentParser
import EventLog
import Filters
import LogFormat
import Querying

struct QueryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "query",
    abstract: "Show the transitions of a run, or ask the log anything in SQL.",
    usage: """
      tasklog query [<filter> ...] [--run <run>] [--format <format>] [-n <count>]
      tasklog query <sql> [-p <name=value> ...] [--format <format>] [-n <count>]
      tasklog query --schema
      """,
    discussion: """
      The same filter given twice means or, different filters mean and; filters come before limits. \
      Without --hook only transitions are shown. On a terminal a table leaves out columns that do \
      not fit and marks that with "…"; the other formats have them all.

      Examples:
        tasklog query --finish erred
        tasklog query --key "('count', *)" --worker 0 -n 20
        tasklog query --arg "nbytes>1000" --columns key,worker,args.nbytes
        tasklog query --source worker --group-by worker,finish
        tasklog query --hook addWorker --columns time,worker
        tasklog query "SELECT key, seconds FROM slowest WHERE prefix = :p" -p p=count

      --schema lists the views that SQL can ask, each with an example.
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
      "How long SQL may take; 0 for any time. By default 60.", valueName: "seconds"))
  var timeout: Double?

  @Flag(help: "List the views that SQL can ask, with their columns and an example of each.")
  var schema = false

  func run() throws {
    if schema { return try SchemaText.write(format) }
    try output.check()
    if let sql { return try run(sql: sql) }
    for (option, isGiven) in [("-p", !parameters.isEmpty), ("--timeout", timeout != nil)]
    where isGiven {
      throw Failure.usage("\(option) goes with SQL only")
    }
    // What is wrong with the command is said before any log is looked at.
    let filter = try filters.filter(now: Clock.now())
    let columns = try output.eventColumns()
    let groups = try output.groupColumns()
    // What comes, and where to go on, is told of each log by itself.
    let isOfEach = output.follow || output.showCursor || output.afterCursor != nil
    let isTemplate = logs.given.count == 1 && LogTemplate.isTemplate(logs.given[0])
    let joined =
      isOfEach || isTemplate
      ? nil : try logs.joined(run: selection.selector, all: false, orders: false)
    defer { joined?.remove() }
    try EventQuery(
      logs: joined.map { EventQuery.Logs(files: $0.parts) } ?? eventLogs(), filter: filter,
      columns: columns, groups: groups, output: output,
      format: format
    ).run()
  }

  /// Events come out of files as they are: nothing has to be put together for them.
  private func eventLogs() throws -> EventQuery.Logs {
    var found = EventQuery.Logs()
    for given in logs.given {
      let names = try RotatedRunResolver(given, run: selection.selector)
      let paths = names.map { $0.paths.isEmpty ? [given] : $0.paths } ?? [given]
      for path in paths {
        found.files.append(
          LogSet.Part(
            path: try LogOptions.recovered(path), name: path,
            selector: names?.selector ?? selection.selector))
      }
      guard let names else { continue }
      if names.runs > 1, output.follow {
        throw Failure.usage(
          "--follow goes on with one run of \(given); choose it with --run")
      }
      if logs.given.count == 1, names.runs == 1 { found.template = given }
    }
    return found
  }

  private func run(sql: String) throws {
    let given = (selection.run == nil ? [] : ["--run"]) + filters.given + output.given
    if let option = given.first {
      throw Failure.usage("\(option) does not go with SQL; put it into the WHERE of the SQL")
    }
    if let timeout, !(timeout >= 0 && timeout < 1e9) {
      throw Failure.usage("--timeout \(timeout): cannot be negative; seconds, 0 for any time")
    }
    let parameters = try parameters.map(Self.parameter)
    // As --run says nothing, the newest run of many logs.
    let joined = try logs.joined(run: "latest", all: false, orders: false)
    defer { joined.remove() }
    guard joined.parts.count == 1 else {
      throw Failure.usage("SQL asks one log; 'tasklog merge' makes one of several")
    }
    let path = joined.parts[0].path
    let seconds = timeout ?? 60
    try format.write {
      try Queries.sql(
        sql, path: path, parameters: parameters, timeoutSeconds: seconds > 0 ? seconds : nil,
        limit: output.limit, to: &$0)
    }
  }

  /// `name=value`; what reads as a number is one.
  private static func parameter(_ text: String) throws -> (name: String, value: SQLiteValue) {
    guard let sign = text.firstIndex(of: "="), sign != text.startIndex else {
      throw Failure.usage("-p \(text.isEmpty ? "''" : text): write name=value")
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

/// What is shown of the events that the filters let through.
struct QueryOutputOptions: ParsableArguments {
  @Option(
    name: [.customShort("n"), .customShort("l"), .customLong("limit")], parsing: .unconditional,
    help: ArgumentHelp(
      "At most so many rows; with --follow, the last so many first.", valueName: "count"))
  var limit: Int?

  @Flag(help: "The last event first.")
  var reverse = false

  @Option(
    help: ArgumentHelp(
      "Show these columns of the view events, or args.NAME, separated by commas.",
      valueName: "columns"))
  var columns: String?

  @Flag(help: "Show only how many events there are.")
  var count = false

  @Option(
    help: ArgumentHelp(
      "Show how many events there are for each value of these columns.", valueName: "columns"))
  var groupBy: String?

  @Flag(name: .shortAndLong, help: "Go on with what is being recorded, until the run ends.")
  var follow = false

  @Flag(help: "At the end say on the standard error where to go on with --after-cursor.")
  var showCursor = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Show only what has arrived since then.", valueName: "cursor"))
  var afterCursor: String?

  /// The options that were given and that do not go with SQL.
  var given: [String] {
    [
      ("--reverse", reverse), ("--columns", columns != nil), ("--count", count),
      ("--group-by", groupBy != nil), ("--follow", follow), ("--show-cursor", showCursor),
      ("--after-cursor", afterCursor != nil),
    ].filter(\.1).map(\.0)
  }

  func check() throws {
    if let limit, limit < 0 {
      throw Failure.usage("--limit \(limit): cannot be negative; 0 or more")
    }
    for (one, other) in [
      (("--reverse", reverse), ("--follow", follow)), (("--count", count), ("--follow", follow)),
      (("--group-by", groupBy != nil), ("--follow", follow)),
      (("--count", count), ("--group-by", groupBy != nil)),
      (("--count", count), ("--columns", columns != nil)),
      (("--group-by", groupBy != nil), ("--columns", columns != nil)),
    ] where one.1 && other.1 {
      throw Failure.usage("\(one.0) and \(other.0) do not go together")
    }
  }

  /// The columns to show, when they were named.
  func eventColumns() throws -> [EventColumn]? {
    try columns.map { try Self.columns($0, option: "--columns") }
  }

  /// The columns to count by.
  func groupColumns() throws -> [EventColumn]? {
    try groupBy.map { try Self.columns($0, option: "--group-by", forGroups: true) }
  }

  /// - Parameter forGroups: only columns that events can be counted by.
  private static func columns(_ list: String, option: String, forGroups: Bool = false) throws
    -> [EventColumn]
  {
    let known = EventColumn.known.filter { !forGroups || EventColumn($0)?.isGroup == true }
    return try list.split(separator: ",", omittingEmptySubsequences: false).map { name in
      // Dask's word; GROUP is SQL's.
      let name = name == "group" ? "key_group" : String(name)
      guard let column = EventColumn(name), !forGroups || column.isGroup else {
        throw Failure.usage(
          "\(option) \(name.isEmpty ? "''" : name): there is no such column; columns are "
            + known.joined(separator: ", ") + ", args.NAME")
      }
      return column
    }
  }
}
