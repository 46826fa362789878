import LogAnalysis
import LogFormat
import LogMaintenance

/// An error in an expression that selects runs.
package struct RunExpressionError: Error, Sendable, CustomStringConvertible {
  package var text: String
  package var reason: String
  /// The option that it was given for.
  package var option = "--runs"

  package var description: String {
    "\(option) '\(text)': \(reason); write such as 'label.pipeline=etl and started>-7d and not died'"
  }
}

/// Selects runs by what is known of them without reading their events:
/// `label.pipeline=etl and started>-7d and not died last 20`.
///
/// Comparisons are joined by `and`, `or`, `not` and parentheses. Texts match by patterns with `*` and `?`.
/// A number alone is true if it is not 0. `last N` and `first N` at the end keep the N newest or oldest.
/// An expression with `job`, `client` or `span` selects these instead of whole runs.
package struct RunExpression: Sendable {
  enum Comparison: String, CaseIterable {
    // The longer ones first.
    case notEqual = "!="
    case atMost = "<="
    case atLeast = ">="
    case equal = "="
    case less = "<"
    case more = ">"
  }

  indirect enum Condition: Sendable {
    // Of any number: text that is long but not nested takes no more of the stack.
    case all([Condition])
    case any([Condition])
    case not(Condition)
    case test(@Sendable (RunItem) -> Bool)

    func holds(_ run: RunItem) -> Bool {
      switch self {
      case .all(let conditions): conditions.allSatisfy { $0.holds(run) }
      case .any(let conditions): conditions.contains { $0.holds(run) }
      case .not(let condition): !condition.holds(run)
      case .test(let body): body(run)
      }
    }
  }

  private let condition: Condition
  private let first: Int?
  private let last: Int?
  /// What it selects; `nil` for runs.
  package let kind: Job.Kind?

  /// - Parameter now: nanoseconds since 1970 UTC, for times such as `-7d`.
  /// - Throws: `RunExpressionError`.
  package init(_ text: String, now: Int64) throws(RunExpressionError) {
    var parser = RunExpressionParser(text, now: now)
    (condition, first, last) = try parser.parse()
    kind = parser.kind
  }

  /// Whether a run or a job matches, regardless of `first` and `last`.
  package func matches(_ item: RunItem) -> Bool { condition.holds(item) }

  /// The selected runs or jobs, the oldest first.
  ///
  /// - Parameters:
  ///   - runs: the oldest first, with their jobs if there is a `kind`.
  ///   - excluded: what is left out before `first` and `last` count.
  package func select(
    _ runs: [RunEntry], excluding excluded: Set<Archive.Item> = []
  ) -> [Archive.Item] {
    var matching: [Archive.Item] = []
    for (index, run) in runs.enumerated() {
      let jobs: [Job?] = kind == nil ? [nil] : run.jobs.filter { $0.kind == kind }
      for job in jobs {
        let item = Archive.Item(index: index, job: job)
        if !excluded.contains(item), matches(RunItem(run, job)) { matching.append(item) }
      }
    }
    if kind != nil {
      matching.sort {
        ($0.job?.started ?? 0, $0.index, $0.job?.name ?? "")
          < ($1.job?.started ?? 0, $1.index, $1.job?.name ?? "")
      }
    }
    if let first { return Array(matching.prefix(first)) }
    if let last { return Array(matching.suffix(last)) }
    return matching
  }

  package var choice: RunChoice { RunChoice(needsJobs: kind != nil) { select($0) } }
}

/// What a run can be selected by.
enum RunField {
  case text(@Sendable (RunItem) -> [String])
  case number(@Sendable (RunItem) -> Double?)
  /// Nanoseconds since 1970 UTC.
  case time(@Sendable (RunItem) -> Int64?)
  /// Seconds.
  case duration(@Sendable (RunItem) -> Double?)

  static let names = [
    "id", "engine", "end", "started", "ended", "duration", "user", "host", "place", "git", "prefix",
    "label.NAME", "job", "client", "span", "events", "tasks", "failed", "workers", "missing",
    "incomplete",
  ]

  init?(_ name: String) {
    func text(_ value: @escaping @Sendable (RunEntry) -> String?) -> RunField {
      .text { value($0.run).map { [$0] } ?? [] }
    }
    func count(_ value: @escaping @Sendable (RunItem) -> Int64) -> RunField {
      .number { Double(value($0)) }
    }
    if name.hasPrefix("label."), name.utf8.count > 6 {
      let label = String(name.dropFirst(6))
      self = text { $0.labels[label] }
      return
    }
    switch name {
    case "id": self = text { $0.id }
    case "engine": self = text { $0.engine }
    case "end": self = text { $0.apparentEnd.rawValue }
    case "user": self = text { $0.user }
    case "host": self = text { $0.host }
    case "git": self = text { $0.gitRevision }
    case "place": self = .text { $0.run.places }
    case "prefix": self = .text { $0.run.prefixes }
    case "started": self = .time { $0.started }
    case "ended": self = .time { $0.ended }
    case "duration": self = .duration { $0.duration }
    case "events": self = count { $0.run.events }
    case "tasks": self = count { $0.tasks }
    case "failed": self = count { $0.failed }
    case "workers": self = count { $0.run.workers }
    case "missing": self = count { $0.run.missing }
    case "incomplete": self = count { $0.run.incomplete }
    default:
      guard let kind = Job.Kind(rawValue: name) else { return nil }
      self = .text { $0.job?.kind == kind ? [$0.job?.name ?? ""] : [] }
    }
  }
}
