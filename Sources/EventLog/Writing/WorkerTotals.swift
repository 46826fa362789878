import Glibc
import LogFormat

/// What an event says about the tasks of a worker, as row IDs of texts.
enum WorkerTaskChange {
  case none
  /// At the scheduler: a worker has joined or left; a task has come to memory or erred on it.
  case joined(Int64)
  case removed(Int64)
  case ended(on: Int64)
  /// At a worker: a task has come to memory or failed there.
  case endedHere
}

/// Counts the tasks that ended on each worker, according to the scheduler and to the worker's own
/// events: the tables `worker_registration` and `source_total`. If a worker's last events are missing, the
/// difference is the minimum number of task ends among them.
///
/// Belongs to one `LogWriter`; used inside its transactions.
final class WorkerTotals {
  private struct StateInterval: Hashable {
    /// The scheduler.
    var source: Int64
    var worker: Int64
  }

  // Changes of the open transaction that are not written yet.
  private var stays: [StateInterval: Int64] = [:]
  private var sources: [Int64: Int64] = [:]
  /// Events of one source are often adjacent.
  private var last: (source: Int64, count: Int64) = (0, 0)

  private let connection: Connection
  private let join: Statement
  private let remove: Statement
  private let end: Statement
  private let endOfUnknown: Statement
  private let endAtSource: Statement

  /// - Throws: `SQLiteError`.
  init(_ connection: Connection) throws {
    self.connection = connection
    let isPresent = """
      source = ?1 AND worker = (SELECT text FROM text WHERE id = ?2)
        AND joined_seq = (SELECT max(joined_seq) FROM worker_registration WHERE source = ?1
          AND worker = (SELECT text FROM text WHERE id = ?2))
      """
    join = try connection.prepare(
      """
      INSERT OR IGNORE INTO worker_registration (source, worker, joined_seq)
      SELECT ?1, text, ?3 FROM text WHERE id = ?2
      """)
    remove = try connection.prepare(
      "UPDATE worker_registration SET removed_seq = ?3 WHERE \(isPresent) AND removed_seq IS NULL")
    // Tasks that err because their worker left did not end there.
    end = try connection.prepare(
      "UPDATE worker_registration SET tasks_ended = tasks_ended + iif(removed_seq IS NULL, ?3, 0) WHERE \(isPresent)"
    )
    endOfUnknown = try connection.prepare(
      """
      INSERT INTO worker_registration (source, worker, joined_seq, tasks_ended)
      SELECT ?1, text, 0, ?3 FROM text WHERE id = ?2
      """)
    endAtSource = try connection.prepare(
      """
      INSERT INTO source_total (source, tasks_ended) VALUES (?1, ?2)
      ON CONFLICT (source) DO UPDATE SET tasks_ended = tasks_ended + ?2
      """)
  }

  /// Applies an event's change.
  ///
  /// - Throws: `SQLiteError`.
  @inline(__always)
  func take(_ news: WorkerTaskChange, source: Int64, seq: Int64) throws {
    switch news {
    case .none: return
    case .endedHere:
      if last.source != source { changeSource(to: source) }
      last.count += 1
    case .ended(let worker): stays[StateInterval(source: source, worker: worker), default: 0] += 1
    case .joined(let worker): try change(StateInterval(source: source, worker: worker), join, seq)
    case .removed(let worker):
      try change(StateInterval(source: source, worker: worker), remove, seq)
    }
  }

  private func changeSource(to source: Int64) {
    if last.count > 0 { sources[last.source, default: 0] += last.count }
    last = (source, 0)
  }

  private func change(_ stay: StateInterval, _ statement: Statement, _ seq: Int64) throws {
    if let count = stays.removeValue(forKey: stay) { try write(stay, count) }
    try run(statement, stay, seq)
  }

  @discardableResult
  private func run(_ statement: Statement, _ stay: StateInterval, _ number: Int64) throws -> Bool {
    try statement.bind(1, stay.source)
    try statement.bind(2, stay.worker)
    try statement.bind(3, number)
    try statement.run()
    return connection.changes > 0
  }

  private func write(_ stay: StateInterval, _ count: Int64) throws {
    // A worker that was there before the recording, or joined in an earlier segment.
    if try !run(end, stay, count) { try run(endOfUnknown, stay, count) }
  }

  /// Writes the changes of the transaction.
  ///
  /// - Throws: `SQLiteError`.
  func flush() throws {
    changeSource(to: 0)
    for (stay, count) in stays { try write(stay, count) }
    for (source, count) in sources {
      try endAtSource.bind(1, source)
      try endAtSource.bind(2, count)
      try endAtSource.run()
    }
    forget()
  }

  /// Called when the changes since the last `flush` were rolled back.
  func forget() {
    stays.removeAll(keepingCapacity: true)
    sources.removeAll(keepingCapacity: true)
    last = (0, 0)
  }
}

extension UnsafeRawBufferPointer {
  /// Whether the text is at the beginning of these bytes, or shortly after it.
  func hasNear(_ text: StaticString) -> Bool {
    let length = text.utf8CodeUnitCount
    let last = Swift.min(count, 64) - length
    guard last >= 0, let start = baseAddress else { return false }
    return (0...last).contains { memcmp(start + $0, text.utf8Start, length) == 0 }
  }
}

extension LogWriter {
  /// Records up to which of its events a source is known to be complete if its own events do not
  /// say so: it never reported its end, and everything it had written is in the log. Inside a
  /// transaction.
  ///
  /// - Throws: `SQLiteError`.
  package func markComplete(source: Int64, through last: Int64) throws {
    let note = try connection.prepare(
      """
      INSERT INTO source_total (source, complete_to) VALUES (?1, ?2)
      ON CONFLICT (source) DO UPDATE SET complete_to = max(coalesce(complete_to, 0), ?2)
      """)
    try note.bind(1, source)
    try note.bind(2, last)
    try note.run()
  }
}
