import BrokerMessages
import EventLog
import Foundation
import LogFormat
import LogMaintenance
import Querying
import Recording

/// The logs that a command asks. Those that hold parts of one run are put together first, in a scratch
/// log: several recorders may have taken it out of one queue. So is one whose events did not arrive in
/// their order. What none of them has is a gap there.
final class LogSet {
  struct Part {
    var path: String
    var name: String
    /// Which of its runs are wanted.
    var selector: String
    var originCount = 1

    func reader(keptKeys: Int = 1 << 17) throws -> LogReader {
      try LogReader(path: path, name: name, originCount: originCount, keptKeys: keptKeys)
    }
  }

  private(set) var parts: [Part] = []
  private let scratch: ScratchFolder
  /// So that a run that one of the logs says goes on goes on in what is put together, too.
  private var locks: [RecorderLock] = []

  private let judges: Bool
  private let asked: [ResolvedLog]

  /// - Parameters:
  ///   - all: puts everything together, for who asks one log.
  ///   - orders: also puts in order what did not arrive so in a single log.
  ///   - judges: says of what none of them has that it is missing.
  /// - Throws: `LogError`.
  init(_ asked: [ResolvedLog], all: Bool, orders: Bool = true, judges: Bool = true) throws {
    self.asked = asked
    self.judges = judges
    scratch = ScratchFolder()
    let logs = try asked.map { log in (log, try LogReader(path: log.path).runs()) }
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
    for log in asked { log.close() }
  }

  /// Of who asks one log.
  func reader() throws -> LogReader { try parts[0].reader() }

  /// Logs that have a run in common, in the order of the last of each.
  private static func groups(
    _ logs: [(log: ResolvedLog, runs: [RunInfo])], all: Bool
  ) -> [[(log: ResolvedLog, runs: [RunInfo])]] {
    guard !all else { return [logs] }
    var groups: [[(log: ResolvedLog, runs: [RunInfo])]] = []
    for log in logs {
      func isRelated(_ group: [(log: ResolvedLog, runs: [RunInfo])]) -> Bool {
        group.contains { shareParts($0.runs, log.runs) }
      }
      groups =
        groups.filter { !isRelated($0) } + [groups.filter(isRelated).flatMap(\.self) + [log]]
    }
    return groups
  }

  /// Whether a run is in both of which one has a part only.
  private static func shareParts(_ some: [RunInfo], _ others: [RunInfo]) -> Bool {
    some.contains { run in
      others.contains { $0.id == run.id && ($0.isPartial || run.isPartial) }
    }
  }

  private func join(_ logs: [(log: ResolvedLog, runs: [RunInfo])]) throws -> Part {
    let path = scratch.path("joined-\(scratch.count).db")
    let live = Set(logs.flatMap { $0.runs.filter { $0.end == .running }.map(\.id) })
    for run in live { locks.append(try RecorderLock(log: path, run: run)) }
    let merge = try LogMerge(into: path)
    defer { merge.close() }
    let readers = try logs.map { try LogReader(path: $0.log.path) }
    let events = try readers.reduce(Int64(0)) { sum, reader in
      try reader.runs().reduce(sum) { try $0 + reader.eventCount(of: $1) }
    }
    var bar = ProgressBar(total: events, noun: "events")
    defer { bar.finish() }
    _ = try merge.add(readers) { bar.show($0) }
    // What is missing of a run that goes on may be on its way.
    for run in Set(logs.flatMap { $0.runs.map(\.id) }).subtracting(live)
    where judges && logs.count > 1 {
      try merge.judge(run)
    }
    // Names for many logs have chosen already.
    let selector = logs.map(\.log.selector).first { $0 != "latest" } ?? "latest"
    return Part(
      path: path, name: logs.map(\.log.name).joined(separator: " + "), selector: selector,
      originCount: logs.count)
  }
}

extension LogsOptions {
  /// The logs for reading; see `LogSet`.
  func joined(run selector: String, all: Bool, orders: Bool = true) throws -> LogSet {
    try LogSet(asked(run: selector), all: all, orders: orders)
  }
}
