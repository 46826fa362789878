import EventLog
import LogFormat

extension LogSet {
  private typealias Log = (part: Part, runs: [RunInfo])

  /// Merges the logs of all names into as many as the mode says. Before, there is one for each name.
  ///
  /// - Throws: `LogError`.
  package func merge(
    _ mode: Mode, restoresOrder: Bool = true, recordsMissingAsGaps: Bool = true
  ) throws {
    guard mode != .files, mode != .names else { return }
    let logs = try named.map { part in (part, try LogReader(path: part.path).runs()) }
    var groups = mode == .one ? [logs] : Self.groups(logs)
    var selected: Set<String>?
    if mode == .oneOfSelections, groups.count > 1 {
      groups = [logs]
      selected = Set(try named.flatMap { try $0.runs(LogReader(path: $0.path)).map(\.id) })
    }
    parts = try groups.map { group in
      let isInOrder = group.allSatisfy { $0.runs.allSatisfy { !$0.isUnordered } }
      var part =
        group.count == 1 && (isInOrder || !restoresOrder)
        ? group[0].part : try merged(group, recordsMissingAsGaps: recordsMissingAsGaps)
      if let selected {
        part.selected = selected
      } else if group.contains(where: { $0.part.selected != nil }) {
        part.selected = group.reduce(into: []) { all, log in
          all.formUnion(log.part.selected ?? Set(log.runs.map(\.id)))
        }
      }
      return part
    }
  }

  /// Groups logs that share a run, ordered by the last log of each group.
  private static func groups(_ logs: [Log]) -> [[Log]] {
    var groups: [[Log]] = []
    for log in logs {
      func isRelated(_ group: [Log]) -> Bool {
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

  private func merged(_ logs: [Log], recordsMissingAsGaps: Bool) throws -> Part {
    let path = try joined(logs, recordsMissingAsGaps: recordsMissingAsGaps)
    // A name template has already selected its runs.
    let selector = logs.map(\.part.selector).first { $0 != "latest" } ?? "latest"
    var part = Part(
      path: path, name: logs.map(\.part.name).joined(separator: " + "), selector: selector)
    part.originCount = logs.count
    part.segments = logs.flatMap(\.part.segments)
    return part
  }

  /// The path of merged logs.
  private func joined(_ logs: [Log], recordsMissingAsGaps: Bool) throws -> String {
    let liveRuns = Set(logs.flatMap { $0.runs.filter { $0.end == .running }.map(\.id) })
    let kind = recordsMissingAsGaps ? "parts with gaps" : "parts"
    let key =
      environment.keepsJoined && liveRuns.isEmpty
      ? JoinedLogs.Key(kind, logs.map(\.part.path)) : nil
    if let key, let known = JoinedLogs.find(key) {
      kept.append(known)
      return known.path
    }
    let path = scratch.path("joined-\(scratch.count).db")
    for run in liveRuns { locks.append(try RecorderLock(log: path, run: run)) }
    try merge(logs, into: path) { merge in
      // Missing events of a run that is still running may arrive later.
      for run in Set(logs.flatMap { $0.runs.map(\.id) }).subtracting(liveRuns)
      where recordsMissingAsGaps && logs.count > 1 {
        try merge.recordMissingAsGaps(run)
      }
    }
    guard let key, let new = JoinedLogs.keep(key, path) else { return path }
    kept.append(new)
    return new.path
  }

  private func merge(
    _ logs: [Log], into path: String, _ finish: (LogMerge) throws -> Void
  ) throws {
    let merge = try LogMerge(into: path)
    defer { merge.close() }
    let readers = try logs.map { try LogReader(path: $0.part.path) }
    let show = environment.progress(try readers.reduce(0) { try $0 + $1.eventCount() })
    defer { show(nil) }
    _ = try merge.add(readers) { show($0) }
    try finish(merge)
  }
}

extension LogReader {
  /// The number of events of all runs.
  func eventCount() throws -> Int64 {
    try runs().reduce(Int64(0)) { try $0 + eventCount(of: $1) }
  }
}
