import CSQLite
import Glibc

/// When the write-ahead log of a log is moved into its file and when it is emptied:
/// https://sqlite.org/wal.html
///
/// - While a recorder writes, the log is moved into the file after each `checkpointPages`. Readers
///   are not waited for: what they still read stays in the write-ahead log.
/// - Readers that never stop keep it from restarting, so that it would grow without limit. Once it
///   has `maximumBytes`, the writer waits for the readers, each of which reads in short
///   transactions, and empties it.
/// - After the last write a single file remains: without a write-ahead log it can be copied, and
///   read in a read-only folder.
package enum WALPolicy {
  /// 16 MB in pages of 8 KiB: a checkpoint writes each changed page once and syncs the disk, so a
  /// longer log costs less per event; but readers search all of it for each page that they read.
  private static let checkpointPages: Int32 = 2000
  /// A few checkpoints long, so that waiting for readers is rare.
  package static let maximumBytes = 64 << 20
  /// How often, and at what interval, `emptyWaiting` tries: a second in all.
  private static let attempts = 50
  private static let pauseMicroseconds: UInt32 = 20_000

  /// The files that SQLite keeps next to a database while it is open.
  package static func companions(of path: String) -> [String] { [wal(of: path), path + "-shm"] }

  package static func wal(of path: String) -> String { path + "-wal" }

  /// The bytes in the write-ahead log of a file; 0 if it has none, `nil` if that is unknown.
  package static func size(of path: String) -> Int? {
    var status = stat()
    if stat(wal(of: path), &status) == 0 { return Int(status.st_size) }
    return errno == ENOENT ? 0 : nil
  }

  /// Begins to write: turns the write-ahead log on, with the automatic checkpoints.
  package static func begin(_ connection: Connection) throws(SQLiteError) {
    try connection.execute("PRAGMA journal_mode = WAL")
    // In WAL mode a commit survives the death of the process; power loss may cost the last ones:
    // https://sqlite.org/pragma.html#pragma_synchronous
    try connection.execute("PRAGMA synchronous = NORMAL")
    connection.checkpoint(every: checkpointPages)
  }

  /// Empties the write-ahead log if it has grown too long; after a commit.
  package static func limit(_ connection: Connection, _ path: String) {
    // As long as readers are in the way, this is repeated after each commit.
    guard let size = size(of: path), size > maximumBytes else { return }
    try? connection.emptyWAL()
  }

  /// Empties the write-ahead log so that the file has its final size, even while others read.
  package static func emptyWaiting(_ connection: Connection) {
    for _ in 0..<attempts {
      if (try? connection.emptyWAL()) != nil { return }
      usleep(pauseMicroseconds)
    }
  }

  /// Ends writing: leaves a single file if no other connection has it open.
  package static func end(_ connection: Connection) {
    try? connection.emptyWAL()
    // Another connection may stay open for as long as it likes.
    sqlite3_busy_timeout(connection.handle, 0)
    try? connection.execute("PRAGMA journal_mode = DELETE")
  }
}

extension Connection {
  /// Moves everything from the write-ahead log into the file and empties it, as soon as no reader
  /// needs it: https://sqlite.org/pragma.html#pragma_wal_checkpoint
  fileprivate func emptyWAL() throws(SQLiteError) {
    let code = sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    guard code == SQLITE_OK else { throw error(code) }
  }

  /// Moves the write-ahead log into the file whenever it has grown by this number of pages.
  ///
  /// SQLite's own automatic checkpoints repeat at every commit as long as a reader keeps the log
  /// from restarting, and each of them syncs the disk:
  /// https://sqlite.org/c3ref/wal_autocheckpoint.html
  fileprivate func checkpoint(every pages: Int32) {
    let checkpoints = Checkpoints(every: pages)
    self.checkpoints = checkpoints
    sqlite3_wal_hook(
      handle,
      { context, handle, _, pages in
        guard let context, let handle else { return SQLITE_OK }
        let checkpoints = Unmanaged<Checkpoints>.fromOpaque(context).takeUnretainedValue()
        if checkpoints.isDue(pages) {
          sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_PASSIVE, nil, nil)
        }
        return SQLITE_OK
      }, Unmanaged.passUnretained(checkpoints).toOpaque())
  }
}

/// When the write-ahead log is due to be moved into the file.
final class Checkpoints {
  private let every: Int32
  /// The length of the log at the last checkpoint.
  private var last: Int32 = 0

  init(every: Int32) {
    self.every = every
  }

  func isDue(_ pages: Int32) -> Bool {
    // The log has restarted.
    if pages < last { last = 0 }
    guard pages - last >= every else { return false }
    last = pages
    return true
  }
}
