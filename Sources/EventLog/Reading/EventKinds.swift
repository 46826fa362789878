import TaskLogPlugin

/// Calls of one hook by one kind of source, with the bytes of their args and snapshots; a row of the
/// view `event_kinds`.
public struct EventKind: Sendable {
  public var source: Source.Kind
  public var hook: String
  public var events: Int64 = 0
  public var argsBytes: Int64 = 0
  public var snapshotBytes: Int64 = 0
}

extension LogReader {
  /// What is recorded of a run, as the view `event_kinds` says it: what the scheduler told before
  /// what the workers told, the most first.
  ///
  /// - Throws: `LogError`.
  public func eventKinds(of run: RunInfo) throws -> [EventKind] {
    struct Place: Hashable { var source, hook: Int64 }
    struct Sums { var events, args, snapshots: Int64 }
    return try translating {
      guard let range = try range(of: run) else { return [] }
      let path = path
      let scan = PartedScan<[Place: Sums]>(
        """
        SELECT seq, source, hook, args, snapshot FROM event
        WHERE seq BETWEEN ? AND ? ORDER BY seq
        """, over: range)
      var sums: [Place: Sums] = [:]
      try scan.run(self) { select, range in
        var part: [Place: Sums] = [:]
        try select.forEachRow(in: range, path) { _ in
          let place = Place(source: select.integer(1), hook: select.integer(2))
          let (args, snapshot) = (select.byteCount(3), select.byteCount(4))
          part[place, default: Sums(events: 0, args: 0, snapshots: 0)].events += 1
          if args + snapshot > 0 {
            part[place]?.args += args
            part[place]?.snapshots += snapshot
          }
        }
        return part
      } take: {
        sums.merge($0) { one, two in
          Sums(
            events: one.events + two.events, args: one.args + two.args,
            snapshots: one.snapshots + two.snapshots)
        }
      }
      return try kinds(
        of: run, sums.map { (source: $0.source, hook: $0.hook, $1.events, $1.args, $1.snapshots) })
    }
  }

  /// Adds up what the sources of one kind told.
  private func kinds(
    of run: RunInfo, _ sums: [(source: Int64, hook: Int64, Int64, Int64, Int64)]
  ) throws -> [EventKind] {
    let sources = Dictionary(
      try sources(of: run).map { ($0.number, $0.source.kind) }, uniquingKeysWith: { $1 })
    var kinds: [EventKind] = []
    for (source, hook, events, args, snapshots) in sums {
      guard let source = sources[source] else { continue }
      let hook = try texts.element(hook) ?? ""
      let place =
        kinds.firstIndex { $0.source == source && $0.hook.sameBytes(as: hook) } ?? kinds.count
      if place == kinds.count { kinds.append(EventKind(source: source, hook: hook)) }
      kinds[place].events += events
      kinds[place].argsBytes += args
      kinds[place].snapshotBytes += snapshots
    }
    return kinds.sorted {
      ($0.source.rawValue, $1.events, $0.hook) < ($1.source.rawValue, $0.events, $1.hook)
    }
  }
}
