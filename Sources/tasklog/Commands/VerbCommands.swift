import ArgumentParser
import EventLog
import LogAnalysis
import LogFormat
import Querying

/// Options of a command that prints a report.
protocol VerbSelecting: LogRunsSelecting {
  var report: ReportOptions { get }
}

extension VerbSelecting {
  /// Makes a report and writes it, with warnings about the runs.
  ///
  /// - Parameters:
  ///   - filters: those that further commands need, each after a space.
  ///   - takesJobs: whether only the selected jobs are read, which are given by the ID of their run.
  func write(
    filters: String, takesJobs: Bool,
    _ makeReport: (LogReader, [RunInfo], _ jobs: [String: [Job]]) throws -> Report
  ) throws {
    let logs = try resolve(.one, takesJobs: takesJobs)
    defer { logs.remove() }
    let reader = try logs.reader()
    let runs = try logs.parts[0].runs(reader)
    try report.write(
      try makeReport(reader, runs, logs.jobs), options: repeated, filters: filters)
    try RunWarnings.print(reader, runs)
  }
}

/// The options of the commands that print a report of whole runs.
struct VerbOptions: ParsableArguments, VerbSelecting {
  @OptionGroup var log: LogsOptions
  @OptionGroup var run: RunOption
  @OptionGroup var report: ReportOptions

  /// Makes a report and writes it.
  func write(_ makeReport: (LogReader, [RunInfo]) throws -> Report) throws {
    try write(filters: "", takesJobs: false) { reader, runs, _ in try makeReport(reader, runs) }
  }
}

/// The options of the commands that print a report of a run, or of a part of it.
struct ScopedVerbOptions: ParsableArguments, VerbSelecting {
  @OptionGroup(title: "Filters") var scope: ScopeOptions
  @OptionGroup var log: LogsOptions
  @OptionGroup var run: RunOption
  @OptionGroup var report: ReportOptions

  static func usage(_ command: String) -> String {
    "tasklog \(command) [<filter> ...] [--log <path> ...] [--run <run>] [--format <format>] "
      + "[--table <name>]"
  }

  /// Makes a report of the selected part and writes it, and says how much of the run it shows.
  func write(_ makeReport: (LogReader, [RunInfo], RunScopes) throws -> Report) throws {
    // Errors in the command come before any error of a log.
    let filter = try scope.filter(now: Clock.now())
    var scoped: ScopedRuns?
    try write(filters: scope.repeated, takesJobs: true) { reader, runs, jobs in
      let part = try ScopedRuns(reader, runs, filter, jobs: jobs)
      scoped = part
      // A table without rows says less than the line about it.
      return part.isEmpty && report.format.isTable
        ? Report([]) : try makeReport(reader, runs, part.scopes)
    }
    for line in scoped?.lines ?? [] { Console.warn(line) }
  }
}

struct SummaryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "summary",
    abstract: "Summarize a run: what went wrong, tasks by prefix, time in each state, workers.",
    usage: ScopedVerbOptions.usage("summary"),
    discussion: """
      On a terminal it begins with how long the run took, how much it did, and what went wrong. \
      Tables: prefixes, states (the time that tasks were in each state, in seconds, with \
      nearest-rank percentiles) and workers ("utilization" is the busy part of the time of its threads); \
      if there are any, incomplete: workers whose last events may be missing.

      Examples:
        tasklog summary
        tasklog summary --prefix count --since seq:20
        tasklog summary --table states --format csv
      """)

  @OptionGroup var options: ScopedVerbOptions

  func run() throws { try options.write(Reports.summary(_:_:in:)) }
}

struct StoryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "story",
    abstract: "Show all events of a task or of a stimulus.",
    discussion: """
      Shows the events of the scheduler and of all workers, causes before effects, whatever their \
      order of arrival. "elapsed" is the number of seconds since the previous event. Times are by \
      the scheduler's clock; "raw_time" is by the clock of the source. If keys of several types \
      have the same text, json:1 is the number and json:"1" the text.

      Examples:
        tasklog story top-20
        tasklog story "('merge-1', 0)" --run all
      """)

  @Argument(help: ArgumentHelp("The key of a task, or a stimulus ID.", valueName: "key|stimulus"))
  var name: String

  @OptionGroup var options: VerbOptions

  func run() throws {
    try options.write { reader, runs in
      if let report = try Reports.story(reader, runs, of: name) { return report }
      let run = runs.count == 1 ? "run #\(runs[0].number)" : "the runs"
      throw Failure.run(
        "\(reader.name): no key or stimulus '\(name)' in \(run); "
          + "search for a part of a key with 'tasklog query --key \"*\(name)*\"'")
    }
  }
}

