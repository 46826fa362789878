import ArgumentParser
import EventLog
import Filters
import Querying

/// What all verbs take.
struct VerbOptions: ParsableArguments {
  @OptionGroup var selection: RunOptions
  @OptionGroup var report: ReportOptions

  /// Asks a verb and writes its answer.
  func write(_ ask: (LogReader, [RunInfo]) throws -> Report) throws {
    let logs = try selection.log.joined(run: selection.selector, all: true)
    defer { logs.remove() }
    let reader = try logs.reader()
    let runs = try reader.runs(matching: logs.parts[0].selector)
    try report.write(try ask(reader, runs))
    try RunNotes.tell(reader, runs)
  }
}

struct SummaryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "summary", abstract: "Sum a run up: tasks by prefix, time in each state, workers.",
    discussion: """
      Tables: prefixes, states (the time that tasks were in each state, in seconds, with nearest-rank \
      percentiles) and workers (share is that of the time its threads could have computed); where \
      there are any, incomplete: workers whose last events may be missing.

      Examples:
        tasklog summary
        tasklog summary --table states --format csv
      """)

  @OptionGroup var options: VerbOptions

  func run() throws { try options.write(Verbs.summary) }
}

struct StoryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "story",
    abstract: "Tell all that happened to a task, or because of a stimulus.",
    discussion: """
      Events of the scheduler and of all workers, cause before effect, whatever order they arrived \
      in; "elapsed" are the seconds since the event before. Times are by the scheduler's clock, \
      "raw_time" is what the clock of their source said. Where keys of several types have one text, \
      json:1 means the number and json:"1" the text.

      Examples:
        tasklog story top-20
        tasklog story "('merge-1', 0)" --run all
      """)

  @Argument(help: ArgumentHelp("The key of a task, or a stimulus.", valueName: "key|stimulus"))
  var name: String

  @OptionGroup var options: VerbOptions

  func run() throws {
    try options.write { reader, runs in
      if let report = try Verbs.story(reader, runs, of: name) { return report }
      let run = runs.count == 1 ? "run #\(runs[0].number)" : "the runs"
      throw Failure.run(
        "\(reader.name): \(run) of it has no key and no stimulus '\(name)'; "
          + "'tasklog query --key \"*\(name)*\"' looks for a part of one")
    }
  }
}

struct ErrorsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "errors", abstract: "Show what failed, why, and what failed with it.",
    discussion: """
      Tables: causes (exceptions, with how many tasks they failed), errors (tasks that failed on \
      their own, with their traceback), affected (tasks that failed with them, and whom they blame) \
      and at_workers (failures that only a worker had, such as data that it cannot unpickle).

      Examples:
        tasklog errors
        tasklog errors --table errors --format json
      """)

  @OptionGroup var options: VerbOptions

  func run() throws { try options.write(Verbs.errors) }
}

struct SlowestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "slowest", abstract: "Show the longest spans of work.",
    discussion: """
      Examples:
        tasklog slowest
        tasklog slowest --action compute -n 3
      """)

  @OptionGroup var options: VerbOptions

  @Option(
    help: ArgumentHelp("Only spans of this kind: compute, transfer, …", valueName: "action"))
  var action: String?

  @Option(
    name: [.customShort("n"), .customLong("limit")], parsing: .unconditional,
    help: ArgumentHelp("At most so many. By default 10.", valueName: "count"))
  var limit: Int?

  func run() throws {
    if let limit, limit < 0 {
      throw Failure.usage("--limit \(limit): cannot be negative; 0 or more")
    }
    try options.write { try Verbs.slowest($0, $1, action: action, limit: limit ?? 10) }
  }
}

struct CriticalPathCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "critical-path",
    abstract: "Show the chain of tasks and waits that set the length of a run.",
    discussion: """
      From the task that ended last back over the dependency that came last, and so on. The pieces \
      follow on each other: wait (at the scheduler), queue (at the worker), transfer, compute and \
      report (until the scheduler knew).

      Examples:
        tasklog critical-path
        tasklog critical-path --format csv
      """)

  @OptionGroup var options: VerbOptions

  func run() throws { try options.write(Verbs.criticalPath) }
}

struct OpenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "open", abstract: "Show what was unfinished at the end of the log.",
    discussion: """
      For a run that died: the tasks that the scheduler or a worker still had to do, and since when. \
      A run that was closed mostly leaves none.

      Examples:
        tasklog open
        tasklog open --run all --format jsonl
      """)

  @OptionGroup var options: VerbOptions

  func run() throws { try options.write(Verbs.open) }
}

struct WorkersCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "workers",
    abstract: "Show the workers of a run: when they joined and left, what they did.",
    discussion: """
      busy are the seconds computed, utilization is their part of what its threads could have computed; occupancy is how \
      many tasks a worker had been given at a time, on average. A worker that came back at the address \
      of another is one of its own: life counts them. clock_offset are the seconds that its clock was \
      behind the scheduler's, give or take clock_uncertainty; empty where it was not measured.

      Examples:
        tasklog workers
        tasklog workers --format markdown
      """)

  @OptionGroup var options: VerbOptions

  func run() throws { try options.write(Verbs.workers) }
}

struct StateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "state", abstract: "Show what was where at a moment.",
    discussion: """
      Behind an event (a number as query shows under seq) or at a time. Tables: states (how many \
      tasks in each) and tasks.

      Examples:
        tasklog state --at 100
        tasklog state --at 100 --table states --format csv
      """)

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The moment: 100, seq:100, 2026-01-31T12:00:00.5 (UTC), or -10m.", valueName: "seq|time"))
  var at: String

  @OptionGroup var options: VerbOptions

  func run() throws {
    let moment: Moment
    if let seq = Int64(at), seq >= 0 {
      moment = .seq(seq)
    } else {
      switch try FilterText.bound(at, option: "--at", now: Clock.now(), isEnd: true) {
      case .time(let time): moment = .time(time)
      case .seq(let seq): moment = .seq(seq)
      }
    }
    try options.write { try Verbs.state($0, $1, at: moment) }
  }
}
