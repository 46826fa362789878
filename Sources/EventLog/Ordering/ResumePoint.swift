import LogFormat
import TaskLogPlugin

/// The position of a cursor in the causal order of a run, from which another cursor can resume,
/// even if the log has grown.
///
/// Not all events that arrived before it have necessarily been emitted: sources may have been
/// blocked. All events up to `position` except those in `waiting` have been emitted.
package struct ResumePoint: Sendable, Equatable {
  /// The seq of the last event that was read.
  package var position: Int64
  /// The last known seq of the log: later events may include a cause that was considered lost.
  package var known: Int64
  /// No event up to `position` is about a key with a larger row ID. Row IDs of keys are assigned
  /// one by one.
  package var largestKey: Int64
  /// Whether causes blocked events; false if only the events of one source were read.
  package var isCausal: Bool
  /// The first event of each blocked source, by the row ID of the source.
  package var waiting: [Int64: Int64]
  /// Counted as by the cursor.
  package var count: Int64
  package var damagedCount: Int
  package var outOfOrderCount: Int

  package init(
    position: Int64, known: Int64, largestKey: Int64, isCausal: Bool, waiting: [Int64: Int64],
    count: Int64, damagedCount: Int, outOfOrderCount: Int
  ) {
    self.position = position
    self.known = known
    self.largestKey = largestKey
    self.isCausal = isCausal
    self.waiting = waiting
    self.count = count
    self.damagedCount = damagedCount
    self.outOfOrderCount = outOfOrderCount
  }

  /// The point after an event, in the order of arrival.
  package init(arrived position: Int64) {
    self.init(
      position: position, known: position, largestKey: 0, isCausal: false, waiting: [:], count: 0,
      damagedCount: 0, outOfOrderCount: 0)
  }

  /// The last event before the first that has not been emitted.
  var start: Int64 { min(position, (waiting.values.min() ?? .max) - 1) }

  /// Whether an event has been emitted.
  func isBehind(_ seq: Int64, of source: Int64) -> Bool {
    seq <= position && seq < waiting[source] ?? .max
  }
}

/// Looks for causes that were emitted before the point from which a cursor resumed.
final class EmittedCauseLookup {
  private let place: ResumePoint
  private let done: Statement
  private let processing: Statement

  init(_ connection: Connection, _ place: ResumePoint, _ sources: some Collection<SourceInfo>)
    throws
  {
    self.place = place
    done = try connection.prepare(
      """
      SELECT stimulus FROM event WHERE key = ? AND seq <= ? AND \(CauseSQL.isDone("event", sources))
      ORDER BY seq DESC LIMIT 1
      """)
    processing = try connection.prepare(
      """
      SELECT max(task_run) FROM event
      WHERE key = ? AND seq <= ? AND \(CauseSQL.isProcessing("event", sources))
      """)
  }

  /// The number of the last cause of this kind for this key; `nil` if there was none.
  func number(_ kind: CausalCause.Kind, of key: Int64) throws -> Int64? {
    guard key <= place.largestKey else { return nil }
    let statement = kind == .workerDone ? done : processing
    defer { statement.reset() }
    try statement.bind(1, key)
    try statement.bind(2, place.start)
    return try statement.step() ? statement.optionalInteger(0) : nil
  }
}

/// The conditions of `CausalOrder` for causes and effects, in SQL.
enum CauseSQL {
  private static func list(
    _ sources: some Collection<SourceInfo>, _ kind: Source.Kind
  ) -> String {
    sources.filter { $0.source.kind == kind }.map(\.number).sorted().map(String.init)
      .joined(separator: ", ")
  }

  private static func isCall(_ table: String, of hook: Hook) -> String {
    "\(table).hook = (SELECT id FROM text WHERE text = '\(hook.name)')"
  }

  private static func isState(_ column: String, _ states: [State]) -> String {
    let names = states.map { "'\($0.name)'" }.joined(separator: ", ")
    return "\(column) IN (SELECT id FROM text WHERE text IN (\(names)))"
  }

  /// A worker's end of a run of a task.
  static func isDone(_ table: String, _ sources: some Collection<SourceInfo>) -> String {
    """
    \(isCall(table, of: .transition)) AND \(table).finish IS NOT NULL AND \(table).stimulus IS NOT NULL
    AND \(table).source IN (\(list(sources, .worker)))
    AND \(isState("\(table).start", CausalCause.statesOfRun))
    """
  }

  /// The scheduler's → processing, or its move of a stolen task.
  static func isProcessing(_ table: String, _ sources: some Collection<SourceInfo>) -> String {
    """
    \(table).task_run IS NOT NULL AND \(table).source IN (\(list(sources, .scheduler)))
    AND (\(isCall(table, of: .logEvent))
      OR \(isCall(table, of: .transition)) AND \(isState("\(table).finish", [.processing])))
    """
  }

