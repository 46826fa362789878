import EventLog
import Glibc
import LogAnalysis
import LogFormat
import TaskLogPlugin

/// What was read from the logs of archives, in the user's cache folder, so that a log that has not
/// changed is not opened again.
///
/// It is never required: what is wrong with it is answered by reading the logs.
final class Catalogue {
  /// Changes with what is stored.
  private static let version: Int64 = 4
  /// The rows that are kept; those that were written first are removed.
  private static let limit = 200_000

  private let connection: Connection
  private let select: Statement
  private let insert: Statement
  private let selectValue: Statement
  private let insertValue: Statement
  private var fresh: [(stamp: String, entries: String)] = []
  private var freshValues: [(stamp: String, run: String, name: String, value: String)] = []

  /// `nil` if it cannot be used.
  init?() {
    guard case .success(let folder) = CacheFolder.make("catalogue") else { return nil }
    let path = folder + "/runs.db"
    guard let connection = Self.connection(path) else { return nil }
    guard let select = try? connection.prepare("SELECT runs FROM log WHERE stamp = ?"),
      let insert = try? connection.prepare(
        "INSERT OR REPLACE INTO log (stamp, runs) VALUES (?, ?)"),
      let selectValue = try? connection.prepare(
        "SELECT value FROM value WHERE stamp = ? AND run = ? AND name = ?"),
      let insertValue = try? connection.prepare(
        "INSERT OR REPLACE INTO value (stamp, run, name, value) VALUES (?, ?, ?, ?)")
    else { return nil }
    (self.connection, self.select, self.insert) = (connection, select, insert)
    (self.selectValue, self.insertValue) = (selectValue, insertValue)
  }

  /// A damaged one, or that of another version, is begun anew; one that another process keeps locked, or
  /// that is no file, is not used.
  private static func connection(_ path: String) -> Connection? {
    var status = stat()
    if lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG { return nil }
    do throws(SQLiteError) {
      if let connection = try open(path) { return connection }
    } catch {
      if error.isBusy { return nil }
    }
    for suffix in ["", "-wal", "-shm", "-journal"] { unlink(path + suffix) }
    return try? open(path)
  }

  /// `nil` if it is of another version.
  private static func open(_ path: String) throws(SQLiteError) -> Connection? {
    // Private to the user before SQLite creates it.
    close(Glibc.open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600))
    let connection = try Connection(path: path, mode: .readWrite, busyTimeoutMilliseconds: 500)
    let found = try connection.integer("PRAGMA user_version") ?? 0
    if found == 0 {
      try connection.execute(
        """
        CREATE TABLE IF NOT EXISTS log (stamp TEXT PRIMARY KEY, runs TEXT NOT NULL) STRICT;
        CREATE TABLE IF NOT EXISTS value (
          stamp TEXT NOT NULL, run TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
          PRIMARY KEY (stamp, run, name)
        ) STRICT;
        PRAGMA user_version = \(version);
        """)
    }
    return found == 0 || found == version ? connection : nil
  }

  /// The runs of a log that has not changed; `nil` if they are not known.
  func entries(_ stamp: LogStamp) -> [RunEntry]? {
    defer { select.reset() }
    guard (try? select.bind(1, stamp.text)) != nil, (try? select.step()) == true,
      case .list(let values)? = try? JSONReader.value(select.text(0))
    else { return nil }
    let entries = values.compactMap { RunEntry($0) }
    return entries.count == values.count ? entries : nil
  }

  /// Keeps the runs of a log if nothing but a change of its files changes them.
  func add(_ entries: [RunEntry], _ stamp: LogStamp) {
    fresh.append((stamp.text, JSONWriter.text(.list(entries.map(\.value)))))
  }

  /// What was computed of a run in logs that have not changed; `nil` if it is not known.
  ///
  /// - Parameters:
  ///   - name: what it is.
  ///   - stamp: of all its logs.
  func value(_ name: String, of run: String, _ stamp: String) -> Value? {
    defer { selectValue.reset() }
    guard (try? selectValue.bind(1, stamp)) != nil, (try? selectValue.bind(2, run)) != nil,
      (try? selectValue.bind(3, name)) != nil, (try? selectValue.step()) == true
    else { return nil }
    return try? JSONReader.value(selectValue.text(0))
  }

  /// Keeps what was computed of a run that has ended.
  func add(_ value: Value, _ name: String, of run: String, _ stamp: String) {
    freshValues.append((stamp, run, name, JSONWriter.text(value)))
  }

  /// Stores what was added.
  func save() {
    guard !fresh.isEmpty || !freshValues.isEmpty else { return }
    try? connection.transaction {
      for row in fresh {
        try insert.bind(1, row.stamp)
        try insert.bind(2, row.entries)
        try insert.run()
      }
      for row in freshValues {
        for (place, text) in [row.stamp, row.run, row.name, row.value].enumerated() {
          try insertValue.bind(Int32(place + 1), text)
        }
        try insertValue.run()
      }
      for table in ["log", "value"] {
        try connection.execute(
          """
          DELETE FROM \(table) WHERE rowid <= (SELECT max(rowid) - \(Self.limit) FROM \(table))
          """)
      }
    }
    (fresh, freshValues) = ([], [])
  }
}
