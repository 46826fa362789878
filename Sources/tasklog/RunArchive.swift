import EventLog
import LogAnalysis
import LogFormat
import LogMaintenance
import Querying

/// The runs of the named logs, for commands that compare many.
struct RunArchive {
  private var archive: Archive
  private let names: [String]
  private var knowsJobs = false
  private let environment = LogSet.Environment.command()

  /// - Throws: `LogError`; what cannot be read is reported.
  init(_ logs: LogsOptions) throws {
    names = logs.given
    archive = try Archive(logs.given, prepare: environment.prepare)
    for log in archive.unreadable { environment.omit(log) }
    guard !archive.runs.isEmpty else { throw LogSetError.noRuns(names: names, isSelected: false) }
  }

  /// The runs or jobs of which an expression is true, the oldest first.
  ///
  /// - Parameter excluded: what is left out before `last` and `first` count.
  /// - Throws: `RunExpressionError`.
  mutating func select(
    _ expression: String, option: String, excluding excluded: [Archive.Item] = []
  ) throws -> [Archive.Item] {
    let parsed = try Self.expression(expression, option)
    if parsed.kind != nil, !knowsJobs {
      archive.findJobs(environment: environment)
      knowsJobs = true
    }
    return parsed.select(archive.runs.map(\.entry), excluding: Set(excluded))
  }

  /// What an expression selects; `nil` for runs.
  ///
  /// - Throws: `RunExpressionError`.
  static func kind(of expression: String, option: String) throws -> Job.Kind? {
    try self.expression(expression, option).kind
  }

  private static func expression(_ text: String, _ option: String) throws -> RunExpression {
    do {
      return try RunExpression(text, now: Clock.now())
    } catch var error {
      error.option = option
      throw error
    }
  }

  /// The runs or jobs that `--runs` selects; without it, the runs that a selector as for `--run` does.
  ///
  /// - Throws: `RunExpressionError`, `LogError`; `LogSetError.noRuns` if there are none.
  mutating func selected(
    _ option: some RunsSelecting, else selector: String = "all"
  ) throws -> [Archive.Item] {
    let items =
      try option.runs.map { try select($0, option: "--runs") }
      ?? runs(matching: selector).map { Archive.Item(index: $0) }
    guard !items.isEmpty else { throw LogSetError.noRuns(names: names, isSelected: true) }
    return items
  }

  /// The indexes of the runs that are selected as for `selected`, for commands that read whole runs.
  ///
  /// - Throws: as `selected`.
  mutating func selectedRuns(
    _ option: some RunsSelecting, else selector: String = "all"
  ) throws -> [Int] {
    let items = try selected(option, else: selector)
    if items.contains(where: { $0.job != nil }) { Console.warn(LogsOptions.readsWholeRuns) }
    var seen: Set<Int> = []
    return items.map(\.index).filter { seen.insert($0).inserted }
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

  /// The runs or jobs with their figures, in their order; what cannot be read is reported and left out.
  func figures(of items: [Archive.Item]) -> [(item: Archive.Item, run: ComparedRun)] {
    var bar = ProgressBar(total: Int64(items.count), noun: "runs")
    let (figures, unreadable) = archive.figures(items, environment: environment) {
      bar.show(Int64($0))
    }
    bar.finish()
    for log in unreadable { environment.omit(log) }
    let found = zip(items, figures).compactMap { item, figures in
      figures.map { (item, ComparedRun(archive.runs[item.index], item.job, $0)) }
    }
    warn(of: found.map(\.0.index))
    return found
  }

  /// Warns of runs whose figures are not those of a whole run.
  private func warn(of found: [Int]) {
    let indexes = Set(found).sorted()
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

  /// The errors of runs by exception and function, and these runs; of jobs those of their tasks, each once.
  /// What cannot be read is reported and left out.
  func errorGroups(
    of items: [Archive.Item]
  ) -> (ErrorGroups, runs: [(number: Int64, id: String)]) {
    var filters: [Int: ScopeFilter] = [:]
    for item in items {
      if let job = item.job { filters[item.index, default: ScopeFilter()].add(job) }
    }
    let indexes = Set(items.map(\.index)).sorted()
    let wanted = indexes.map { filters[$0] ?? ScopeFilter() }
    var found: [[ErrorCause]?] = Array(repeating: nil, count: indexes.count)
    archive.read(indexes, environment: environment) { place, reader, run in
      let scope = try reader.scope(of: run, wanted[place])
      return try reader.failures(of: run, in: scope).causes()
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
