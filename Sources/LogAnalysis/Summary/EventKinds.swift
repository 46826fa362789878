import EventLog
import LogFormat
import TaskLogPlugin

/// Calls of one hook by one kind of source, with the bytes of their args and snapshots; a row of the
/// view `event_kinds`.
package struct EventKind: Sendable {
  package var source: Source.Kind
  package var hook: String
  package var events: Int64 = 0
  package var argsBytes: Int64 = 0
  package var snapshotBytes: Int64 = 0
  /// The number of calls with values that are redacted because of their names.
  package var redacted: Int64 = 0
  /// The number of calls with values that are truncated or omitted because of their length.
  package var capped: Int64 = 0
  /// The number of further calls that a filter has dropped.
  package var excluded: Int64 = 0
}

extension LogReader {
  /// What is recorded of a run, as in the view `event_kinds`: the scheduler's events before the
  /// workers' events, the most frequent first.
  ///
  /// - Throws: `LogError`.
  package func eventKinds(of run: RunInfo) throws -> [EventKind] {
    var kinds = try storedEventKinds(of: run) ?? countedEventKinds(of: run)
    for filtered in try excluded(of: run) {
      kinds[Self.index(of: filtered.source, filtered.hook, in: &kinds)].excluded += filtered.events
    }
    return kinds.sorted {
      ($0.source.rawValue, $1.events, $0.hook) < ($1.source.rawValue, $0.events, $1.hook)
    }
  }

  private static func index(
    of source: Source.Kind, _ hook: String, in kinds: inout [EventKind]
  ) -> Int {
    if let known = kinds.firstIndex(where: { $0.source == source && $0.hook.sameBytes(as: hook) }) {
      return known
    }
    kinds.append(EventKind(source: source, hook: hook))
    return kinds.count - 1
  }

  /// The kinds from the totals that the log stores; `nil` if it stores none.
  private func storedEventKinds(of run: RunInfo) throws -> [EventKind]? {
    try translating {
      guard try storedTaskCount(of: run) != nil else { return nil }
      let select = try connection.prepare(
        """
        SELECT source_kind, coalesce((SELECT text FROM text WHERE id = hook), ''), events, args_bytes,
          snapshot_bytes, redacted, truncated
        FROM event_total WHERE run = ? AND events > 0
        """)
      try select.bind(1, run.number)
      var kinds: [EventKind] = []
      while try select.step() {
        kinds.append(
          EventKind(
            source: Source.Kind(rawValue: select.text(0)) ?? .worker, hook: select.text(1),
            events: select.integer(2), argsBytes: select.integer(3),
            snapshotBytes: select.integer(4), redacted: select.integer(5),
            capped: select.integer(6)))
      }
      return kinds
    }
  }

  /// The kinds from all events of the run.
  private func countedEventKinds(of run: RunInfo) throws -> [EventKind] {
    struct SourceHook: Hashable { var source, hook: Int64 }
    return try translating {
      guard let range = try range(of: run) else { return [] }
      let path = path
      let scan = ParallelScan<[SourceHook: EventKind.Sums]>(
        """
        SELECT seq, source, hook, args, snapshot, \(Self.marks(run)) FROM event
        WHERE seq BETWEEN ? AND ? ORDER BY seq
        """, over: range)
      var sums: [SourceHook: EventKind.Sums] = [:]
      try scan.run(self) { select, range in
        var part: [SourceHook: EventKind.Sums] = [:]
        try select.forEachRow(in: range, path) { _ in
          let key = SourceHook(source: select.integer(1), hook: select.integer(2))
          part[key, default: .init()].add(
            select.byteCount(3), select.byteCount(4), isRedacted: select.integer(5) != 0,
            isCapped: select.integer(6) != 0)
        }
        return part
      } take: {
        sums.merge($0) { $0 + $1 }
      }
      let sources = Dictionary(
        try sources(of: run).map { ($0.number, $0.source.kind) }, uniquingKeysWith: { $1 })
      var kinds: [EventKind] = []
      for (key, sums) in sums {
        guard let source = sources[key.source] else { continue }
        let hook = try texts.element(key.hook) ?? ""
        kinds[Self.index(of: source, hook, in: &kinds)].add(sums)
      }
      return kinds
    }
  }

  /// SQL that tells whether values of an event are redacted, and whether they are truncated. If
  /// neither is possible in a run, no args are searched.
  private static func marks(_ run: RunInfo) -> String {
    let hasRedaction = run.metadata[RunMetadataKey.redacted]?.elements?.isEmpty == false
    guard !run.limits.options.isEmpty || hasRedaction || run.engine == "dask" else {
      return "0, 0"
    }
    return "\(ValueMarks.redactedSQL), \(ValueMarks.truncatedSQL)"
  }
}

extension EventKind {
  fileprivate struct Sums: Sendable {
    var events: Int64 = 0
    var args: Int64 = 0
    var snapshots: Int64 = 0
    var redacted: Int64 = 0
    var capped: Int64 = 0

    mutating func add(_ args: Int64, _ snapshot: Int64, isRedacted: Bool, isCapped: Bool) {
      events += 1
      self.args += args
      snapshots += snapshot
      if isRedacted { redacted += 1 }
      if isCapped { capped += 1 }
    }

    static func + (one: Sums, two: Sums) -> Sums {
      Sums(
        events: one.events + two.events, args: one.args + two.args,
        snapshots: one.snapshots + two.snapshots, redacted: one.redacted + two.redacted,
        capped: one.capped + two.capped)
    }
  }

  fileprivate mutating func add(_ sums: Sums) {
    events += sums.events
    argsBytes += sums.args
    snapshotBytes += sums.snapshots
    redacted += sums.redacted
    capped += sums.capped
  }
}
