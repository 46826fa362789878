import ArgumentParser
import EventLog
import LogFormat
import LogMaintenance
import Querying
import Recording

struct RecoverCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recover",
    abstract: "Recover events that crashed recorders left in their spools.",
    discussion: """
      A recorder that is killed leaves its last events in its spool, a folder next to the log. \
      They are recovered by the next recorder, by the commands that read, and by this one. The \
      spools of running recorders are not touched.

      With --into, the readable part of a damaged log is copied to a new one, with gaps for the \
      missing events; the damaged file is not changed.

      Examples:
        tasklog recover
        tasklog recover --log crashed.db --into saved.db
      """)

  @OptionGroup var logs: LogsOptions

  @Option(
    help: ArgumentHelp(
      "A new log for the readable part of a damaged one.", valueName: "path"))
  var into: String?

  func run() throws {
    if let into { return try salvage(into) }
    var recovered: [Recovery.Recovered] = []
    try LogsOptions.forEach(logs.given) { path in
      LogFile.undoInterruptedChange(path)
      // Throws if the file is not a log, instead of creating one.
      _ = try LogReader(path: path)
      recovered += try Recovery.recover(log: path)
    }
    for run in recovered where run.objection != nil { Console.warn(run.text) }
    for run in recovered where run.objection == nil {
      let missing = run.missing > 0 ? ", \(run.missing) missing" : ""
      Console.print("run \(run.run): \(run.events) events recovered\(missing)")
    }
    if recovered.isEmpty { Console.print("nothing to recover") }
  }

  private func salvage(_ into: String) throws {
    // One that is damaged is not always seen to be a log.
    let paths = try logs.given.flatMap {
      ArchiveFiles.isCollection($0) ? try ArchiveFiles.logs($0) : [LogTemplate.newest($0)]
    }
    guard paths.count == 1, let path = paths.first else {
      throw Failure.usage("--into \(into): saves one log, not \(paths.count); name it with --log")
    }
    var bar: ProgressBar?
    let result = try LogSalvage.salvage(path, into: into) { pages, total in
      if bar == nil { bar = ProgressBar(total: total, noun: "pages") }
      bar?.show(pages)
    }
    bar?.finish()
    Console.print(
      "\(path): \(Printable.count(result.events, "event")) of "
        + "\(Printable.count(result.runs, "run")) saved into \(into)")
    warn(result.missing, "event", "missing, and recorded as gaps")
    warn(result.standIns, "name", "lost, and replaced by a unique name $lost-…")
    warn(Int64(result.unreadable), "row", "unreadable")
    warn(Int64(result.wrongBlobs), "blob", "damaged (its hash does not match), and left out")
    if result.strayPages > 0 {
      Console.warn(
        "\(Printable.count(result.strayPages, "page")) of the file had no link from its tables, "
          + "and was read anyway")
    }
  }

  private func warn(_ count: Int64, _ noun: String, _ problem: String) {
    guard count > 0 else { return }
    Console.warn("\(Printable.count(count, noun)) \(count == 1 ? "is" : "are") \(problem)")
  }
}
