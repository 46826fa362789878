import ArgumentParser
import EventLog
import Glibc
import LogFormat
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
    for path in logs.given.flatMap(Self.candidates) {
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

  /// The logs of a template that may have a recorder, and the newest one.
  private static func candidates(_ path: String) -> [String] {
    guard LogTemplate.isTemplate(path) else { return [path] }
    let all = LogTemplate.all(path)
    return all.dropLast().filter { access(RecorderLock.parent(ofLog: $0), F_OK) == 0 }
      + all.suffix(1)
  }
}
