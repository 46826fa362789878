import ArgumentParser
import EventLog
import LogFormat
import LogMaintenance
import Querying
import Recording

struct RecoverCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recover",
    abstract: "Put what killed recorders have left behind into the log.",
    discussion: """
      A recorder that is killed leaves its last events in its spool, a folder beside the log. They \
      are put into the log by the next recorder, by the commands that read, and by this one. \
      Recorders that live are left alone.

      With --into, what can still be read of a damaged log is put into a new one, and what is missing \
      is noted there as gaps; the damaged file stays as it is.

      Examples:
        tasklog recover
        tasklog recover --log crashed.db --into saved.db
      """)

  @OptionGroup var log: LogOptions

  @Option(
    help: ArgumentHelp(
      "A new log for what can be read of a damaged one.", valueName: "path"))
  var into: String?

  func run() throws {
    if let into { return try salvage(into) }
    let recovered = try LogTemplate.all(log.given).flatMap { path in
      // Refuses what is no log, rather than making one.
      _ = try LogReader(path: path)
      return try Recovery.recover(log: path)
    }
    for run in recovered {
      let missing = run.missing > 0 ? ", \(run.missing) missing" : ""
      Console.print("run \(run.run): \(run.events) events recovered\(missing)")
    }
    if recovered.isEmpty { Console.print("nothing to recover") }
  }

  private func salvage(_ into: String) throws {
    let path = log.path
    var bar: ProgressBar?
    let result = try LogSalvage.salvage(path, into: into) { pages, total in
      if bar == nil { bar = ProgressBar(total: total, noun: "pages") }
      bar?.show(pages)
    }
    bar?.finish()
    Console.print(
      "\(path): \(Printable.count(result.events, "event")) of "
        + "\(Printable.count(result.runs, "run")) saved into \(into)")
    warn(result.missing, "event", "missing, and noted as gaps")
    warn(result.standIns, "name", "lost, and replaced by a $lost-… of its own")
    warn(Int64(result.unreadable), "row", "unreadable")
    warn(Int64(result.wrongBlobs), "blob", "not what the hash of it says, and left out")
    if result.strayPages > 0 {
      Console.complain(
        "\(Printable.count(result.strayPages, "page")) of the file had lost its place in it, and was "
          + "read all the same")
    }
  }

  private func warn(_ count: Int64, _ noun: String, _ what: String) {
    guard count > 0 else { return }
    Console.complain("\(Printable.count(count, noun)) \(count == 1 ? "is" : "are") \(what)")
  }
}
