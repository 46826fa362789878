import EventLog
import LogAnalysis

extension EventFilter {
  /// Selects the tasks in the spans and of the jobs.
  ///
  /// - Returns: why no task is selected, one line for each of the filter's runs; empty if one is.
  /// - Throws: `LogError`; `ScopeError` if no run records any.
  package mutating func resolveSubmissions(_ reader: LogReader) throws -> [String] {
    guard !spans.isEmpty || !jobs.isEmpty else { return [] }
    var filter = ScopeFilter()
    (filter.spans, filter.jobs) = (spans, jobs)
    let selection = try SubmittedTasks(path: reader.path, filter)
    tasks = selection
    guard let runIDs = runs else { return [] }
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
