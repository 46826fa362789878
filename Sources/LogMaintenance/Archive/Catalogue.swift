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
  private static let version: Int64 = 3
  /// The rows that are kept; those that were written first are removed.
  private static let limit = 200_000

  private let connection: Connection
  private let select: Statement
  private let insert: Statement
  private let selectFigures: Statement
  private let insertFigures: Statement
  private var fresh: [(stamp: String, entries: String)] = []
  private var freshFigures: [(stamp: String, run: String, figures: String)] = []

  /// `nil` if it cannot be used.
  init?() {
    guard case .success(let folder) = CacheFolder.make("catalogue") else { return nil }
    let path = folder + "/runs.db"
    guard let connection = Self.connection(path) else { return nil }
    guard let select = try? connection.prepare("SELECT runs FROM log WHERE stamp = ?"),
      let insert = try? connection.prepare(
        "INSERT OR REPLACE INTO log (stamp, runs) VALUES (?, ?)"),
      let selectFigures = try? connection.prepare(
        "SELECT figures FROM figures WHERE stamp = ? AND run = ?"),
      let insertFigures = try? connection.prepare(
        "INSERT OR REPLACE INTO figures (stamp, run, figures) VALUES (?, ?, ?)")
    else { return nil }
    (self.connection, self.select, self.insert) = (connection, select, insert)
    (self.selectFigures, self.insertFigures) = (selectFigures, insertFigures)
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
        CREATE TABLE IF NOT EXISTS figures (
          stamp TEXT NOT NULL, run TEXT NOT NULL, figures TEXT NOT NULL, PRIMARY KEY (stamp, run)
        ) STRICT;
        PRAGMA user_version = \(version);
        """)
    }
    return found == 0 || found == version ? connection : nil
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

  /// The figures of a run in logs that have not changed; `nil` if they are not known.
  ///
  /// - Parameter stamp: of all its logs.
  func figures(of run: String, _ stamp: String) -> RunFigures? {
    defer { selectFigures.reset() }
    guard (try? selectFigures.bind(1, stamp)) != nil, (try? selectFigures.bind(2, run)) != nil,
      (try? selectFigures.step()) == true
    else { return nil }
    return (try? JSONReader.value(selectFigures.text(0))).flatMap { RunFigures($0) }
  }

  /// Keeps the figures of a run that has ended.
  func add(_ figures: RunFigures, of run: String, _ stamp: String) {
    freshFigures.append((stamp, run, JSONWriter.text(figures.value)))
  }

  /// Stores what was added.
  func save() {
    guard !fresh.isEmpty || !freshFigures.isEmpty else { return }
    try? connection.transaction {
      for row in fresh {
        try insert.bind(1, row.stamp)
        try insert.bind(2, row.entries)
        try insert.run()
      }
      for row in freshFigures {
        try insertFigures.bind(1, row.stamp)
        try insertFigures.bind(2, row.run)
        try insertFigures.bind(3, row.figures)
        try insertFigures.run()
      }
      for table in ["log", "figures"] {
        try connection.execute(
          """
          DELETE FROM \(table) WHERE rowid <= (SELECT max(rowid) - \(Self.limit) FROM \(table))
          """)
      }
    }
    (fresh, freshFigures) = ([], [])
  }
}
