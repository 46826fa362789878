import ArgumentParser
import EventLog
import LogFormat
import Querying

struct MigrateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrate",
    abstract: "Bring logs of an older version to the current format.",
    discussion: """
      Older logs can be read as they are; a recorder brings the one that it writes to up to date by \
      itself. Each version is one transaction: what is interrupted leaves a log that is whole. A log \
      that is being recorded into is refused, as is one that is newer than this tasklog.

      Examples:
        tasklog migrate
        tasklog migrate monday.db tuesday.db --dry-run
      """)

  @Argument(
    help: ArgumentHelp(
      "The logs. By default $TASKLOG_LOG, else tasklog.db.", valueName: "log"),
    completion: .file())
  var logs: [String] = []

  @OptionGroup var log: LogOptions

  @Flag(help: "Tell what would be done, and change nothing.")
  var dryRun = false

  func run() throws {
    guard logs.isEmpty || log.log == nil else {
      throw Failure.usage("--log \(log.path): name the logs with it or without it, not both")
    }
    var failed = false
    for path in (logs.isEmpty ? [log.given] : logs).flatMap(LogTemplate.all) {
      // One that cannot be brought up to date does not keep the others from it.
      do {
        try migrate(path)
      } catch {
        Console.complain("\(error)")
        failed = true
      }
    }
    if failed { throw ExitCode(Failure.runCode) }
  }

  private func migrate(_ path: String) throws {
    let outcome = dryRun ? try LogMigration.preview(path) : try LogMigration.migrate(path)
    let name = Printable.text(path)
    if outcome.isNothing {
      Console.print("\(name): is of format version \(outcome.to), the current one; nothing to do")
    } else if dryRun {
      Console.print(
        "\(name): would be brought from format version \(outcome.from) to \(outcome.to)")
    } else {
      Console.print("\(name): brought from format version \(outcome.from) to \(outcome.to)")
    }
  }
}
