import CSQLite
import Glibc
import LogFormat
import Migrations
import TaskLogPlugin

/// The log file: how it is recognized, opened, created and migrated.
package enum LogFile {
  /// `application_id` of a log: "tlog". https://sqlite.org/pragma.html#pragma_application_id
  static let applicationID: Int64 = 0x746C_6F67

  package static var newestVersion: Int32 { Migrations.all.last?.version ?? 0 }

  /// Opens a log for reading, of any version that this program supports or newer.
  ///
  /// - Throws: `LogError`.
  static func openForReading(_ path: String) throws -> Connection {
    try checkReadable(path)
    do {
      return try retryWhileBusy {
        let connection = try openReadOnly(path)
        let identity = try checkIsLog(connection, path)
        let survey = try checkSchema(connection, path, of: identity.version)
        try NewerSchema.add(to: connection, of: identity.version, survey)
        return connection
      }
    } catch let error as SQLiteError {
      throw LogError(error, path: path)
    }
  }

  /// Checks that statements of ours run no SQL of the file.
  ///
  /// - Throws: `SQLiteError`, `LogError.foreignSchema`.
  @discardableResult
  static func checkSchema(
    _ connection: Connection, _ path: String, of version: Int64, isWriting: Bool = false
  ) throws -> SchemaSurvey {
    let survey = try SchemaSurvey(connection, isNewer: version > newestVersion)
    let objections = survey.objections + (isWriting ? survey.writingObjections : [])
    if survey.hasUnknownSQL, version > newestVersion {
      throw LogError.tooNew(path: path, version: version, known: newestVersion)
    }
    if let first = objections.first {
      throw LogError.foreignSchema(path: path, reason: first, others: objections.count - 1)
    }
    return survey
  }

  /// Opens a log as far as possible, to find out what is wrong with it; its schema is not checked. With
  /// `writable_schema`,
  /// which changes nothing in a file that is open for reading, SQLite accepts a file that has been
  /// truncated at its current length: https://sqlite.org/pragma.html#pragma_writable_schema
  ///
  /// - Throws: `LogError`.
  package static func openForChecking(_ path: String) throws -> Connection {
    do {
      return try openForReading(path)
    } catch LogError.foreignSchema {
      return try openReadOnly(path)
    } catch LogError.damaged {
      do {
        let connection = try Connection(path: path, mode: .readOnly)
        try connection.execute("PRAGMA writable_schema = ON")
        guard try connection.integer("PRAGMA application_id") == applicationID else {
          throw LogError.notATasklog(path: path)
        }
        return connection
      } catch let error as SQLiteError {
        throw LogError(error, path: path)
      }
    }
  }

  private static func checkReadable(_ path: String) throws {
    var status = stat()
    guard stat(path, &status) == 0 else {
      guard errno == ENOENT else {
        throw LogError.unreadable(path: path, reason: String(cString: strerror(errno)))
      }
      guard let fileSystem = LogLocation.networkFileSystem(of: path) else {
        throw LogError.missing(path: path)
      }
      let standIn = LogLocation.fallbackPath(for: path)
      throw LogError.elsewhere(
        path: path, fileSystem: fileSystem, standIn: standIn,
        host: access(standIn, F_OK) == 0 ? LogLocation.host : nil)
    }
    try checkIsFile(status, path)
    guard access(path, R_OK) == 0 else {
      throw LogError.unreadable(path: path, reason: String(cString: strerror(errno)))
    }
    if status.st_size == 0, WALPolicy.size(of: path) == 0 { throw LogError.empty(path: path) }
  }

  /// Opening a named pipe would block.
  private static func checkIsFile(_ status: stat, _ path: String) throws {
    switch status.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw LogError.isFolder(path: path)
    default: throw LogError.notADatabase(path: path)
    }
    // SQLite opens those next to it, too.
    for suffix in ["-wal", "-shm", "-journal"] {
      var companion = stat()
      guard stat(path + suffix, &companion) == 0, companion.st_mode & S_IFMT != S_IFREG else {
        continue
      }
      throw LogError.unreadable(path: path + suffix, reason: "not a regular file")
    }
  }

  /// Whether a file is in WAL mode, which SQLite ends when the last writer closes, and
  /// has no WAL: a reader may have created an empty one.
  /// https://sqlite.org/fileformat2.html#file_format_version_numbers
  private static func hasLostWAL(_ path: String) -> Bool {
    guard WALPolicy.size(of: path) == 0 else { return false }
    let descriptor = RegularFile.open(path)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { header in
      pread(descriptor, header.baseAddress, 20, 0) == 20 && header[18] == 2 && header[19] == 2
    }
  }

  /// Whether a file in a folder may be a log: its header says so, or does not say that it is another
  /// database. That of a damaged log may say anything, and that of a new one may still be in its WAL.
  /// https://sqlite.org/fileformat2.html#the_database_header
  package static func mayBeLog(_ path: String) -> Bool {
    let descriptor = RegularFile.open(path)
    // Reading it will tell why it cannot be opened.
    guard descriptor >= 0 else { return path.hasSuffix(".db") }
    defer { close(descriptor) }
    let hasWAL = WALPolicy.size(of: path).map { $0 > 0 } ?? false
    return withUnsafeTemporaryAllocation(byteCount: 100, alignment: 1) { header in
      let count = pread(descriptor, header.baseAddress, 100, 0)
      if count == 100, header.starts(with: "SQLite format 3\0".utf8) {
        let application = header[68..<72].reduce(Int64(0)) { $0 << 8 | Int64($1) }
        return application == applicationID || application == 0 && hasWAL
      }
      return path.hasSuffix(".db") && (count > 0 || hasWAL)
    }
  }

  /// Undoes a change that a killed program has left half-done, with the `-journal` next to the log, as SQLite
  /// does it for every program that may write. Only for a log and a journal of this user.
  package static func undoInterruptedChange(_ path: String) {
    var (log, journal) = (stat(), stat())
    guard lstat(path + "-journal", &journal) == 0, journal.st_size > 0, lstat(path, &log) == 0,
      [log, journal].allSatisfy({ $0.st_mode & S_IFMT == S_IFREG && $0.st_uid == geteuid() }),
      mayBeLog(path), let connection = try? Connection(path: path, mode: .readWrite)
    else { return }
    _ = try? connection.integer("PRAGMA schema_version")
  }

  /// A file in WAL mode needs `-wal` and `-shm` next to it. If they cannot be created (a read-only
  /// folder) and there is nothing in a WAL, the file is complete and is read as it is.
  private static func openReadOnly(_ path: String) throws(SQLiteError) -> Connection {
    let connection = try Connection(path: path, mode: .readOnly)
    do {
      _ = try connection.integer("PRAGMA schema_version")
      return connection
    } catch {
      guard error.cannotOpen || error.primaryCode == SQLITE_READONLY,
        WALPolicy.size(of: path) == 0
      else { throw error }
      // https://sqlite.org/rescode.html#readonly_rollback
      guard error.code != SQLITE_READONLY | (3 << 8) else {
        var error = error
        error.message =
          "its last change was interrupted; 'tasklog recover' undoes it with "
          + "\(path.lastPathComponent)-journal"
        throw error
      }
      return try Connection(path: path, mode: .immutable)
    }
  }

  /// What distinguishes a log from other databases.
  private struct Identity {
    var application: Int64
    var version: Int64
    /// Nothing has been stored in it.
    var isBlank: Bool

    var isLog: Bool { application == applicationID }
  }

  /// In one transaction: another recorder may be creating the log just now.
  private static func identity(_ connection: Connection) throws(SQLiteError) -> Identity {
    try connection.execute("BEGIN")
    defer { try? connection.execute("ROLLBACK") }
    let application = try connection.integer("PRAGMA application_id") ?? 0
    let version = try connection.integer("PRAGMA user_version") ?? 0
    var isBlank = application == 0 && version == 0
    if isBlank { isBlank = try connection.integer("SELECT count(*) FROM sqlite_schema") == 0 }
    return Identity(application: application, version: version, isBlank: isBlank)
  }

  private static func checkIsLog(_ connection: Connection, _ path: String) throws -> Identity {
    let identity = try identity(connection)
    guard !identity.isLog else { return identity }
    guard identity.isBlank else { throw LogError.notATasklog(path: path) }
    throw hasLostWAL(path) ? LogError.withoutWAL(path: path) : LogError.empty(path: path)
  }

  /// The meaning of an SQLite error for a log that is open for reading. A missing table or column
  /// was changed by a newer version, or the file is damaged.
  package static func error(_ error: SQLiteError, _ path: String, _ connection: Connection)
    -> LogError
  {
    guard error.primaryCode == SQLITE_ERROR else { return LogError(error, path: path) }
    let version = (try? connection.integer("PRAGMA user_version")) ?? 0
    return version > newestVersion
      ? .tooNew(path: path, version: version, known: newestVersion)
      : .damaged(path: path, reason: error.message)
  }

  /// Opens a log for writing; creates it if it does not exist and migrates an older one.
  ///
  /// - Throws: `LogError`.
  package static func openForWriting(
    _ path: String, through chain: LogMigration.Chain = Migrations.all
  ) throws -> Connection {
    try create(path)
    do {
      return try retryWhileBusy { try openReadWrite(path, chain) }
    } catch let error as SQLiteError {
      throw error.isBusy || error.isNotADatabase || error.isCorrupt
        ? LogError(error, path: path)
        : LogError.cannotWrite(path: path, reason: error.message)
    }
  }

  /// When a log changes between WAL mode and another mode, SQLite answers "busy" at once instead of
  /// waiting where that could deadlock: two connections change the mode, or one opens while another
  /// closes. Retrying from the start is safe, and short.
  private static func retryWhileBusy<Result>(_ body: () throws -> Result) throws -> Result {
    let deadline = Clock.now() + 5_000_000_000
    while true {
      do {
        return try body()
      } catch let error as SQLiteError where error.isBusy && Clock.now() < deadline {
        usleep(2_000)
      }
    }
  }

  private static func openReadWrite(
    _ path: String, _ chain: LogMigration.Chain
  ) throws -> Connection {
    let connection = try Connection(path: path, mode: .readWrite)
    // Without write permission, SQLite silently opens a file for reading.
    guard !connection.isReadOnly else {
      throw LogError.cannotWrite(path: path, reason: "it is read-only")
    }
    // Before anything is changed: a file that is not a log, or is newer, stays unchanged.
    let identity = try identity(connection)
    guard identity.isLog || identity.isBlank else { throw LogError.notATasklog(path: path) }
    try LogMigration.checkKnown(identity.version, path, chain)
    try checkSchema(connection, path, of: identity.version, isWriting: true)
    // Must be set before the first table is created:
    // https://sqlite.org/pragma.html#pragma_auto_vacuum
    // Pages of 8 KiB: fewer of them are written than of the default 4 KiB, and few more bytes.
    if identity.isBlank {
      try connection.execute("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL")
    }
    try WALPolicy.begin(connection)
    // Pages that are written to stay in memory: the ends of the indexes, and the last pages of the
    // tables.
    try connection.execute("PRAGMA cache_size = -16384")
    try LogMigration.run(chain, on: connection, path)
    return connection
  }

  /// Creates an empty file that is private to its owner; SQLite gives its companion files the same
  /// mode.
  private static func create(_ path: String) throws {
    var status = stat()
    if stat(path, &status) == 0 { return try checkIsFile(status, path) }
    let descriptor = tl_open_file_of_process(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    if descriptor < 0 {
      let code = errno
      throw code == ENOENT
        ? LogError.folderMissing(path: path, folder: path.parentFolder)
        : LogError.cannotWrite(path: path, reason: String(cString: strerror(code)))
    }
    tl_close_file_of_process(descriptor)
  }
}
