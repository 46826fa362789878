import EventLog
import LogFormat
import TaskLogPlugin

/// Selects the events of the tasks in some of Dask's spans and of some named jobs, in a log that may
/// be live: when an event of an unknown task comes, the graphs that have arrived since are read.
///
/// Unchecked, because only the thread that reads the events uses it.
package final class SubmittedTasks: TaskSelection, @unchecked Sendable {
  private final class Run {
    var info: RunInfo
    var scan: SubmissionScan
    var readTo: Int64
    /// The tasks that were looked up.
    var known = RowIDSet()

    init(_ info: RunInfo, _ scan: SubmissionScan) {
      self.info = info
      self.scan = scan
      readTo = (info.firstSeq ?? 1) - 1
    }
  }

  /// Its own reader: the other one is in the middle of its statements.
  private let reader: LogReader
  private let filter: ScopeFilter
  private var runs: [Int64: Run] = [:]
  private var runOfSource: [Int64: Int64] = [:]

  /// - Throws: `LogError`.
  package init(path: String, _ filter: ScopeFilter) throws {
    reader = try LogReader(path: path)
    self.filter = filter
  }

  package func contains(key: Int64, source: Int64) throws -> Bool {
    guard let run = try run(ofSource: source) else { return false }
    // A graph arrives before the first event of its tasks.
    if run.known.insert(key), !run.scan.selects(key) {
      try readOn(run)
      if let name = try reader.key(key) { run.scan.resolve(name, key) }
    }
    return run.scan.selects(key)
  }

  /// Why a run has no such tasks; `nil` if it has some.
  ///
  /// - Throws: `ScopeError`, `LogError`.
  package func emptyReason(of info: RunInfo) throws -> RunScope.EmptyReason? {
    guard let run = try self.run(info.number) else { return .noTask }
    try readOn(run)
    let scan = run.scan
    if let tasks = scan.inSpans {
      guard !scan.spans.isEmpty else { throw ScopeError.noSpans(run: info.number) }
      if tasks.count == 0 { return .noSpan(known: scan.spans.sorted()) }
    }
    if let tasks = scan.ofJobs {
      guard !scan.jobs.isEmpty else { throw ScopeError.noJobs(run: info.number) }
      if tasks.count == 0 { return .noJob(known: scan.jobs.sorted()) }
    }
    return nil
  }

  private func run(ofSource source: Int64) throws -> Run? {
    if let number = runOfSource[source] { return runs[number] }
    guard
      let number = try reader.translating({
        try reader.connection.integer("SELECT run FROM source WHERE id = \(source)")
      })
    else { return nil }
    runOfSource[source] = number
    return try run(number)
  }

  private func run(_ number: Int64) throws -> Run? {
    if let run = runs[number] { return run }
    guard let info = try reader.runs().first(where: { $0.number == number }) else { return nil }
    let run = Run(info, try reader.translating { try SubmissionScan(reader, filter) })
    runs[number] = run
    return run
  }

  private func readOn(_ run: Run) throws {
    let last = try reader.lastSeq()
    guard last > run.readTo else { return }
    try reader.translating { try run.scan.scan(run.info, run.readTo + 1...last) }
    run.readTo = last
  }
}
