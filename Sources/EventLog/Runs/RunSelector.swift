import LogFormat

/// What selects runs of a log: `latest`, `all`, the number of a run, or the prefix of a run ID.
///
/// A number may be written `3` or `#3`, which shells take for a comment unless it is quoted. IDs begin
/// with 0 for centuries to come: they begin with the time.
package struct RunSelector: Sendable, Equatable {
  package static let latest = RunSelector("latest")
  package static let all = RunSelector("all")

  package let text: String

  package init(_ text: String) { self.text = text }

  /// - Parameters:
  ///   - runs: all runs, oldest first.
  ///   - log: the name of the log, for errors.
  ///   - number: the number of a run in the log.
  /// - Throws: `LogError.unknownRun`, `LogError.ambiguousRun`.
  package func select<Run>(
    from runs: [Run], ofLog log: String, id: (Run) -> String, number: (Run) -> Int64
  ) throws -> [Run] {
    if self == .latest { return runs.suffix(1) }
    if self == .all { return runs }
    var matches = runs.filter { "\(number($0))" == text || "#\(number($0))" == text }
    if matches.isEmpty, !text.isEmpty { matches = runs.filter { id($0).hasPrefix(text) } }
    guard !matches.isEmpty else { throw LogError.unknownRun(path: log, run: text) }
    guard matches.count == 1 else {
      throw LogError.ambiguousRun(path: log, run: text, count: matches.count)
    }
    return matches
  }
}
