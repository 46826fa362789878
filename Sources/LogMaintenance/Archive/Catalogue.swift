import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// What was read from the logs of archives, in the user's cache folder, so that a log that has not
/// changed is not opened again.
///
/// It is never required: what is wrong with it is answered by reading the logs.
final class Catalogue {
  /// What tells that a log and its WAL have not changed.
  struct Stamp: Equatable {
    private var file: [Int64]
    private let changed: Int64

    /// `nil` if there is no such file.
    init?(_ path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      func time(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
      }
      file = [
        Int64(bitPattern: UInt64(status.st_dev)), Int64(bitPattern: UInt64(status.st_ino)),
        Int64(status.st_size), time(status.st_mtim), time(status.st_ctim),
      ]
      var wal = stat()
      // A reader may create an empty one.
      let hasWAL = stat(path + "-wal", &wal) == 0 && wal.st_size > 0
      file += hasWAL ? [Int64(wal.st_size), time(wal.st_mtim)] : [-1, -1]
      changed = max(time(status.st_mtim), hasWAL ? time(wal.st_mtim) : .min)
    }

    /// Whether a later change certainly changes the stamp: clocks of file systems are coarse.
    var isOld: Bool { Clock.now() &- changed > 1_000_000_000 }

    static func == (one: Self, other: Self) -> Bool { one.file == other.file }

    /// A file that has the same text is the same, wherever it is.
    var text: String { file.map(String.init).joined(separator: " ") }
  }

  /// Changes with what is stored.
  private static let version: Int64 = 1
  /// The rows that are kept; those that were written first are removed.
  private static let limit = 200_000

  private let connection: Connection
  private let select: Statement
  private let insert: Statement
  private var fresh: [(stamp: String, entries: String)] = []

  /// `nil` if it cannot be used.
  init?() {
    guard case .success(let folder) = CacheFolder.make("catalogue") else { return nil }
    let path = folder + "/runs.db"
    guard let connection = Self.open(path) ?? Self.replaced(path) else { return nil }
    guard let select = try? connection.prepare("SELECT runs FROM log WHERE stamp = ?"),
      let insert = try? connection.prepare(
        "INSERT OR REPLACE INTO log (stamp, runs) VALUES (?, ?)")
    else { return nil }
    (self.connection, self.select, self.insert) = (connection, select, insert)
  }

  /// A damaged one, or that of another version, is begun anew.
  private static func replaced(_ path: String) -> Connection? {
    for suffix in ["", "-wal", "-shm", "-journal"] { unlink(path + suffix) }
    return open(path)
  }

  private static func open(_ path: String) -> Connection? {
    do {
      // Private to the user before SQLite creates it.
      close(Glibc.open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600))
      let connection = try Connection(path: path, mode: .readWrite)
      let found = try connection.integer("PRAGMA user_version") ?? 0
      if found == 0 {
        try connection.execute(
          """
          CREATE TABLE IF NOT EXISTS log (stamp TEXT PRIMARY KEY, runs TEXT NOT NULL) STRICT;
          PRAGMA user_version = \(version);
          """)
      }
      return found == 0 || found == version ? connection : nil
    } catch {
      return nil
    }
  }

  /// The runs of a log that has not changed; `nil` if they are not known.
  func entries(_ stamp: Stamp) -> [RunEntry]? {
    defer { select.reset() }
    guard (try? select.bind(1, stamp.text)) != nil, (try? select.step()) == true,
      case .list(let values)? = try? JSONReader.value(select.text(0))
    else { return nil }
    let entries = values.compactMap { RunEntry($0) }
    return entries.count == values.count ? entries : nil
  }

  /// Keeps the runs of a log if nothing but a change of its files changes them.
  func add(_ entries: [RunEntry], _ stamp: Stamp) {
    fresh.append((stamp.text, JSONWriter.text(.list(entries.map(\.value)))))
  }

  /// Stores what was added.
  func save() {
    guard !fresh.isEmpty else { return }
    try? connection.transaction {
      for row in fresh {
        try insert.bind(1, row.stamp)
        try insert.bind(2, row.entries)
        try insert.run()
      }
      try connection.execute(
        """
        DELETE FROM log WHERE rowid <= (SELECT max(rowid) - \(Self.limit) FROM log)
        """)
    }
    fresh = []
  }
}