struct ErrorsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "errors",
    abstract: "Show what failed and why: exceptions, tracebacks, lost workers, a dead scheduler.",
    usage: ScopedVerbOptions.usage("errors"),
    discussion: """
      On a terminal each cause is shown with its traceback, the tasks that failed with it, and the \
      commands that tell more; after them the workers that were lost. --table shows the tables \
      instead, as does every format but that of a terminal.

      Tables: causes (exceptions, with the number of tasks that failed), errors (tasks that failed \
      themselves, with their traceback), affected (tasks that failed because of others, with the \
      blamed key) and at_workers (failures that only a worker had, such as data that it cannot \
      unpickle). With --runs the errors of all these runs are grouped by the type of the exception and the \
      function that raised it, with the first and the last run that had them; filters and the tables above \
      show each run.

      Examples:
        tasklog errors
        tasklog errors --table errors --format json
        tasklog errors --log . --runs 'started>-7d'
      """)

  @OptionGroup var options: ScopedVerbOptions

  func run() throws {
    if options.run.runs != nil, options.scope.repeated.isEmpty,
      [nil, "groups"].contains(options.report.table)
    {
      return try group()
    }
    try options.write(Reports.errors(_:_:in:))
  }

  /// Groups the errors of many runs.
  private func group() throws {
    var archive = try RunArchive(options.log)
    let (groups, runs) = archive.errorGroups(of: try archive.selected(options.run))
    try options.report.write(
      Reports.errorGroups(groups, runs), options: options.log.repeated)
  }
}

struct SlowestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "slowest", abstract: "Show the longest spans of work.",
    usage: ScopedVerbOptions.usage("slowest [--action <action>] [-n <count>]"),
    discussion: """
      Examples:
        tasklog slowest
        tasklog slowest --action compute -n 3
      """)

  @OptionGroup var options: ScopedVerbOptions

  @Option(
    help: ArgumentHelp("Only spans with this action: compute, transfer, …", valueName: "action"))
  var action: String?

  @Option(
    name: [.customShort("n"), .customLong("limit")], parsing: .unconditional,
    help: ArgumentHelp("The maximum number of rows. By default 10.", valueName: "count"))
  var limit: Int?

  func run() throws {
    if let limit, limit < 0 {
      throw Failure.usage("--limit \(limit): expected 0 or more")
    }
    try options.write { try Reports.slowest($0, $1, action: action, limit: limit ?? 10, in: $2) }
  }
}

struct CriticalPathCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "critical-path",
    abstract: "Show the chain of tasks and waits that determined the duration of a run.",
    usage: ScopedVerbOptions.usage("critical-path"),
    discussion: """
      Starts at the task that ended last, continues with its dependency that finished last, and so \
      on. The consecutive phases are wait (at the scheduler), queue (at the worker), transfer, \
      compute and report (until the scheduler received the result).

      Examples:
        tasklog critical-path
        tasklog critical-path --format csv
      """)

  @OptionGroup var options: ScopedVerbOptions

  func run() throws { try options.write(Reports.criticalPath(_:_:in:)) }
}

struct OpenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "open", abstract: "Show the tasks that were unfinished at the end of the log.",
    usage: ScopedVerbOptions.usage("open"),
    discussion: """
      For a run that died: the unfinished tasks of the scheduler and the workers, with the time \
      since when. A closed run usually has none.

      Examples:
        tasklog open
        tasklog open --run all --format jsonl
      """)

  @OptionGroup var options: ScopedVerbOptions

  func run() throws { try options.write(Reports.open(_:_:in:)) }
}

