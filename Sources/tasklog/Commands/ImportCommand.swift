import ArgumentParser
import EventLog
import LogFormat
import Querying
import Recording

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Import worker spools that were left on their hosts.",
    discussion: """
      A worker of a Dask cluster keeps its events in a spool on its own disk until the scheduler's \
      recorder has acknowledged them. If the worker is killed, the next worker on that host sends \
      the rest. If there is no next worker, copy the spool from that host and import it. The files \
      are not changed, and importing them twice is harmless. Spools that do not belong to the log \
      are skipped and reported, with the log that they belong to; the exit code is then 1.

      Examples:
        tasklog import /tmp/tasklog-1000
        tasklog import worker-3/spool worker-4/spool --log dask.db
      """)

  @OptionGroup var log: LogOptions

  @Argument(help: "The files of worker spools, or folders with such files.")
  var paths: [String]

  func run() throws {
    // Throws if the file is not a log, instead of creating one.
    _ = try LogReader(path: log.path)
    let files = LogTemplate.isTemplate(log.given) ? LogTemplate.files(log.given) : []
    let (imported, skipped) = try WorkerSpools.importFiles(paths) { run in
      files.last { $0.run == run }?.path ?? log.path
    }
    for worker in imported {
      var text = "run \(worker.run), worker \(worker.worker): \(worker.events) events imported"
      if worker.missing > 0 { text += ", \(worker.missing) missing" }
      if worker.unreadable > 0 { text += ", \(worker.unreadable) records unreadable" }
      Console.print(text)
    }
    if imported.isEmpty { Console.print("nothing to import") }
    for spool in skipped {
      let count = spool.files > 1 ? " (\(Printable.count(spool.files, "file")))" : ""
      Console.warn("not imported: \(spool.reason)\(count)")
    }
    if !skipped.isEmpty { throw ExitCode(Failure.runCode) }
  }
}
