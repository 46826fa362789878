import BrokerMessages
import EventLog
import Foundation
import LogFormat
import LogMaintenance
import Querying
import Recording

/// The logs that a command reads. Logs with parts of one run are first merged into a scratch log,
/// because several recorders may have consumed the run from one queue. So is a log whose events did
/// not arrive in order. Events that no log has become gaps in the scratch log.
final class LogSet {
  struct Part {
    var path: String
    var name: String
    /// The selector of its runs.
    var selector: String
    var originCount = 1

    func reader(keptKeys: Int = 1 << 17) throws -> LogReader {
      try LogReader(path: path, name: name, originCount: originCount, keptKeys: keptKeys)
    }
  }

  private(set) var parts: [Part] = []
  private let scratch: ScratchFolder
  /// Marks a run that is still running in one of the logs as running in the merged log, too.
  private var locks: [RecorderLock] = []

  private let recordsMissingAsGaps: Bool
  private let resolved: [ResolvedLog]

  /// - Parameters:
  ///   - all: merges all logs, for callers that need a single log.
  ///   - orders: also restores the order in a single log whose events arrived out of order.
  ///   - recordsMissingAsGaps: records events that no log has as gaps.
  /// - Throws: `LogError`.
  init(_ resolved: [ResolvedLog], all: Bool, orders: Bool = true, recordsMissingAsGaps: Bool = true)
    throws
  {
    self.resolved = resolved
    self.recordsMissingAsGaps = recordsMissingAsGaps
    scratch = ScratchFolder()
    let logs = try resolved.map { log in (log, try LogReader(path: log.path).runs()) }
    for group in Self.groups(logs, all: all) {
      let isInOrder = group.allSatisfy { $0.runs.allSatisfy { !$0.isUnordered } }
      if group.count == 1, isInOrder || !orders {
        let log = group[0].log
        parts.append(Part(path: log.path, name: log.name, selector: log.selector))
      } else {
        parts.append(try join(group))
      }
    }
  }

  deinit { remove() }

  func remove() {
    locks.removeAll()
    scratch.remove()
    for log in resolved { log.close() }
  }

  /// A reader of the first part, for callers that need a single log.
  func reader() throws -> LogReader { try parts[0].reader() }

  /// Groups logs that share a run, ordered by the last log of each group.
  private static func groups(
    _ logs: [(log: ResolvedLog, runs: [RunInfo])], all: Bool
  ) -> [[(log: ResolvedLog, runs: [RunInfo])]] {
    guard !all else { return [logs] }
    var groups: [[(log: ResolvedLog, runs: [RunInfo])]] = []
    for log in logs {
      func isRelated(_ group: [(log: ResolvedLog, runs: [RunInfo])]) -> Bool {
        group.contains { sharePartialRun($0.runs, log.runs) }
      }
      groups =
        groups.filter { !isRelated($0) } + [groups.filter(isRelated).flatMap(\.self) + [log]]
    }
    return groups
  }

  /// Whether both share a run of which one has only a part.
  private static func sharePartialRun(_ some: [RunInfo], _ others: [RunInfo]) -> Bool {
    some.contains { run in
      others.contains { $0.id == run.id && ($0.isPartial || run.isPartial) }
    }
  }

  private func join(_ logs: [(log: ResolvedLog, runs: [RunInfo])]) throws -> Part {
    let path = scratch.path("joined-\(scratch.count).db")
    let liveRuns = Set(logs.flatMap { $0.runs.filter { $0.end == .running }.map(\.id) })
    for run in liveRuns { locks.append(try RecorderLock(log: path, run: run)) }
    let merge = try LogMerge(into: path)
    defer { merge.close() }
    let readers = try logs.map { try LogReader(path: $0.log.path) }
    let events = try readers.reduce(Int64(0)) { sum, reader in
      try reader.runs().reduce(sum) { try $0 + reader.eventCount(of: $1) }
    }
    var bar = ProgressBar(total: events, noun: "events")
    defer { bar.finish() }
    _ = try merge.add(readers) { bar.show($0) }
    // Missing events of a run that is still running may arrive later.
    for run in Set(logs.flatMap { $0.runs.map(\.id) }).subtracting(liveRuns)
    where recordsMissingAsGaps && logs.count > 1 {
      try merge.recordMissingAsGaps(run)
    }
    // A name template has already selected its runs.
    let selector = logs.map(\.log.selector).first { $0 != "latest" } ?? "latest"
    return Part(
      path: path, name: logs.map(\.log.name).joined(separator: " + "), selector: selector,
      originCount: logs.count)
  }
}

extension LogsOptions {
  /// Opens the logs for reading; see `LogSet`.
  func joined(run selector: String, all: Bool, orders: Bool = true) throws -> LogSet {
    try LogSet(resolve(run: selector), all: all, orders: orders)
  }
}
