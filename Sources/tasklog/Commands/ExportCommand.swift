import ArgumentParser
import EventLog
import LogAnalysis
import LogFormat
import LogMaintenance
import Querying
import Recording
import Reporting

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write a run in the format of another tool.",
    usage:
      "tasklog export --to <format> [<filter> ...] [-o <file>] [--log <path>] ... [--run <run>]",
    discussion: """
      Formats:
        perfetto   tracks, dependencies and counters, for https://ui.perfetto.dev
        chrome     the same as JSON, for about:tracing and other viewers
        otlp-json  OpenTelemetry spans, one per attempt of a task
        dask       the records of Dask's task stream, as returned by get_task_stream
        jsonl      all fields of each event, one JSON object per line
        csv        the same as CSV
        speedscope the statistical profile of workers, for https://www.speedscope.app

      A file is written under a temporary name and renamed, so that it is either complete or \
      absent.

      Examples:
        tasklog export --to perfetto -o run.pftrace
        tasklog export --to csv --run all
        tasklog export --to chrome --prefix count --until seq:60 -o begin.json
        tasklog export --to dask --rectangles -o stream.jsonl
      """)

  @Option(help: ArgumentHelp("The output format.", valueName: "format"))
  var to: ExportFormat

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The file to write; - (the default) is the standard output.", valueName: "file"))
  var output: String?

  @OptionGroup var logs: LogsOptions
  @OptionGroup var selection: RunOption
  @OptionGroup(title: "Filters") var scope: ScopeOptions

  @Flag(help: "With dask: write the rectangles that its task stream draws, instead of the records.")
  var rectangles = false

  func run() throws {
    guard !rectangles || to == .dask else {
      throw Failure.usage("--rectangles requires --to dask")
    }
    let isFile = output.map { $0 != "-" } ?? false
    guard to != .perfetto || isFile || !Console.isTerminal else {
      throw Failure.usage("--to perfetto is binary; name a file with -o")
    }
    for log in try logs.allPaths() {
      if let path = output, isFile, FileIdentity.isSame(path, log) {
        throw Failure.usage("-o \(path): is the log itself; name another file")
      }
    }
    let filter = try scope.filter(now: Clock.now())
    let logSet = try logs.resolve(
      run: selection.selector, choosing: selection.choice(), .groups, takesJobs: true)
    defer { logSet.remove() }
    var scopeLines: [String] = []
    let parts = try logSet.parts.map { log -> Export.Part in
      let reader = try log.reader(keptKeys: Export.keptKeys)
      let runs = try log.runs(reader)
      let scoped = try ScopedRuns(
        reader, runs, filter, jobs: logSet.jobs, of: logSet.parts.count > 1 ? log.name : nil)
      scopeLines += scoped.lines
      return Export.Part(name: log.name, reader: reader, runs: runs, scopes: scoped.scopes)
    }
    let extent = parts.flatMap(\.runs).reduce(Int64(0)) { (sum: Int64, run: RunInfo) -> Int64 in
      sum + run.seqCount
    }
    var export = Export(to, parts)
    export.asRectangles = rectangles
    export.version = taskLogVersion
    let file = try isFile ? output.map { try OutputFile(path: $0) } : nil
    let write = { (bytes: [UInt8]) in
      if let file { try file.write(bytes) } else { Console.write(bytes) }
    }
    var bar = ProgressBar(total: extent, noun: "events")
    let tally: ExportTally
    do {
      defer { bar.finish() }
      tally = try export.write(to: write) { bar.show($0) }
      try file?.commit()
    }
    for line in scopeLines { Console.warn(line) }
    report(tally, isFile: file?.isReplaced ?? false)
    for part in parts { for run in part.runs { try RunWarnings.reportParts(run, part.reader) } }
  }

  /// Prints what was written, and warns about everything that is missing from it.
  private func report(_ tally: ExportTally, isFile: Bool) {
    if isFile, let output {
      let events = Self.count(tally.events, "event")
      Console.print("\(Printable.text(output)): \(Self.summary(tally.written)) of \(events)")
    }
    if tally.skipped > 0 {
      Console.warn(
        "\(Self.count(tally.skipped, "end")) of tasks \(tally.skippedBecause)")
    }
    for run in tally.withoutProfile {
      Console.warn(
        "run #\(run.number) has no profile; record it with the option profile, such as "
          + "TASKLOG_PROFILE=true")
    }
    for note in tally.notes { Console.warn(note) }
    warn(tally.missing, "missing in the log")
    warn(Int64(tally.damaged), "damaged in the log, and written in part or not at all")
    warn(Int64(tally.outOfOrder), "written before their causes")
    for (log, run) in tally.unclosed {
      let log = tally.unclosed.count > 1 ? log : nil
      RunWarnings.reportDeath(run, of: log)
      guard run.end == .running else { continue }
      let location = log.map { " of \($0)" } ?? ""
      Console.warn(
        "run #\(run.number)\(location) is still running; the export has its events so far")
    }
  }

  private static func count(_ number: some BinaryInteger, _ noun: String) -> String {
    Printable.count(number, noun)
  }

  private static func summary(_ counts: TraceCounts) -> String {
    let parts = [
      (counts.slices, "slice"), (counts.flows, "dependency arrow"), (counts.failures, "failure"),
      (counts.gaps, "gap"), (counts.spans, "span"), (counts.links, "link"),
      (counts.profiles, "profile"), (counts.rows, counts.profiles > 0 ? "function" : "row"),
    ].filter { $0.0 > 0 }
    return parts.isEmpty
      ? "nothing" : parts.map { count($0.0, $0.1) }.joined(separator: ", ")
  }

  private func warn(_ events: Int64, _ problem: String) {
    guard events > 0 else { return }
    Console.warn("\(Self.count(events, "event")) \(events == 1 ? "is" : "are") \(problem)")
  }
}

extension ExportFormat: ExpressibleByArgument {}
