import EventLog
import LogFormat
import TaskLogPlugin

/// Compares the totals that a log stores (`StoredTotals`) with its events.
struct TotalsCheck {
  private struct Kind: Hashable {
    var run: Int64
    var source: String
    var hook: Int64
  }

  private struct Sums: Equatable {
    var events: Int64 = 0
    var argsBytes: Int64 = 0
    var snapshotBytes: Int64 = 0
    var redacted: Int64 = 0
    var truncated: Int64 = 0
  }

  private let connection: Connection
  /// A quick check does not read args and snapshots.
  private let isQuick: Bool
  private let kindOfSource: [Int64: String]
  /// The text `erred`; `nil` if it is not in the file.
  private let erred: Int64?
  private var kinds: [Kind: Sums] = [:]
  private var sources: [Int64: Int64] = [:]
  private var tasks: [Int64: RowIDSet] = [:]
  private var failed: [Int64: RowIDSet] = [:]
  private var rareEvents: Int64 = 0

  /// - Throws: `SQLiteError`.
  init(_ connection: Connection, isQuick: Bool) throws {
    (self.connection, self.isQuick) = (connection, isQuick)
    var kinds: [Int64: String] = [:]
    let select = try connection.prepare("SELECT id, kind FROM source")
    while try select.step() { kinds[select.integer(0)] = select.text(1) }
    kindOfSource = kinds
    erred = try connection.integer("SELECT id FROM text WHERE text = 'erred'")
  }

  /// Adds an event.
  ///
  /// - Parameter row: what `EventScan` reads: source 1, hook 3, key 4, start 5, finish 6, args 9, snapshot
  ///   10.
  mutating func add(_ row: Statement, _ seq: Int64, _ source: References.Source, _ hook: Hook) {
    let id = row.integer(1)
    sources[id, default: 0] += 1
    let kind = Kind(run: source.run, source: kindOfSource[id] ?? "", hook: row.integer(3))
    var sums = kinds[kind] ?? Sums()
    sums.events += 1
    if !isQuick {
      sums.argsBytes += row.byteCount(9)
      sums.snapshotBytes += row.byteCount(10)
      var marks = ValueMarks()
      for column in Int32(9)...10 {
        row.withText(column) { marks.scan(UnsafeRawBufferPointer($0)) }
      }
      if marks.isRedacted { sums.redacted += 1 }
      if marks.isTruncated { sums.truncated += 1 }
    }
    kinds[kind] = sums
    if !StoredTotals.frequentHooks.contains(hook) { rareEvents += 1 }
    guard let key = row.optionalInteger(4) else { return }
    _ = tasks[source.run, default: RowIDSet()].insert(key)
    if source.isScheduler, hook == .transition, isFailure(row) {
      _ = failed[source.run, default: RowIDSet()].insert(key)
    }
  }

  private func isFailure(_ row: Statement) -> Bool {
    guard let finish = row.optionalInteger(6), finish != row.optionalInteger(5) else {
      return false
    }
    return finish == erred
  }

  /// Compares what was added with what is stored.
  ///
  /// - Parameter report: called with each difference.
  /// - Throws: `SQLiteError`.
  mutating func compare(_ report: (_ run: Int64?, _ detail: String) -> Void) throws {
    // A log of an older version has none, and one of a later version may have others.
    let version = try connection.integer("PRAGMA user_version") ?? 0
    guard version >= DerivedTables.version, version <= LogFile.newestVersion else { return }
    try compareRuns(report)
    try compareSources(report)
    try compareKinds(report)
    try compareInterned(report)
    let stored = try connection.integer("SELECT count(*) FROM hook_event") ?? 0
    let found =
      try connection.integer(
        """
        SELECT count(*) FROM hook_event JOIN event ON event.seq = hook_event.seq
          AND event.hook = hook_event.hook
        """) ?? 0
    if stored != rareEvents || found != rareEvents {
      report(
        nil,
        "the table hook_event has \(stored) events, \(found) of them in the log, which has \(rareEvents)"
      )
    }
  }

  private func compareInterned(_ report: (Int64?, String) -> Void) throws {
    // The sum of the bytes needs every row.
    let counts = [("texts", "text"), ("keys", "key"), ("blobs", "blob")].map {
      ($0, "SELECT count(*) FROM \($1)")
    }
    let bytes = [("blob_bytes", "SELECT coalesce(sum(length(bytes)), 0) FROM blob")]
    for (name, sql) in counts + (isQuick ? [] : bytes) {
      let stored = try connection.integer("SELECT value FROM meta WHERE name = '\(name)'")
      let found = try connection.integer(sql)
      guard stored != found else { continue }
      report(
        nil,
        "the table meta stores \(stored.map(String.init) ?? "no number") as \(name), but the log has "
          + "\(found ?? 0)")
    }
  }

  private func compareRuns(_ report: (Int64?, String) -> Void) throws {
    let select = try connection.prepare(
      """
      SELECT run.id, run_total.tasks, run_total.failed FROM run
      LEFT JOIN run_total ON run_total.run = run.id ORDER BY run.id
      """)
    while try select.step() {
      let run = select.integer(0)
      guard !select.isNull(1) else {
        report(run, "has no stored totals; its events are counted instead")
        continue
      }
      let found = (tasks[run]?.count ?? 0, failed[run]?.count ?? 0)
      if (select.integer(1), select.integer(2)) != found {
        report(
          run,
          "stores \(select.integer(1)) tasks, \(select.integer(2)) of them failed, but its events have "
            + "\(found.0), \(found.1) of them failed")
      }
    }
  }

  private func compareSources(_ report: (Int64?, String) -> Void) throws {
    let select = try connection.prepare(
      """
      SELECT source.id, source.run, source.kind, source.address,
        coalesce((SELECT events FROM source_total WHERE source = source.id), 0)
      FROM source ORDER BY source.id
      """)
    while try select.step() {
      let found = sources[select.integer(0)] ?? 0
      guard select.integer(4) != found else { continue }
      let name = Source.label(select.text(2), select.text(3))
      report(
        select.integer(1),
        "stores \(select.integer(4)) events of \(name), but has \(found)")
    }
  }

  private func compareKinds(_ report: (Int64?, String) -> Void) throws {
    let select = try connection.prepare(
      """
      SELECT run, source_kind, hook, events, args_bytes, snapshot_bytes, redacted, truncated,
        coalesce((SELECT text FROM text WHERE id = hook), hook)
      FROM event_total ORDER BY run, source_kind, hook
      """)
    var unstored = kinds
    while try select.step() {
      let kind = Kind(run: select.integer(0), source: select.text(1), hook: select.integer(2))
      let found = unstored.removeValue(forKey: kind) ?? Sums()
      var stored = Sums(events: select.integer(3))
      if !isQuick {
        (stored.argsBytes, stored.snapshotBytes) = (select.integer(4), select.integer(5))
        (stored.redacted, stored.truncated) = (select.integer(6), select.integer(7))
      }
      guard stored != found else { continue }
      report(
        kind.run,
        stored.events == found.events
          ? "stores other sizes of \(kind.source) events of the hook \(select.text(8)) than they have"
          : "stores \(stored.events) \(kind.source) events of the hook \(select.text(8)), but has "
            + "\(found.events)")
    }
    for (kind, found) in unstored.sorted(by: {
      ($0.key.run, $0.key.hook) < ($1.key.run, $1.key.hook)
    }) {
      report(
        kind.run, "stores no total of \(found.events) \(kind.source) events of a hook")
    }
  }
}