  /// The scheduler's processing → memory or erred, which follows a worker's end.
  static func waitsForDone(_ table: String, _ sources: some Collection<SourceInfo>) -> String {
    """
    \(isCall(table, of: .transition)) AND \(table).source IN (\(list(sources, .scheduler)))
    AND \(isState("\(table).start", [.processing]))
    AND \(isState("\(table).finish", [.memory, .erred]))
    """
  }

  /// A worker's event of a run, which follows the event that assigned the run to the worker.
  static func waitsForProcessing(_ table: String, _ sources: some Collection<SourceInfo>) -> String
  {
    "\(table).source IN (\(list(sources, .worker))) AND \(table).task_run >= 0"
  }
}

extension LogReader {
  /// Whether the order up to a point is still valid: no event has arrived since that the events
  /// before the point would have waited for.
  ///
  /// - Throws: `LogError`.
  package func holds(_ place: ResumePoint, of run: RunInfo) throws -> Bool {
    guard place.isCausal, let last = run.lastSeq, last > place.known else { return true }
    let sources = try sources(of: run)
    return try translating {
      // All events that have arrived since, once; few of them are about keys that existed before.
      // Without this hint SQLite would search all events of these sources.
      let select = try connection.prepare(
        """
        SELECT 1 FROM event AS new NOT INDEXED CROSS JOIN event AS old ON old.key = new.key
        WHERE new.seq > ?1 AND new.seq <= ?2 AND new.key <= ?3 AND old.seq <= ?4 AND (
          \(CauseSQL.isDone("new", sources)) AND old.stimulus = new.stimulus
            AND \(CauseSQL.waitsForDone("old", sources))
          OR \(CauseSQL.isProcessing("new", sources)) AND old.task_run = new.task_run
            AND \(CauseSQL.waitsForProcessing("old", sources)))
        LIMIT 1
        """)
      try select.bind(1, place.known)
      try select.bind(2, last)
      try select.bind(3, place.largestKey)
      try select.bind(4, place.position)
      return try !select.step()
    }
  }

  /// The seq in the log of an event of a source; `nil` if it is not there.
  ///
  /// - Throws: `LogError`.
  package func seq(of sourceSeq: Int64, in source: SourceInfo) throws -> Int64? {
    try translating {
      let select = try connection.prepare(
        "SELECT seq FROM event WHERE source = ? AND source_seq = ?")
      try select.bind(1, source.number)
      try select.bind(2, sourceSeq)
      return try select.step() ? select.integer(0) : nil
    }
  }

  /// The source seq and the seq of the first event of a source.
  ///
  /// - Throws: `LogError`.
  package func first(of source: SourceInfo) throws -> (sourceSeq: Int64, seq: Int64)? {
    try translating {
      let select = try connection.prepare(
        "SELECT source_seq, seq FROM event WHERE source = ? ORDER BY source_seq LIMIT 1")
      try select.bind(1, source.number)
      return try select.step() ? (select.integer(0), select.integer(1)) : nil
    }
  }

  /// The source seq and the seq of the last event of a source.
  ///
  /// - Throws: `LogError`.
  package func last(of source: SourceInfo) throws -> (sourceSeq: Int64, seq: Int64)? {
    try translating {
      let select = try connection.prepare(
        "SELECT source_seq, seq FROM event WHERE source = ? ORDER BY source_seq DESC LIMIT 1")
      try select.bind(1, source.number)
      return try select.step() ? (select.integer(0), select.integer(1)) : nil
    }
  }

  /// Number of events of a source known to be missing before a given event.
  ///
  /// - Throws: `LogError`.
  package func missing(of source: SourceInfo, before sourceSeq: Int64) throws -> Int64 {
    try translating {
      let select = try connection.prepare(
        "SELECT coalesce(sum(count), 0) FROM gap WHERE source = ? AND source_seq < ?")
      try select.bind(1, source.number)
      try select.bind(2, sourceSeq)
      return try select.step() ? select.integer(0) : 0
    }
  }

  /// The event with a seq; `nil` if it is not there.
  ///
  /// - Throws: `LogError`.
  package func event(at seq: Int64) throws -> RecordedEvent? {
    try translating {
      let select = try connection.prepare(
        "SELECT \(EventDecoder.columns) FROM event WHERE seq = ?")
      try select.bind(1, seq)
      guard try select.step() else { return nil }
      let decoder = EventDecoder(reader: self, blobs: blobs)
      var page = EventPage()
      page.append(select, seq: seq, source: select.integer(1), isWanted: true)
      decoder.take(&page, keepingOlder: false)
      return try decoder.event(page.rows[0])
    }
  }
}
