import ArgumentParser
import EventLog
import Glibc
import LogFormat
import LogMaintenance
import Querying
import Recording

import enum TaskLogPlugin.EnvironmentVariable

/// The option that names one log.
struct LogOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The log. By default $TASKLOG_LOG, else tasklog.db.", valueName: "path"),
    completion: .file())
  var log: String?

  /// The named log, which may be a template for many logs: see `LogTemplate`.
  var given: String { log ?? Self.defaultPath }

  /// The path of the log; for a template, the last segment of the newest run. `LogSet` has all
  /// segments.
  var path: String { LogTemplate.newest(given) }

  /// Throws for a template, for commands that write many runs into one log.
  func refuseTemplate() throws {
    guard LogTemplate.isTemplate(given) else { return }
    throw Failure.usage(
      "\(given): this command writes all runs into one log; omit {run} from its name")
  }

  static var defaultPath: String {
    let fromEnvironment = getenv(EnvironmentVariable.log.rawValue).map { String(cString: $0) } ?? ""
    return fromEnvironment.isEmpty ? "tasklog.db" : fromEnvironment
  }

  /// Recovers the events that dead recorders left in their spools, reports it, and returns the
  /// path.
  ///
  /// - Throws: `LogError` if the file is not a log.
  static func recovered(_ path: String) throws -> String {
    let orphans = try Recovery.orphans(log: path)
    guard !orphans.isEmpty else { return path }
    do {
      for run in try Recovery.recover(log: path) { Console.warn(run.text) }
    } catch {
      for run in orphans {
        Console.warn(
          "run #\(run.number) \(run.end == .closed ? "was closed" : "died"), and its last events "
            + "are still in its spool; cannot recover them: \(error)")
      }
    }
    return path
  }
}

/// The options that name logs.
struct LogsOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A log, a folder of logs, or a pattern such as 'logs/*.db'; repeat to read several. By default $TASKLOG_LOG, else tasklog.db.",
      valueName: "path"), completion: .file())
  var log: [String] = []

  var given: [String] { log.isEmpty ? [LogOptions.defaultPath] : log }

  /// What a further command needs to read the same logs; each option after a space.
  var repeated: String { log.map { " --log \(ShellWord.quoted($0))" }.joined() }

  /// The paths of all named logs, each once, with templates, folders and patterns expanded.
  ///
  /// - Throws: see `ArchiveFiles.logs`.
  func allPaths() throws -> [String] { try ArchiveFiles.logs(of: given) }

  /// Changes each log, without those that links in folders lead to. Of several logs, one for which that fails is reported, and does not
  /// stop the others; the command ends with 1 then.
  ///
  /// - Throws: see `ArchiveFiles.logs`; what the body throws for a single log.
  static func forEach(_ names: [String], _ body: (_ path: String) throws -> Void) throws {
    let paths = try ArchiveFiles.logs(of: names, isWriting: true)
    if paths.count == 1 { return try body(paths[0]) }
    for path in paths {
      do { try body(path) } catch { Console.omit("\(error)") }
    }
  }

  /// What a command says that cannot read a job alone.
  static let readsWholeRuns = "--runs selects jobs, and this command reads all of their runs"

  /// Opens the logs for reading; see `LogSet.resolve`.
  ///
  /// - Parameter takesJobs: whether the command reads only the selected jobs of a run, if `choose` selects
  ///   jobs; else a warning says that it does not.
  /// - Throws: `LogError`, `LogSetError`.
  func resolve(
    run selector: String, choosing choose: RunChoice? = nil, _ mode: LogSet.Mode,
    follows: Bool = false, restoresOrder: Bool = true, isRecovering: Bool = true,
    takesJobs: Bool = false
  ) throws -> LogSet {
    let logs = try LogSet.resolve(
      given, runs: selector, choosing: choose, mode: mode, follows: follows,
      restoresOrder: restoresOrder, environment: .command(isRecovering: isRecovering))
    if !takesJobs, !logs.jobs.isEmpty {
      Console.warn(Self.readsWholeRuns)
    }
    return logs
  }
}

extension LogSet.Environment {
  /// What a command does while its logs are resolved.
  ///
  /// - Parameter isRecovering: recovers the spools of dead recorders first.
  static func command(isRecovering: Bool = true) -> LogSet.Environment {
    var environment = LogSet.Environment()
    if isRecovering { environment.prepare = { _ = try LogOptions.recovered($0) } }
    environment.willCreateScratch = ScratchRemoval.watch
    environment.progress = { total in
      var bar = ProgressBar(total: total, noun: "events")
      return { count in
        if let count { bar.show(count) } else { bar.finish() }
      }
    }
    environment.warn = { Console.warn($0) }
    environment.omit = { Console.omit("\($0.reason); its runs are left out") }
    return environment
  }
}

