import EventLog
import LogAnalysis

extension EventFilter {
  /// Selects the tasks in the spans.
  ///
  /// - Returns: why no task is selected, one line for each of the filter's runs; empty if one is.
  /// - Throws: `LogError`; `ScopeError` if no run records spans.
  package mutating func resolveSpans(_ reader: LogReader) throws -> [String] {
    guard !spans.isEmpty else { return [] }
    let selection = try SpanTasks(path: reader.path, spans: spans)
    tasks = selection
    guard let runIDs = runs else { return [] }
    var filter = ScopeFilter()
    filter.spans = spans
    let runs = try reader.runs().filter { runIDs.contains($0.number) }
    var reasons: [String] = []
    var errors: [ScopeError] = []
    for run in runs {
      do {
        if let reason = try selection.emptyReason(of: run) {
          reasons.append(reason.text(filter, run: run))
        }
      } catch let error as ScopeError {
        errors.append(error)
        reasons.append("\(error)")
      }
    }
    if errors.count == runs.count, let error = errors.first { throw error }
    return reasons.count == runs.count ? reasons : []
  }
}
