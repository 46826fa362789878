import ArgumentParser
import EventLog
import LogFormat
import Querying
import Recording

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Put what workers have left on their hosts into the log.",
    discussion: """
      A worker of a Dask cluster keeps its events in a spool on its own disk until the scheduler's \
      recorder has them. When it is killed, the next worker on that host ships the rest. When none \
      comes, copy the spool from there and import it. The files stay as they are; importing them \
      twice does no harm. What does not belong into the log is named, with where it belongs, and \
      left; the exit code is 1 then.

      Examples:
        tasklog import /tmp/tasklog-1000
        tasklog import worker-3/spool worker-4/spool --log dask.db
      """)

  @OptionGroup var log: LogOptions

  @Argument(help: "The files of a worker's spool, or folders with such files.")
  var paths: [String]

  func run() throws {
    // Refuses what is no log, rather than making one.
    _ = try LogReader(path: log.path)
    let files = LogTemplate.isTemplate(log.given) ? LogTemplate.files(log.given) : []
    let (imported, left) = try WorkerSpools.importFiles(paths) { run in
      files.last { $0.run == run }?.path ?? log.path
    }
    for worker in imported {
      var text = "run \(worker.run), worker \(worker.worker): \(worker.events) events imported"
      if worker.missing > 0 { text += ", \(worker.missing) missing" }
      if worker.unreadable > 0 { text += ", \(worker.unreadable) records unreadable" }
      Console.print(text)
    }
    if imported.isEmpty { Console.print("nothing to import") }
    for one in left {
      let count = one.files > 1 ? " (\(Printable.count(one.files, "file")))" : ""
      Console.complain("left \(one.reason)\(count)")
    }
    if !left.isEmpty { throw ExitCode(Failure.runCode) }
  }
}
