import ArgumentParser
import Glibc
import LogFormat
import Querying
import Recording

/// Which log.
struct LogOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The log. By default $TASKLOG_LOG, else tasklog.db.", valueName: "path"),
    completion: .file())
  var log: String?

  /// What was named, which may stand for many logs: see `LogTemplate`.
  var given: String { log ?? Self.defaultPath }

  /// Of many logs the last of the newest run; see `ResolvedLog` for all that there is of it.
  var path: String { LogTemplate.newest(given) }

  /// For what writes the runs of many into one log.
  func refuseTemplate() throws {
    guard LogTemplate.isTemplate(given) else { return }
    throw Failure.usage("\(given): runs of many go into one log here; name one without {run}")
  }

  static var defaultPath: String {
    let fromEnvironment = getenv("TASKLOG_LOG").map { String(cString: $0) } ?? ""
    return fromEnvironment.isEmpty ? "tasklog.db" : fromEnvironment
  }

  /// A path for reading: what dead recorders have left in their spools is put into the log before,
  /// and it is said so.
  ///
  /// - Throws: `LogError` when it is no log.
  static func recovered(_ path: String) throws -> String {
    let orphans = try Recovery.orphans(log: path)
    guard !orphans.isEmpty else { return path }
    do {
      for run in try Recovery.recover(log: path) { Console.complain(run.text) }
    } catch {
      for run in orphans {
        Console.complain(
          "run #\(run.number) \(run.end == .closed ? "was closed" : "died"), and its last events are "
            + "still in its spool; they cannot be put into the log: \(error)")
      }
    }
    return path
  }
}

/// Which logs.
struct LogsOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A log; given again, several at once. By default $TASKLOG_LOG, else tasklog.db.",
      valueName: "path"), completion: .file())
  var log: [String] = []

  var given: [String] { log.isEmpty ? [LogOptions.defaultPath] : log }

  /// All logs that the names stand for.
  var allPaths: [String] { given.flatMap(LogTemplate.all) }

  /// What the names stand for when some of the runs are wanted.
  ///
  /// - Throws: `LogError`, `Failure`.
  func asked(
    run selector: String, isRecovering: Bool = true, follows: Bool = false
  ) throws -> [ResolvedLog] {
    var asked: [ResolvedLog] = []
    do {
      for name in given {
        asked.append(
          try ResolvedLog(name, run: selector, isRecovering: isRecovering, follows: follows))
      }
    } catch {
      for log in asked { log.close() }
      throw error
    }
    return asked
  }
}

/// Which run of it.
struct RunOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "latest, all, #number, or the beginning of a run's id. By default latest.",
      valueName: "run"))
  var run: String?

  var selector: String { run ?? "latest" }
}

/// Which run of which log.
struct RunOptions: ParsableArguments {
  @OptionGroup var log: LogsOptions
  @OptionGroup var run: RunOption

  var selector: String { run.selector }
}

/// How rows are written.
struct FormatOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "By default table on a terminal, jsonl elsewhere.", valueName: "format"))
  var format: RowFormat?

  /// Whether people are to read it.
  var isTable: Bool { chosen == .table }

  private var chosen: RowFormat { format ?? (Console.isTerminal ? .table : .jsonl) }

  /// Runs a body with a writer of the format, and writes out what it has buffered.
  func write(_ body: (inout any RowWriter) throws -> Void) throws {
    try writeInParts { writer, _ in try body(&writer) }
  }

  /// - Parameter body: gets what writes out what is buffered so far, too.
  func writeInParts(
    _ body: (inout any RowWriter, _ flush: () -> Void) throws -> Void
  ) throws {
    let output = BufferedOutput()
    var writer = chosen.writer(to: output.write, terminal: Console.terminal)
    // Rows that came before an error are shown, too.
    defer { output.flush() }
    try body(&writer, output.flush)
  }

  func write(_ report: Report) throws {
    let output = BufferedOutput()
    defer { output.flush() }
    try report.write(chosen, to: output.write, terminal: Console.terminal)
  }
}

/// How a report is written, and which of its tables.
struct ReportOptions: ParsableArguments {
  @OptionGroup var format: FormatOptions

  @Option(
    help: ArgumentHelp("Show only this table of several, as plain rows.", valueName: "name"))
  var table: String?

  func write(_ report: Report) throws {
    var report = report
    if let table {
      guard let found = report.tables.first(where: { $0.name == table }) else {
        throw Failure.usage(
          "--table \(table.isEmpty ? "''" : table): there is no such table; "
            + (report.tables.count == 1 ? "the only one is " : "tables are ")
            + report.tables.map(\.name).joined(separator: ", "))
      }
      report = Report([found])
    }
    try format.write(report)
  }
}

extension RowFormat: ExpressibleByArgument {}
