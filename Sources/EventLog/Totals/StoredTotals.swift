import LogFormat
import TaskLogPlugin

/// The totals that a log stores of its runs, see `Migrations/v0002_format_2.sql`: how they are derived
/// from all events, corrected when events are removed, and read.
package enum StoredTotals {
  /// The hooks whose events are not in `hook_event`: there are some for every task or every second.
  package static let frequentHooks: [Hook] = [
    .transition, .stimulus, .heartbeat, .clientDesiresKeys, .clientReleasesKeys, .addReplica,
    .removeReplica, .report,
  ]

  static let frequentHooksSQL =
    "(" + frequentHooks.map { "'\($0.name)'" }.joined(separator: ", ") + ")"

  /// Whether a row of `event` of a scheduler says that a task became erred.
  static let isFailureSQL = """
    +hook = (SELECT id FROM text WHERE text = 'transition')
      AND +finish = (SELECT id FROM text WHERE text = 'erred') AND start IS NOT finish
    """

  /// Creates the totals of all runs from their events; inside a transaction.
  ///
  /// What no event says (`complete_to`, and the ends of tasks by worker, which older formats do not have)
  /// stays as it is.
  ///
  /// - Throws: `SQLiteError`.
  package static func rebuild(_ connection: Connection) throws(SQLiteError) {
    try connection.execute(
      """
      DELETE FROM run_total; DELETE FROM event_total; DELETE FROM hook_event;
      UPDATE source_total SET events = 0;
      DELETE FROM source_total WHERE source NOT IN (SELECT id FROM source);
      INSERT INTO event_total
      SELECT source.run, source.kind, event.hook, count(*),
        coalesce(sum(length(CAST(event.args AS BLOB))), 0),
        coalesce(sum(length(CAST(event.snapshot AS BLOB))), 0),
        sum(\(ValueMarks.redactedSQL)), sum(\(ValueMarks.truncatedSQL))
      FROM event JOIN source ON source.id = event.source
      GROUP BY source.run, source.kind, event.hook;
      INSERT INTO source_total (source, events)
      SELECT source, count(*) FROM event WHERE source IN (SELECT id FROM source) GROUP BY source
      ON CONFLICT (source) DO UPDATE SET events = excluded.events;
      INSERT INTO hook_event SELECT hook, seq FROM event
      WHERE hook NOT IN (SELECT id FROM text WHERE text IN \(frequentHooksSQL));
      INSERT INTO run_total (run, tasks, failed)
      SELECT run.id, count(DISTINCT event.key), count(DISTINCT CASE
        WHEN source.kind = 'scheduler' AND \(isFailureSQL) THEN event.key END)
      FROM run LEFT JOIN source ON source.run = run.id LEFT JOIN event ON event.source = source.id
      GROUP BY run.id;
      \(InternTotals.rebuildSQL)
      """)
  }
}

