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
    case test(@Sendable (RunEntry) -> Bool)

    func holds(_ run: RunEntry) -> Bool {
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

  /// - Parameter now: nanoseconds since 1970 UTC, for times such as `-7d`.
  /// - Throws: `RunExpressionError`.
  package init(_ text: String, now: Int64) throws(RunExpressionError) {
    var parser = RunExpressionParser(text, now: now)
    (condition, first, last) = try parser.parse()
  }

  /// Whether a run matches, regardless of `first` and `last`.
  package func matches(_ run: RunEntry) -> Bool { condition.holds(run) }

  /// The indexes of the selected runs.
  ///
  /// - Parameter runs: the oldest first.
  package func select(_ runs: [RunEntry]) -> [Int] {
    let matching = runs.indices.filter { matches(runs[$0]) }
    if let first { return Array(matching.prefix(first)) }
    if let last { return Array(matching.suffix(last)) }
    return matching
  }
}

/// What a run can be selected by.
enum RunField {
  case text(@Sendable (RunEntry) -> [String])
  case number(@Sendable (RunEntry) -> Double?)
  /// Nanoseconds since 1970 UTC.
  case time(@Sendable (RunEntry) -> Int64?)
  /// Seconds.
  case duration(@Sendable (RunEntry) -> Double?)

  static let names = [
    "id", "engine", "end", "started", "ended", "duration", "user", "host", "place", "git", "prefix",
    "label.NAME", "events", "tasks", "failed", "workers", "missing", "incomplete",
  ]

  init?(_ name: String) {
    func text(_ value: @escaping @Sendable (RunEntry) -> String?) -> RunField {
      .text { value($0).map { [$0] } ?? [] }
    }
    func count(_ value: @escaping @Sendable (RunEntry) -> Int64) -> RunField {
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
    case "place": self = .text { $0.places }
    case "prefix": self = .text { $0.prefixes }
    case "started": self = .time { $0.started }
    case "ended": self = .time { $0.apparentEnd == .running ? nil : $0.ended }
    case "duration": self = .duration { $0.duration }
    case "events": self = count { $0.events }
    case "tasks": self = count { $0.tasks }
    case "failed": self = count { $0.failed }
    case "workers": self = count { $0.workers }
    case "missing": self = count { $0.missing }
    case "incomplete": self = count { $0.incomplete }
    default: return nil
    }
  }
}