/// Options that select runs by their properties.
protocol RunsSelecting {
  var runs: String? { get }
}

extension RunsSelecting {
  /// `nil` without such an option.
  ///
  /// - Throws: `RunExpressionError`.
  func choice() throws -> RunChoice? {
    try runs.map { try RunExpression($0, now: Clock.now()).choice }
  }

  /// What a further command needs to select the same runs, after a space.
  var repeated: String { runs.map { " --runs \(ShellWord.quoted($0))" } ?? "" }
}

/// The option that selects runs by their properties.
struct RunsOption: ParsableArguments, RunsSelecting {
  static let help = ArgumentHelp(
    "All runs of which this is true, such as 'label.pipeline=etl and started>-7d and not died last 20'; see the article Many runs.",
    valueName: "expression")

  @Option(help: help)
  var runs: String?
}

// In a debug build each level of groups within groups takes several times as long to parse.

/// The options that select runs.
struct RunOption: ParsableArguments, RunsSelecting {
  @Option(
    help: ArgumentHelp(
      "latest, all, a number as in 'runs', or a run ID prefix. By default latest.",
      valueName: "run"))
  var run: String?

  @Option(help: RunsOption.help)
  var runs: String?

  var selector: String { run ?? "latest" }

  mutating func validate() throws {
    if run != nil, runs != nil {
      throw ValidationError("--run and --runs cannot be combined")
    }
  }
}

/// Options that select runs of logs.
protocol LogRunsSelecting {
  var log: LogsOptions { get }
  var run: RunOption { get }
}

extension LogRunsSelecting {
  var selector: String { run.selector }

  /// What a further command needs to read the same logs and runs; each option after a space.
  var repeated: String {
    log.repeated + (run.run.map { " --run \(ShellWord.quoted($0))" } ?? "") + run.repeated
  }

  /// Opens the logs of the selected runs; see `LogsOptions.resolve`.
  ///
  /// - Throws: `LogError`, `LogSetError`, `RunExpressionError`.
  func resolve(
    _ mode: LogSet.Mode, follows: Bool = false, restoresOrder: Bool = true, takesJobs: Bool = false
  ) throws -> LogSet {
    try log.resolve(
      run: run.selector, choosing: run.choice(), mode, follows: follows,
      restoresOrder: restoresOrder, takesJobs: takesJobs)
  }
}

/// The options that select runs of logs.
struct RunOptions: ParsableArguments, LogRunsSelecting {
  @OptionGroup var log: LogsOptions
  @OptionGroup var run: RunOption
}

/// The option for the output format.
struct FormatOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The output format. By default table on a terminal, else jsonl.", valueName: "format"))
  var format: RowFormat?

  /// Whether the output is a table for people.
  var isTable: Bool { chosen == .table }

  private var chosen: RowFormat { format ?? (Console.isTerminal ? .table : .jsonl) }

  /// Runs a body with a writer of the format, and flushes its buffer.
  func write(_ body: (inout any RowWriter) throws -> Void) throws {
    try writeInParts { writer, _ in try body(&writer) }
  }

  /// - Parameter body: receives the writer and a function that flushes the buffer.
  func writeInParts(
    _ body: (inout any RowWriter, _ flush: () -> Void) throws -> Void
  ) throws {
    let output = BufferedOutput()
    var writer = chosen.writer(to: output.write, terminal: Console.terminal)
    // Rows before an error are shown, too.
    defer { output.flush() }
    try body(&writer, output.flush)
  }

  /// - Parameters:
  ///   - options: those that further commands need to read the same log and run, each after a space.
  ///   - filters: those that further commands need to show the same part, each after a space.
  func write(_ report: Report, options: String = "", filters: String = "") throws {
    let output = BufferedOutput()
    defer { output.flush() }
    var terminal = Console.terminal
    terminal?.options = options
    terminal?.filters = filters
    try report.write(chosen, to: output.write, terminal: terminal)
  }
}

/// The options for the format and the table of a report.
struct ReportOptions: ParsableArguments {
  @OptionGroup var format: FormatOptions

  @Option(
    help: ArgumentHelp("Show only this table of the report, as plain rows.", valueName: "name"))
  var table: String?

  /// - Parameters: as for `FormatOptions`.
  func write(_ report: Report, options: String = "", filters: String = "") throws {
    var report = report
    if let table, !report.tables.isEmpty {
      guard let match = report.tables.first(where: { $0.name == table }) else {
        throw Failure.usage(
          "--table \(table.isEmpty ? "''" : table): unknown table; "
            + (report.tables.count == 1 ? "the only table is " : "tables are ")
            + report.tables.map(\.name).joined(separator: ", "))
      }
      report = Report([match])
    }
    try format.write(report, options: options, filters: filters)
  }
}

extension RowFormat: ExpressibleByArgument {}