/// Subtracts events from the totals before they are deleted; inside the transaction that deletes them.
package struct TotalsRemoval {
  private let read: Statement
  private let hasKey: Statement
  private let hasFailed: Statement
  private let subtractFromKind: Statement
  private let subtractFromSource: Statement
  private let subtractFromRun: Statement
  private let deleteEmpty: Statement
  private let deleteHook: Statement
  private var run: Int64 = 0
  private var (firstSeq, lastSeq): (Int64, Int64) = (0, .max)
  private var keys: Set<Int64> = []
  private var failedKeys: Set<Int64> = []

  /// - Throws: `SQLiteError`.
  package init(_ connection: Connection) throws {
    read = try connection.prepare(
      """
      SELECT event.source, event.hook, event.key, source.kind,
        coalesce(length(CAST(event.args AS BLOB)), 0),
        coalesce(length(CAST(event.snapshot AS BLOB)), 0),
        \(ValueMarks.redactedSQL), \(ValueMarks.truncatedSQL),
        source.kind = 'scheduler' AND coalesce(\(StoredTotals.isFailureSQL), 0)
      FROM event JOIN source ON source.id = event.source WHERE event.seq = ?
      """)
    let isOfTask = """
      key = ?1 AND seq BETWEEN ?2 AND ?3 AND +source IN (SELECT id FROM source WHERE run = ?4)
      """
    hasKey = try connection.prepare("SELECT 1 FROM event WHERE \(isOfTask) LIMIT 1")
    hasFailed = try connection.prepare(
      """
      SELECT 1 FROM event WHERE \(isOfTask)
        AND +source IN (SELECT id FROM source WHERE kind = 'scheduler')
        AND \(StoredTotals.isFailureSQL) LIMIT 1
      """)
    subtractFromKind = try connection.prepare(
      """
      UPDATE event_total SET events = events - 1, args_bytes = args_bytes - ?3,
        snapshot_bytes = snapshot_bytes - ?4, redacted = redacted - ?5, truncated = truncated - ?6
      WHERE run = ?7 AND source_kind = ?1 AND hook = ?2
      """)
    subtractFromSource = try connection.prepare(
      "UPDATE source_total SET events = events - 1 WHERE source = ?")
    subtractFromRun = try connection.prepare(
      "UPDATE run_total SET tasks = tasks - ?1, failed = failed - ?2 WHERE run = ?3")
    deleteEmpty = try connection.prepare("DELETE FROM event_total WHERE run = ? AND events = 0")
    deleteHook = try connection.prepare("DELETE FROM hook_event WHERE hook = ? AND seq = ?")
  }

  /// Begins with another run, of which no event was removed.
  package mutating func begin(_ info: RunInfo) {
    run = info.number
    (firstSeq, lastSeq) = (info.firstSeq ?? 0, info.lastSeq ?? .max)
    keys.removeAll()
    failedKeys.removeAll()
  }

  /// Subtracts an event that is still there.
  ///
  /// - Throws: `SQLiteError`.
  package mutating func remove(_ seq: Int64) throws {
    defer { read.reset() }
    try read.bind(1, seq)
    guard try read.step() else { return }
    if let key = read.optionalInteger(2) {
      keys.insert(key)
      if read.integer(8) != 0 { failedKeys.insert(key) }
    }
    try subtractFromKind.bind(1, read.text(3))
    try subtractFromKind.bind(2, read.integer(1))
    for column in Int32(4)...7 { try subtractFromKind.bind(column - 1, read.integer(column)) }
    try subtractFromKind.bind(7, run)
    try subtractFromKind.run()
    try subtractFromSource.bind(1, read.integer(0))
    try subtractFromSource.run()
    try deleteHook.bind(1, read.integer(1))
    try deleteHook.bind(2, seq)
    try deleteHook.run()
  }

  /// Subtracts the tasks of which no event is left; after the events were deleted.
  ///
  /// - Throws: `SQLiteError`.
  package mutating func finish() throws {
    func countGone(_ keys: Set<Int64>, _ find: Statement) throws -> Int64 {
      try keys.reduce(0) { count, key in
        defer { find.reset() }
        try find.bind(1, key)
        try find.bind(2, firstSeq)
        try find.bind(3, lastSeq)
        try find.bind(4, run)
        return try find.step() ? count : count + 1
      }
    }
    try subtractFromRun.bind(1, countGone(keys, hasKey))
    try subtractFromRun.bind(2, countGone(failedKeys, hasFailed))
    try subtractFromRun.bind(3, run)
    try subtractFromRun.run()
    try deleteEmpty.bind(1, run)
    try deleteEmpty.run()
    keys.removeAll()
    failedKeys.removeAll()
  }
}

extension LogReader {
  /// The number of tasks of a run as its log stores it; `nil` if it does not.
  package func storedTaskCount(of run: RunInfo) throws(SQLiteError) -> Int64? {
    try integer("SELECT tasks FROM run_total WHERE run = ?", of: run)
  }
}
