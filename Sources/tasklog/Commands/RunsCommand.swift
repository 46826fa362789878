import ArgumentParser
import EventLog
import LogFormat
import LogMaintenance
import Querying

struct RunsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runs",
    abstract: "List the runs in a log, and how they ended.",
    discussion: """
      A run is closed (its recorder recorded the end), died (its recorder stopped without \
      recording an end), or running. "missing" is the number of events known to be lost; \
      "incomplete" is the number of workers without an end in the log, whose last events may be \
      missing, too. "labels" are those of the run; "host", "user" and "git_revision" are of the \
      process that requested the recording. For logs/{run}.db all runs are listed, each with all its files. \
      Of a folder the runs of all logs in it and in its subfolders are listed, the oldest first; what \
      was read of a log that has not changed is kept in the user's cache folder.

      With --label labels are added or changed later, also while the run is recorded.

      Examples:
        tasklog runs
        tasklog runs --format csv
        tasklog runs --log . --runs 'closed and not label.branch=main'
        tasklog runs --label latest pipeline=etl branch=main
      """)

  @OptionGroup var logs: LogsOptions
  @OptionGroup var selection: RunsOption
  @Option(
    help: ArgumentHelp(
      "Change labels of this run, given as name=value; name= removes one.", valueName: "run"))
  var label: String?

  @Argument(help: ArgumentHelp("With --label: the labels.", valueName: "name=value"))
  var labels: [String] = []

  @OptionGroup var format: FormatOptions

  func run() throws {
    if let label { return try add(to: label) }
    if let first = labels.first {
      throw Failure.usage(
        "\(first): name the run that gets the label, as in --label latest \(first)")
    }
    let choice = try selection.choice()
    if choice != nil || logs.given.contains(where: ArchiveFiles.isCollection) {
      return try list(choice)
    }
    if logs.given.count == 1, LogTemplate.isTemplate(logs.given[0]) {
      let runs = try LogSet.segments(of: logs.given[0], environment: .command())
      try format.write(Reports.runs(runs, ofSeveral: true), options: logs.repeated)
      for run in runs { try RunWarnings.reportIncomplete(run) }
      return
    }
    let logSet = try logs.resolve(run: "all", .one)
    defer { logSet.remove() }
    let reader = try logSet.reader()
    let runs = try RunSegment.runs(in: [reader])
    try format.write(Reports.runs(runs, ofSeveral: false), options: logs.repeated)
    for run in try reader.runs() {
      try RunWarnings.reportParts(run, reader)
      try RunWarnings.reportIncomplete([RunSegment(reader: reader, run: run)])
    }
  }

  /// Lists runs of folders and patterns, or those that an expression selects.
  private func list(_ choose: RunChoice?) throws {
    let environment = LogSet.Environment.command()
    var archive = try Archive(logs.given, prepare: environment.prepare)
    for log in archive.unreadable { environment.omit(log) }
    if choose?.needsJobs == true { archive.findJobs(environment: environment) }
    let chosen = choose.map { Set($0.select(archive.runs.map(\.entry)).map(\.index)).sorted() }
    let indexes = chosen ?? Array(archive.runs.indices)
    try format.write(
      Reports.runs(archive, indexes), options: logs.repeated + selection.repeated)
  }

  /// Changes labels of one run.
  private func add(to selector: String) throws {
    if selection.runs != nil { throw Failure.usage("--label and --runs cannot be combined") }
    let changes = try Self.changes(labels)
    let logSet = try logs.resolve(run: selector, .files)
    defer { logSet.remove() }
    let found = try logSet.parts.flatMap { part in
      let reader = try part.reader()
      return try part.runs(reader).map { RunSegment(reader: reader, run: $0) }
    }
    guard let last = found.last, Set(found.map(\.run.id)).count == 1 else {
      throw Failure.usage("--label \(selector): selects several runs; choose one")
    }
    try RunLabels.apply(changes, to: last.run, in: last.reader.path)
    let reader = try LogReader(path: last.reader.path)
    let now = try reader.origins()[last.run.number]?.labels ?? "{}"
    Console.print("run \(last.run.id) in \(last.reader.path): labels \(now)")
  }

  private static func changes(_ texts: [String]) throws -> [RunLabels.Change] {
    guard !texts.isEmpty else {
      throw Failure.usage(
        "--label: write the labels after the run, as in --label latest name=value")
    }
    return try texts.map { text in
      guard let sign = text.firstIndex(of: "="), sign != text.startIndex else {
        throw Failure.usage("--label: \(text.isEmpty ? "''" : text): expected name=value")
      }
      let value = String(text[text.index(after: sign)...])
      return RunLabels.Change(
        name: String(text[..<sign]), value: value.isEmpty ? nil : value)
    }
  }
}
