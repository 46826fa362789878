import ArgumentParser
import EventLog
import Glibc
import LogFormat
import LogMaintenance
import Querying

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show how recorders are doing: lag, spool, dropped events, delivered copies.",
    discussion: """
      One row for each run that is being recorded, or for the newest one if there is none. "lag" is \
      for how long events have been waiting to be written to the log; "missing" is the number of \
      events known to be lost; at "spool_limit" events are dropped and counted. "as_of" is when a \
      copy was made that is read in the place of the log. Times of commits and of delivered copies \
      are those that the recorder told last, within a second. Nothing is changed.

      Examples:
        tasklog status
        tasklog status --format json
      """)

  @OptionGroup var logs: LogsOptions
  @OptionGroup var format: FormatOptions

  func run() throws {
    var states: [Reports.RecorderState] = []
    for path in try logs.given.flatMap(Self.candidates) {
      let reader = try LogReader(path: path)
      for run in try reader.runs() where run.nextFile == nil {
        states.append(
          Reports.RecorderState(
            path: path, run: run, missing: try reader.missing(of: run),
            status: run.end == .running ? RecorderStatus(log: path, run: run.id) : nil))
      }
    }
    let running = states.filter { $0.run.end == .running }
    let newest = states.max { $0.run.id < $1.run.id }
    try format.write(Reports.recorders(running.isEmpty ? newest.map { [$0] } ?? [] : running))
  }

  /// The logs of a template or a folder that may have a recorder, and that of the newest run.
  private static func candidates(_ path: String) throws -> [String] {
    if ArchiveFiles.isCollection(path) { return try currentLogs(ofFolder: path) }
    guard LogTemplate.isTemplate(path) else { return [path] }
    let all = LogTemplate.all(path)
    return all.dropLast().filter { access(RecorderLock.parent(ofLog: $0), F_OK) == 0 }
      + all.suffix(1)
  }

  private static func currentLogs(ofFolder name: String) throws -> [String] {
    let archive = try Archive([name]) { _ in }
    for log in archive.unreadable { LogSet.Environment.command().omit(log) }
    var paths: [String] = []
    for run in archive.runs.filter({ $0.entry.end == .running }) + archive.runs.suffix(1) {
      if let last = run.paths.last, !paths.contains(last) { paths.append(last) }
    }
    return paths
  }
}
