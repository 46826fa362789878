import CSQLite
import Glibc
import LogFormat
import TaskLogPlugin

/// The state of the log that a recorder's spool needs.
extension LogWriter {
  /// How far a source is in the log.
  package struct SourceProgress: Sendable {
    /// The row ID in the file.
    package var id: Int64
    /// The seq of its last event that is in the log or recorded as missing.
    package var lastSourceSeq: Int64

    package init(id: Int64, lastSourceSeq: Int64) {
      self.id = id
      self.lastSourceSeq = lastSourceSeq
    }
  }

  /// A run that no recorder has ended.
  package struct OpenRun: Sendable {
    package var number: Int64
    package var id: String
    /// The position up to which its spool is in the log.
    package var spoolPosition: Int64?
  }

  /// The runs that have not ended.
  ///
  /// - Throws: `SQLiteError`.
  package func openRuns() throws -> [OpenRun] {
    let select = try connection.prepare(
      "SELECT id, uuid, spool_position FROM run WHERE end IS NULL ORDER BY id")
    var runs: [OpenRun] = []
    while try select.step() {
      runs.append(
        OpenRun(
          number: select.integer(0), id: select.text(1),
          spoolPosition: select.optionalInteger(2)))
    }
    return runs
  }

  /// The row ID of a run in the file, whether it has ended or not.
  ///
  /// - Throws: `SQLiteError`.
  package func run(id: String) throws -> OpenRun? {
    let select = try connection.prepare("SELECT id, uuid, spool_position FROM run WHERE uuid = ?")
    try select.bind(1, id)
    guard try select.step() else { return nil }
    return OpenRun(
      number: select.integer(0), id: select.text(1), spoolPosition: select.optionalInteger(2))
  }

  /// Records up to which position a run's spool is in the log; inside the transaction that inserted
  /// it.
  package func setSpoolPosition(run: Int64, _ position: Int64?) throws {
    let update = try connection.prepare("UPDATE run SET spool_position = ? WHERE id = ?")
    try update.bind(1, position)
    try update.bind(2, run)
    try update.run()
  }

  /// The sources of a run by their number within its spool.
  ///
  /// - Throws: `SQLiteError`.
  package func sources(ofRun run: Int64) throws -> [Int: SourceProgress] {
    let select = try connection.prepare(
      """
      SELECT number, id, \(LastSourceSeq.sql(of: "source.id"))
      FROM source WHERE run = ? AND number IS NOT NULL
      """)
    try select.bind(1, run)
    var sources: [Int: SourceProgress] = [:]
    while try select.step() {
      sources[Int(select.integer(0))] = SourceProgress(
        id: select.integer(1), lastSourceSeq: select.integer(2))
    }
    return sources
  }

  /// How far the source with this server id is in the log; `nil` if it is not there.
  ///
  /// - Throws: `SQLiteError`.
  package func source(ofRun run: Int64, serverID: String) throws -> SourceProgress? {
    let select = try connection.prepare(
      """
      SELECT id, \(LastSourceSeq.sql(of: "source.id"))
      FROM source WHERE run = ? AND server_id = ?
      """)
    try select.bind(1, run)
    try select.bind(2, serverID)
    guard try select.step() else { return nil }
    return SourceProgress(id: select.integer(0), lastSourceSeq: select.integer(1))
  }

  /// The number of a run's events in the log, and the number of those known to be missing.
  ///
  /// - Throws: `SQLiteError`.
  package func counts(ofRun run: Int64) throws -> (events: Int64, missing: Int64) {
    let events = try connection.integer("SELECT events FROM run WHERE id = \(run)") ?? 0
    let missing = try connection.integer(
      """
      SELECT coalesce(sum(count), 0) FROM gap
      WHERE source IN (SELECT id FROM source WHERE run = \(run))
      """)
    return (events, missing ?? 0)
  }

  /// Records that a run has died, at the time of its last event; inside a transaction.
  package func endAsDied(run: Int64) throws {
    let update = try connection.prepare(
      """
      UPDATE run SET end = 'died', spool_position = NULL,
        ended = coalesce((\(RunEnd.timeOfLastEventSQL)), started)
      WHERE id = ? AND end IS NULL
      """)
    try update.bind(1, run)
    try update.run()
  }

  /// Empties the write-ahead log if it has grown too long; after a commit.
  package func limitWAL() { WALPolicy.limit(connection, path) }

  /// Whether the file that is written is still the one at its path.
  package var isInPlace: Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_dev == identity.device
      && status.st_ino == identity.inode
  }

  /// Abandons a file that is no longer at its path. SQLite would remove the `-wal` file by its
  /// name, which may belong to another file by now:
  /// https://sqlite.org/c3ref/c_fcntl_begin_atomic_write.html
  package func abandon() {
    var keep: Int32 = 1
    sqlite3_file_control(connection.handle, "main", SQLITE_FCNTL_PERSIST_WAL, &keep)
  }
}
