import ArgumentParser
import EventLog
import LogAnalysis
import LogFormat
import LogMaintenance
import Querying
import Recording

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Import worker spools that were left on their hosts, and why workers ended.",
    discussion: """
      A worker of a Dask cluster keeps its events in a spool on its own disk until the scheduler's \
      recorder has acknowledged them. If the worker is killed, the next worker on that host sends \
      the rest. If there is no next worker, copy the spool from that host and import it. The files \
      are not changed, and importing them twice is harmless. Spools that do not belong to the log \
      are skipped and reported, with the log that they belong to; the exit code is then 1.

      If a worker and its nanny end together, only the manager of their host knows why. --deaths \
      imports what it says: the output of 'kubectl get events -o json', 'kubectl get pods -o json' \
      (only they have OOMKilled) and 'sacct --json', recognized by content. It is joined to \
      workers by the pod, namespace, node, container, process and job that they recorded, and by the \
      time at which they left. What belongs to no worker is counted and named. 'tasklog workers \
      --deaths' then shows the causes. Importing a file twice adds nothing.

      Examples:
        tasklog import /tmp/tasklog-1000
        tasklog import worker-3/spool worker-4/spool --log dask.db
        tasklog import --deaths events.json --deaths pods.json
      """)

  @OptionGroup var logs: LogsOptions

  @Option(
    help: ArgumentHelp(
      "The output of kubectl or sacct, or - for standard input; repeat for several.",
      valueName: "file"), completion: .file())
  var deaths: [String] = []

  @Argument(help: "The files of worker spools, or folders with such files.")
  var paths: [String] = []

  func validate() throws {
    if paths.isEmpty, deaths.isEmpty {
      throw ValidationError("name the files of worker spools, or output with --deaths")
    }
  }

  func run() throws {
    let paths = try logs.allPaths()
    // Throws if the file is not a log, instead of creating one.
    if paths.count == 1 { _ = try LogReader(path: paths[0]) }
    let isComplete = try self.paths.isEmpty || importSpools(paths)
    if !deaths.isEmpty { try importDeaths(paths) }
    if !isComplete { throw ExitCode(Failure.runCode) }
  }

  /// - Returns: whether all spools belong to the logs.
  private func importSpools(_ logs: [String]) throws -> Bool {
    let last = logs[logs.count - 1]
    let runs = logs.count > 1 ? try Archive(logs, prepare: { _ in }).runs : []
    let (imported, skipped) = try WorkerSpools.importFiles(paths) { run in
      runs.first { $0.entry.id == run }?.paths.last ?? last
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
    return skipped.isEmpty
  }

  /// At most so many reports that belong to no worker are named.
  private static let mostNamed = 20

  private func importDeaths(_ logs: [String]) throws {
    var reports: [ManagerReport] = []
    var others = 0
    for path in deaths {
      let text = try InputFile.text(path)
      let read = try ManagerReport.read(text, path: path)
      reports += read.reports
      others += read.others
    }
    for log in logs { _ = try LogOptions.recovered(log) }
    let done = try ManagerImport(reports, into: logs)
    for one in done.joined where one.isNew {
      Console.print(
        "run #\(one.run), worker \(one.worker): \(one.fact.reason) of \(one.fact.object)")
    }
    let known = done.joined.count { !$0.isNew }
    Console.print(
      "\(Printable.count(done.joined.count - known, "report")) imported, \(known) in the log already, "
        + "\(done.missed.count) about no worker of the log, \(others) about something else")
    for missed in done.missed.prefix(Self.mostNamed) {
      Console.warn(
        "not joined: \(missed.report.reason) of \(missed.report.object): \(missed.miss.rawValue)")
    }
    if done.missed.count > Self.mostNamed {
      Console.warn("not joined: \(done.missed.count - Self.mostNamed) more")
    }
  }
}
