import ArgumentParser
import EventLog
import LogAnalysis
import Querying

/// The options that restrict a report to a part of a run.
struct ScopeOptions: ParsableArguments {
  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("Only tasks with this prefix, or a pattern with * and ?.", valueName: "glob")
  )
  var prefix: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("Only tasks of this client, or a pattern.", valueName: "glob"))
  var client: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("Only tasks of this named job, or a pattern; see 'jobs'.", valueName: "glob")
  )
  var job: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "Only tasks in this span of Dask: a name, an ID or a pattern.", valueName: "glob"))
  var span: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "Only this worker, by name, address or address pattern, and the tasks that it was given.",
      valueName: "worker"))
  var worker: [String] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Only from this time on: 2026-01-31T12:00 (UTC), 2026-01-31, -10m (s, m, h, d), or seq:100.",
      valueName: "time"))
  var since: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Only up to this time, in the same format.", valueName: "time"))
  var until: String?

  /// What a further command needs to show the same part; each option after a space.
  var repeated: String {
    let options =
      [
        ("prefix", prefix), ("client", client), ("job", job), ("span", span), ("worker", worker),
      ]
      + [("since", since.map { [$0] } ?? []), ("until", until.map { [$0] } ?? [])]
    return options.map { name, values in
      values.map { " --\(name) \(ShellWord.quoted($0))" }.joined()
    }.joined()
  }

  /// - Throws: `FilterError`.
  func filter(now: Int64) throws -> ScopeFilter {
    var filter = ScopeFilter()
    filter.prefixes = prefix
    filter.clients = client
    filter.jobs = job
    filter.spans = span
    filter.workers = worker
    filter.since = try since.map { try Self.point($0, option: "--since", now: now) }
    filter.until = try until.map { try Self.point($0, option: "--until", now: now, isEnd: true) }
    let isReversed =
      switch (filter.since, filter.until) {
      case (.time(let start)?, .time(let stop)?), (.seq(let start)?, .seq(let stop)?): start > stop
      default: false
      }
    if isReversed, let since, let until {
      throw Failure.usage("--since \(since): is after --until \(until)")
    }
    return filter
  }

  private static func point(
    _ text: String, option: String, now: Int64, isEnd: Bool = false
  ) throws -> PointInTime {
    switch try FilterParsing.bound(text, option: option, now: now, isEnd: isEnd) {
    case .time(let time): .time(time)
    case .seq(let seq): .seq(seq)
    }
  }
}

/// The selected parts of runs, and what to say about them.
struct ScopedRuns {
  var scopes = RunScopes()
  /// One line for each run: how much of it is shown, or why nothing is.
  private(set) var lines: [String] = []
  /// Whether there is nothing to show.
  private(set) var isEmpty = false

  /// - Parameters:
  ///   - jobs: those to which runs are restricted, too, by the ID of the run; all of one kind.
  ///   - log: the name of the log, if there are several.
  /// - Throws: `LogError`; `ScopeError` if no run can answer the filter; `Failure` if both select jobs.
  init(
    _ reader: LogReader, _ runs: [RunInfo], _ filter: ScopeFilter, jobs: [String: [Job]] = [:],
    of log: String? = nil
  ) throws {
    guard !filter.isEmpty || !jobs.isEmpty else { return }
    if let kind = jobs.values.first?.first?.kind, filter.selects(kind) {
      throw Failure.usage("--\(kind) cannot be combined with a \(kind) in --runs")
    }
    let location = log.map { "\($0): " } ?? ""
    var errors: [ScopeError] = []
    for run in runs {
      var filter = filter
      for job in jobs[run.id] ?? [] { filter.add(job) }
      do {
        guard let scope = try reader.scope(of: run, filter) else { continue }
        scopes[run] = scope
        let name = runs.count > 1 ? "run #\(run.number): " : ""
        lines.append(
          location
            + (scope.share.emptyBecause?.text(filter, run: run) ?? name + scope.share.text))
      } catch let error as ScopeError {
        scopes[run] = .nothing
        errors.append(error)
        lines.append("\(location)\(error)")
      }
    }
    if errors.count == runs.count, let error = errors.first { throw error }
    isEmpty = runs.allSatisfy { scopes[$0]?.share.emptyBecause != nil }
  }
}