struct WorkersCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "workers",
    abstract: "Show the workers of a run: when they joined and left, and their work.",
    usage: ScopedVerbOptions.usage("workers [--deaths | --resources [--over-time]]"),
    discussion: """
      "busy" is the number of seconds computed, "utilization" its share of the time of the worker's \
      threads; "occupancy" is the average number of tasks assigned to the worker at a time. A \
      worker that returns at the address of an earlier one is counted separately, with the next \
      number as "life". "clock_offset" is the number of seconds that its clock was behind the \
      scheduler's, with an error of at most "clock_uncertainty"; empty if it was not measured. \
      "end" is why it left.

      --deaths shows only the workers that left: the cause, the events that decided it, the tasks \
      that were assigned to the worker, those that were assigned to lost workers before ("suspects"), \
      and what was lost with it. If the log does not decide the cause, it is "unknown", and "missing" \
      says what would have told.

      --resources shows what workers measured of themselves at their heartbeats, as peak and mean: \
      memory, results in memory ("managed") and on disk ("spilled") in bytes, CPU in percent of one \
      processor, network and disk of the host in bytes per second, the share of time for which the \
      GIL was held, and the interval of the event loop in seconds, 0.02 if it is not late. The view \
      worker_metrics has every value.

      Examples:
        tasklog workers
        tasklog workers --format markdown
        tasklog workers --deaths
      """)

  @Flag(help: "Show why each worker left.")
  var deaths = false

  @Flag(help: "Show what workers measured: memory, CPU, spilled bytes, network, disk.")
  var resources = false

  @Flag(help: "With --resources: show each interval of about a 60th of the run.")
  var overTime = false

  @OptionGroup var options: ScopedVerbOptions

  func validate() throws {
    if deaths, resources {
      throw ValidationError("--deaths and --resources cannot be combined")
    }
    if overTime, !resources { throw ValidationError("--over-time requires --resources") }
    let scope = options.scope
    for (option, values) in [
      ("--prefix", scope.prefix), ("--client", scope.client), ("--span", scope.span),
    ] where resources && !values.isEmpty {
      throw ValidationError(
        "\(option) cannot be combined with --resources: a worker measures itself")
    }
  }

  func run() throws {
    if deaths { return try options.write(Reports.deaths(_:_:in:)) }
    guard resources else { return try options.write(Reports.workers(_:_:in:)) }
    try options.write { try Reports.resources($0, $1, overTime: overTime, in: $2) }
  }
}

struct TimeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "time",
    abstract: "Show what all threads did or waited for, second by second.",
    usage: ScopedVerbOptions.usage("time [--by <part>]"),
    discussion: """
      Splits threads × time that the workers were there into classes, without remainder. A thread \
      works on a task: computing (on a processor or not, as far as workers measured it), \
      deserializing, or waiting for a lock. Or it is idle: its time belongs to the first that \
      applies of worker starting or leaving, worker paused, disk, transfer (inputs on the way to \
      this worker), ready on the worker, scheduler lag (a task ready at the scheduler, or a result on \
      its way to it), waiting for a client (no unfinished task), nothing to run (unfinished tasks \
      wait for others), unknown. Time without a task is under "(none)". With --prefix, --client or \
      --span only work on these tasks is shown; shares are of the time of all threads.

      Examples:
        tasklog time
        tasklog time --by prefix
        tasklog time --by lock
        tasklog time --by time --worker 0 --format csv
      """)

  @OptionGroup var options: ScopedVerbOptions

  @Option(
    help: ArgumentHelp(
      "Split it further; function is of samples, see the option profile of a recorder.",
      valueName: "part"))
  var by: ThreadTimePart?

  func run() throws { try options.write { try Reports.threadTime($0, $1, by: by, in: $2) } }
}

extension ThreadTimePart: ExpressibleByArgument {}

struct StateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "state", abstract: "Show task and worker state at a point in time.",
    discussion: """
      Shows the state after an event (a number from the column seq of query) or at a time. Tables: \
      states (the number of tasks in each) and tasks.

      Examples:
        tasklog state --at 100
        tasklog state --at 100 --table states --format csv
      """)

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The point in time: 100, seq:100, 2026-01-31T12:00:00.5 (UTC), or -10m.",
      valueName: "seq|time"))
  var at: String

  @OptionGroup var options: VerbOptions

  func run() throws {
    let point = try Self.point(at)
    try options.write { try Reports.state($0, $1, at: point) }
  }

  /// The point in time that the option --at names.
  ///
  /// - Throws: `FilterError`.
  static func point(_ at: String) throws -> PointInTime {
    if let seq = Int64(at), seq >= 0 { return .seq(seq) }
    return switch try FilterParsing.bound(at, option: "--at", now: Clock.now(), isEnd: true) {
    case .time(let time): .time(time)
    case .seq(let seq): .seq(seq)
    }
  }
}
