import EventLog
import LogFormat
import TaskLogPlugin

/// Calls of one hook by one kind of source, with the bytes of their args and snapshots; a row of the
/// view `event_kinds`.
public struct EventKind: Sendable {
  public var source: Source.Kind
  public var hook: String
  public var events: Int64 = 0
  public var argsBytes: Int64 = 0
  public var snapshotBytes: Int64 = 0
  /// The number of calls with values that are redacted because of their names.
  public var redacted: Int64 = 0
  /// The number of calls with values that are truncated or omitted because of their length.
  public var capped: Int64 = 0
  /// The number of further calls that a filter has dropped.
  public var excluded: Int64 = 0
}

extension LogReader {
  /// What is recorded of a run, as in the view `event_kinds`: the scheduler's events before the
  /// workers' events, the most frequent first.
  ///
  /// - Throws: `LogError`.
  public func eventKinds(of run: RunInfo) throws -> [EventKind] {
    struct Place: Hashable { var source, hook: Int64 }
    let excluded = try excluded(of: run)
    if let kinds = try storedEventKinds(of: run, excluded) { return kinds }
    return try translating {
      guard let range = try range(of: run) else { return [] }
      let path = path
      let scan = ParallelScan<[Place: EventKind.Sums]>(
        """
        SELECT seq, source, hook, args, snapshot, \(Self.marks(run)) FROM event
        WHERE seq BETWEEN ? AND ? ORDER BY seq
        """, over: range)
      var sums: [Place: EventKind.Sums] = [:]
      try scan.run(self) { select, range in
        var part: [Place: EventKind.Sums] = [:]
        try select.forEachRow(in: range, path) { _ in
          let place = Place(source: select.integer(1), hook: select.integer(2))
          part[place, default: .init()].add(
            select.byteCount(3), select.byteCount(4), isRedacted: select.integer(5) != 0,
            isCapped: select.integer(6) != 0)
        }
        return part
      } take: {
        sums.merge($0) { $0 + $1 }
      }
      return try kinds(
        of: run, sums.map { (source: $0.source, hook: $0.hook, sums: $1) }, excluded)
    }
  }

  /// Whether values are redacted, and whether they are truncated. Text that equals a marker has its
  /// quotes escaped in JSON. If neither is possible, no args are searched.
  private static func marks(_ run: RunInfo) -> String {
    let hasRedaction = run.metadata[RunMetadataKey.redacted]?.elements?.isEmpty == false
    guard !run.limits.options.isEmpty || hasRedaction || run.engine == "dask" else {
      return "0, 0"
    }
    func finds(_ texts: [String]) -> String {
      let found = ["args", "snapshot"].flatMap { column in
        texts.map { "coalesce(instr(\(column), '\($0)'), 0) > 0" }
      }
      return found.joined(separator: " OR ")
    }
    return finds([#""$opaque":"redacted""#]) + ", "
      + finds([#"{"$capped":"#, #""$opaque":"capped""#])
  }

  /// Adds up the events of the sources of one kind.
  private func kinds(
    of run: RunInfo, _ sums: [(source: Int64, hook: Int64, sums: EventKind.Sums)],
    _ excluded: [ExcludedEvents]
  ) throws -> [EventKind] {
    let sources = Dictionary(
      try sources(of: run).map { ($0.number, $0.source.kind) }, uniquingKeysWith: { $1 })
    var kinds: [EventKind] = []
    func place(_ source: Source.Kind, _ hook: String) -> Int {
      let known = kinds.firstIndex { $0.source == source && $0.hook.sameBytes(as: hook) }
      if known == nil { kinds.append(EventKind(source: source, hook: hook)) }
      return known ?? kinds.count - 1
    }
    for (source, hook, sums) in sums {
      guard let source = sources[source] else { continue }
      kinds[place(source, try texts.element(hook) ?? "")].add(sums)
    }
    for left in excluded { kinds[place(left.source, left.hook)].excluded += left.events }
    return kinds.sorted {
      ($0.source.rawValue, $1.events, $0.hook) < ($1.source.rawValue, $0.events, $1.hook)
    }
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
