import ArgumentParser
import EventLog
import LogFormat
import LogMaintenance
import Querying

struct MergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge", abstract: "Merge the runs of several logs into one log.",
    discussion: """
      Events keep their identity, and events that are already present are skipped. Two halves of \
      one run become one run, and a merge can be repeated.

      Examples:
        tasklog merge monday.db tuesday.db --into week.db
      """)

  @Argument(
    help: ArgumentHelp("The logs to read: files, folders and patterns.", valueName: "log"),
    completion: .file())
  var logs: [String]

  @Option(
    help: ArgumentHelp("The log to write; created if it does not exist.", valueName: "path"),
    completion: .file())
  var into: String

  func run() throws {
    guard !LogTemplate.isTemplate(into) else {
      throw Failure.usage("--into \(into): the merged log is one file; omit {run} from its name")
    }
    let logs = try ArchiveFiles.logs(of: logs)
    for path in logs {
      guard !FileIdentity.isSame(path, into) else {
        throw Failure.usage("--into \(into): is one of the logs to read; name another file")
      }
    }
    // Open all logs before writing anything.
    let logSet = try LogSet.resolve(
      logs, runs: "all", mode: .groups, recordsMissingAsGaps: false, environment: .command())
    defer { logSet.remove() }
    let readers = try logSet.parts.map { try $0.reader() }
    let merge = try LogMerge(into: into)
    defer { merge.close() }
    for reader in readers {
      let events = try reader.runs().reduce(Int64(0)) { try $0 + reader.eventCount(of: $1) }
      var bar = ProgressBar(total: events, noun: "events")
      let result = try merge.add(reader) { bar.show($0) }
      bar.finish()
      let duplicates = result.known > 0 ? ", \(result.known) already present" : ""
      Console.print(
        "\(reader.name): \(Printable.count(result.runs, "run")), "
          + "\(Printable.count(result.added, "event")) added\(duplicates)")
    }
    for run in try LogReader(path: into).runs() { RunWarnings.reportFiles(run, path: into) }
  }
}
