import ArgumentParser
import LogAnalysis
import Querying

struct TrendCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trend",
    abstract: "Show how a number developed over many runs.",
    discussion: """
      Measures are those of 'compare': makespan, work, idle, missing, time(class=transfer), and, of all tasks \
      or with (prefix=load), tasks, failed, retried, work, bytes, p50, p95. A pattern shows one row \
      of numbers for each prefix or class that matches. Runs are listed with the oldest first; one \
      without a value is left out. If --runs names job, client or span, it shows these instead of whole \
      runs.

      Examples:
        tasklog trend makespan --log .
        tasklog trend 'p95(prefix=*)' --runs 'closed last 50' --format csv
      """)

  @Argument(help: ArgumentHelp("What to show of each run.", valueName: "measure"))
  var measures: [String]

  @OptionGroup var logs: LogsOptions
  @OptionGroup var many: RunsOption
  @OptionGroup var format: FormatOptions

  func run() throws {
    let wanted = try measures.map { try MeasureExpression($0, option: "trend") }
    var archive = try RunArchive(logs)
    let runs = archive.figures(of: try archive.selected(many))
    let figures = runs.map(\.run.figures)
    var found: [Measure] = []
    for (measure, text) in zip(wanted, measures) {
      let named = measure.measures(of: figures)
      guard !named.isEmpty else {
        throw Failure.run("trend '\(text)': no task of these runs has such a prefix")
      }
      found += named.filter { !found.contains($0) }
    }
    try format.write(
      Reports.trend(found, runs.map { (Int64($0.item.index + 1), $0.run) }),
      options: logs.repeated + many.repeated)
  }
}
