import EventLog
import LogAnalysis

extension EventFilter {
  /// Selects the tasks in the spans.
  ///
  /// - Returns: why no task is selected, one line for each of the filter's runs; empty if one is.
  /// - Throws: `ScopeError`, `LogError`.
  package mutating func resolveSpans(_ reader: LogReader) throws -> [String] {
    guard !spans.isEmpty else { return [] }
    let selection = try SpanTasks(path: reader.path, spans: spans)
    tasks = selection
    guard let runIDs = runs else { return [] }
    var filter = ScopeFilter()
    filter.spans = spans
    let runs = try reader.runs().filter { runIDs.contains($0.number) }
    let reasons = try runs.compactMap { run in
      try selection.emptyReason(of: run).map { $0.text(filter, run: run) }
    }
    return reasons.count == runs.count ? reasons : []
  }
}
