import ArgumentParser
import EventLog
import LogFormat
import Querying

struct MigrateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrate",
    abstract: "Convert logs of an older format version to the current one.",
    discussion: """
      Older logs can be read without a migration, and a recorder converts the log that it writes \
      to. Each version is one transaction, so an interrupted migration leaves an intact log. Logs \
      that are being recorded, or are newer than this tasklog, are refused.

      Examples:
        tasklog migrate
        tasklog migrate monday.db tuesday.db --dry-run
        tasklog migrate --log . --dry-run
      """)

  @Argument(
    help: ArgumentHelp(
      "The logs. By default $TASKLOG_LOG, else tasklog.db.", valueName: "log"),
    completion: .file())
  var logs: [String] = []

  @OptionGroup var named: LogsOptions

  @Flag(help: "Show what would be done, and change nothing.")
  var dryRun = false

  func run() throws {
    guard logs.isEmpty || named.log.isEmpty else {
      throw Failure.usage(
        "--log \(named.log[0]): name logs with --log or as arguments, not both")
    }
    try LogsOptions.forEach(logs.isEmpty ? named.given : logs, migrate)
  }

  private func migrate(_ path: String) throws {
    let outcome = dryRun ? try LogMigration.preview(path) : try LogMigration.migrate(path)
    let name = Printable.text(path)
    if outcome.isNothing {
      Console.print("\(name): has the current format version \(outcome.to); nothing to do")
    } else if dryRun {
      Console.print(
        "\(name): would be converted from format version \(outcome.from) to \(outcome.to)")
    } else {
      Console.print("\(name): converted from format version \(outcome.from) to \(outcome.to)")
    }
  }
}
