import ArgumentParser
import EventLog
import Recording

struct RecoverCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recover",
    abstract: "Put what killed recorders have left behind into the log.",
    discussion: """
      A recorder that is killed leaves its last events in its spool, a folder beside the log. They \
      are put into the log by the next recorder, by the commands that read, and by this one. \
      Recorders that live are left alone.

      Examples:
        tasklog recover
        tasklog recover --log crashed.db
      """)

  @OptionGroup var log: LogOptions

  func run() throws {
    // Refuses what is no log, rather than making one.
    _ = try LogReader(path: log.path)
    let recovered = try Recovery.recover(log: log.path)
    for run in recovered {
      let missing = run.missing > 0 ? ", \(run.missing) missing" : ""
      Console.print("run \(run.run): \(run.events) events recovered\(missing)")
    }
    if recovered.isEmpty { Console.print("nothing to recover") }
  }
}
