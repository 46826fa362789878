import EventLog
import LogAnalysis
import LogFormat
import LogMaintenance
import Querying

/// The runs of the named logs, for commands that compare many.
struct RunArchive {
  private let archive: Archive
  private let names: [String]
  private let environment = LogSet.Environment.command()

  /// - Throws: `LogError`; what cannot be read is reported.
  init(_ logs: LogsOptions) throws {
    names = logs.given
    archive = try Archive(logs.given, prepare: environment.prepare)
    for log in archive.unreadable { environment.omit(log) }
    guard !archive.runs.isEmpty else { throw LogSetError.noRuns(names: names, isSelected: false) }
  }

  /// The indexes of the runs of which an expression is true.
  ///
  /// - Parameter excluded: runs that are left out before `last` and `first` count.
  /// - Throws: `RunExpressionError`.
  func select(
    _ expression: String, option: String, excluding excluded: Set<Int> = []
  ) throws -> [Int] {
    var parsed: RunExpression
    do {
      parsed = try RunExpression(expression, now: Clock.now())
    } catch var error {
      error.option = option
      throw error
    }
    let candidates = archive.runs.indices.filter { !excluded.contains($0) }
    return parsed.select(candidates.map { archive.runs[$0].entry }).map { candidates[$0] }
  }

  /// The indexes of the runs that `--runs` selects; without it, those that a selector as for `--run` does.
  ///
  /// - Throws: `RunExpressionError`, `LogError`; `LogSetError.noRuns` if there are none.
  func selected(_ option: RunsOption, else selector: String = "all") throws -> [Int] {
    let indexes =
      try option.runs.map { try select($0, option: "--runs") } ?? runs(matching: selector)
    guard !indexes.isEmpty else { throw LogSetError.noRuns(names: names, isSelected: true) }
    return indexes
  }

  /// The indexes of the runs that a selector as for `--run` selects.
  ///
  /// - Throws: `LogError.unknownRun`, `LogError.ambiguousRun`.
  func runs(matching selector: String) throws -> [Int] {
    try RunSelector(selector).select(
      from: Array(archive.runs.indices), ofLog: names.joined(separator: ", "),
      id: { archive.runs[$0].entry.id }, number: { Int64($0 + 1) })
  }

  /// The ID of a run.
  func id(_ index: Int) -> String { archive.runs[index].entry.id }

  /// How a run has ended, and its number of events.
  func extent(_ index: Int) -> String {
    let run = archive.runs[index].entry
    return "\(run.apparentEnd.rawValue), \(run.events) events"
  }

  /// The files of a run.
  func paths(_ index: Int) -> [String] { archive.runs[index].paths }

  /// Reads a run; one that cannot be read is reported and left out.
  ///
  /// - Throws: what the body throws but for errors of the log.
  func read(_ index: Int, _ body: (LogReader, RunInfo) throws -> Void) throws {
    do {
      try archive.read(index, environment: environment, body)
    } catch let error as LogError {
      environment.omit(Archive.Unreadable(path: paths(index)[0], reason: "\(error)"))
    }
  }

  /// The runs with their figures, in the order of the indexes; what cannot be read is reported and left out.
  func figures(of indexes: [Int]) -> [(index: Int, run: ComparedRun)] {
    var bar = ProgressBar(total: Int64(indexes.count), noun: "runs")
    let (figures, unreadable) = archive.figures(indexes, environment: environment) {
      bar.show(Int64($0))
    }
    bar.finish()
    for log in unreadable { environment.omit(log) }
    let found = zip(indexes, figures).compactMap { index, figures in
      figures.map { (index, ComparedRun(archive.runs[index], $0)) }
    }
    warn(of: found.map(\.0))
    return found
  }

  /// Warns of runs whose figures are not those of a whole run.
  private func warn(of indexes: [Int]) {
    let unended = indexes.filter { archive.runs[$0].entry.apparentEnd != .closed }
    for index in unended.prefix(3) {
      let run = archive.runs[index].entry
      Console.warn(
        "run \(run.id) \(run.apparentEnd == .died ? "died" : "is still running"); its "
          + "figures are those of its events so far")
    }
    if unended.count > 3 {
      Console.warn("\(unended.count - 3) more of the runs died or are still running")
    }
    let lacking = indexes.filter { archive.runs[$0].entry.missing > 0 }
    if !lacking.isEmpty {
      Console.warn(
        "\(Units.count(Int64(lacking.count), "run")) of \(indexes.count) lack events, which "
          + "'tasklog runs' counts as missing")
    }
  }

  /// The errors of runs by exception and function; what cannot be read is reported and left out.
  func errorGroups(of indexes: [Int]) -> (ErrorGroups, runs: [(number: Int64, id: String)]) {
    var found: [[ErrorCause]?] = Array(repeating: nil, count: indexes.count)
    archive.read(indexes, environment: environment) {
      try $0.failures(of: $1).causes()
    } take: {
      place, result in
      switch result {
      case .success(let causes): found[place] = causes
      case .failure(let error):
        environment.omit(
          Archive.Unreadable(path: archive.runs[indexes[place]].paths[0], reason: "\(error)"))
      }
    }
    var groups = ErrorGroups()
    for (place, causes) in found.enumerated() {
      for cause in causes ?? [] { groups.add(cause, run: place) }
    }
    return (groups, indexes.map { (Int64($0 + 1), archive.runs[$0].entry.id) })
  }
}
