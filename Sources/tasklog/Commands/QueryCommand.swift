import ArgumentParser
import EventLog
import Filters
import Querying

struct QueryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "query",
    abstract: "Show the transitions of a run, or ask the log anything in SQL.",
    usage: """
      tasklog query [<filter> ...] [--run <run>] [--format <format>] [--limit <count>]
      tasklog query <sql> [--format <format>] [--limit <count>]
      """,
    discussion: """
      The same filter given twice means or, different filters mean and. On a terminal a table \
      leaves out columns that do not fit and marks that with "…"; the other formats have them all.

      Examples:
        tasklog query --finish erred
        tasklog query --key "('count', *)" --worker 0 --limit 20
        tasklog query "SELECT key, exception FROM errors"

      The views of the log: events, transitions, tasks, task_durations, errors, workers, stimuli, \
      runs, gaps.
      """)

  @Argument(help: ArgumentHelp("A SELECT over the views of the log; read-only.", valueName: "sql"))
  var sql: String?

  @OptionGroup var selection: RunOptions
  @OptionGroup var format: FormatOptions

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("A key, or a pattern with * and ?.", valueName: "glob"))
  var key: [String] = []

  @Option(help: ArgumentHelp("The state before or after.", valueName: "state"))
  var state: [String] = []

  @Option(help: ArgumentHelp("The state before.", valueName: "state"))
  var start: [String] = []

  @Option(help: ArgumentHelp("The state after.", valueName: "state"))
  var finish: [String] = []

  @Option(
    help: ArgumentHelp(
      "A worker's name, its address or a pattern of that: what it saw and what is about it.",
      valueName: "worker"))
  var worker: [String] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Not before: 2026-01-31T12:00 (UTC), 2026-01-31, or -10m (s, m, h, d).",
      valueName: "time"))
  var since: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Not after; written in the same way.", valueName: "time"))
  var until: String?

  @Option(
    name: [.short, .long], parsing: .unconditional,
    help: ArgumentHelp("At most so many rows.", valueName: "count"))
  var limit: Int?

  func run() throws {
    if let limit, limit < 0 {
      throw Failure.usage("--limit \(limit): cannot be negative; 0 or more")
    }
    if let sql { return try run(sql: sql) }
    let filter = try filter()
    let reader = try LogReader(path: selection.log.recoveredPath())
    var selected = filter
    selected.runs = try reader.runs(matching: selection.selector).map(\.number)
    try format.write { try Queries.events(reader, selected, limit: limit, to: &$0) }
  }

  private func run(sql: String) throws {
    let given = [
      ("--run", selection.run != nil), ("--key", !key.isEmpty), ("--state", !state.isEmpty),
      ("--start", !start.isEmpty), ("--finish", !finish.isEmpty), ("--worker", !worker.isEmpty),
      ("--since", since != nil), ("--until", until != nil),
    ]
    if let option = given.first(where: \.1)?.0 {
      throw Failure.usage("\(option) does not go with SQL; put it into the WHERE of the SQL")
    }
    try format.write {
      try Queries.sql(sql, path: selection.log.recoveredPath(), limit: limit, to: &$0)
    }
  }

  private func filter() throws -> EventFilter {
    var filter = EventFilter()
    filter.hooks = ["transition"]
    filter.keys = key
    filter.states = try state.flatMap { try FilterText.states($0, option: "--state") }
    filter.starts = try start.flatMap { try FilterText.states($0, option: "--start") }
    filter.finishes = try finish.flatMap { try FilterText.states($0, option: "--finish") }
    filter.workers = worker
    let now = Clock.now()
    filter.since = try since.map { try FilterText.time($0, option: "--since", now: now) }
    filter.until = try until.map {
      try FilterText.time($0, option: "--until", now: now, isEnd: true)
    }
    return filter
  }
}
