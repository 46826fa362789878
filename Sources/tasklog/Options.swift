import ArgumentParser
import EventLog
import Foundation
import Querying
import Recording

/// Which log.
struct LogOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The log. By default $TASKLOG_LOG, else tasklog.db.", valueName: "path"))
  var log: String?

  var path: String {
    if let log { return log }
    let fromEnvironment = ProcessInfo.processInfo.environment["TASKLOG_LOG"] ?? ""
    return fromEnvironment.isEmpty ? "tasklog.db" : fromEnvironment
  }

  /// The path for reading: what dead recorders have left in their spools is put into the log before,
  /// and it is said so.
  ///
  /// - Throws: `LogError` when it is no log.
  func recoveredPath() throws -> String {
    let orphans = try Recovery.orphans(log: path)
    guard !orphans.isEmpty else { return path }
    do {
      for recovered in try Recovery.recover(log: path) { Self.tell(recovered) }
    } catch {
      for run in orphans {
        Console.complain(
          "run #\(run.number) died, and its last events are still in its spool; they cannot be put "
            + "into the log: \(error)")
      }
    }
    return path
  }

  static func tell(_ recovered: Recovery.Recovered) {
    let missing = recovered.missing > 0 ? "; \(recovered.missing) are missing" : ""
    Console.complain(
      "run \(recovered.run) died; \(recovered.events) events were recovered from its spool"
        + missing)
  }
}

/// Which run of it.
struct RunOptions: ParsableArguments {
  @OptionGroup var log: LogOptions

  @Option(
    help: ArgumentHelp(
      "latest, all, #number, or the beginning of a run's id. By default latest.",
      valueName: "run"))
  var run: String?

  var selector: String { run ?? "latest" }
}

/// How rows are written.
struct FormatOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "By default table on a terminal, jsonl elsewhere.", valueName: "format"))
  var format: RowFormat?

  /// Runs a body with a writer of the format, and writes out what it has buffered.
  func write(_ body: (inout any RowWriter) throws -> Void) throws {
    let format = format ?? (Console.isTerminal ? .table : .jsonl)
    let output = BufferedOutput()
    var writer = format.writer(to: output.write, terminal: Console.terminal)
    // Rows that came before an error are shown, too.
    defer { output.flush() }
    try body(&writer)
  }
}

extension RowFormat: ExpressibleByArgument {}
