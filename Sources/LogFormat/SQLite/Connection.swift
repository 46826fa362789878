import CSQLite

/// A connection to a database, used from one thread at a time.
///
/// A thin wrapper around https://sqlite.org/c3ref/sqlite3.html: every result code that is not
/// success is thrown as `SQLiteError`.
package final class Connection {
  package enum Mode: Sendable {
    case readOnly
    /// For a file that cannot change, in a folder where SQLite cannot create its own files:
    /// https://sqlite.org/c3ref/open.html#uriimmutable
    case immutable
    case readWrite
    /// Only in memory; the path is ignored.
    case memory
  }

  package let handle: OpaquePointer
  /// Statements that are not in use now, by their text.
  private var idle: [String: OpaquePointer] = [:]
  private static let mostIdle = 64
  var checkpoints: Checkpoints?
  var waiting: WaitingForLock?

  /// - Parameter busyTimeoutMilliseconds: how long to wait for another process's lock.
  /// - Throws: `SQLiteError`.
  package init(path: String, mode: Mode, busyTimeoutMilliseconds: Int32 = 5_000) throws(SQLiteError)
  {
    tl_use_open_file_locks()
    var flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE
    // SQLite has special names, such as `:memory:`; a path with a folder is never one of them.
    let path = path.hasPrefix("/") ? path : "./" + path
    var name = path
    switch mode {
    case .readOnly: flags |= SQLITE_OPEN_READONLY
    case .immutable:
      flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
      name = Self.immutableURI(path)
    case .readWrite: flags |= SQLITE_OPEN_READWRITE
    case .memory:
      flags |= SQLITE_OPEN_READWRITE
      name = ":memory:"
    }
    var handle: OpaquePointer?
    let code = sqlite3_open_v2(name, &handle, flags, nil)
    guard code == SQLITE_OK, let handle else {
      let message = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
      sqlite3_close_v2(handle)
      throw SQLiteError(code: code, message: message, sql: nil)
    }
    self.handle = handle
    sqlite3_busy_timeout(handle, busyTimeoutMilliseconds)
    ThreadStop.watch(handle, busyTimeoutMilliseconds: busyTimeoutMilliseconds)
    // A file may be untrusted or damaged: https://sqlite.org/security.html
    // Not trusted_schema = OFF: SQLite 3.40 then refuses its own JSON functions in our views.
    try execute("PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0")
  }

  deinit {
    for statement in idle.values { sqlite3_finalize(statement) }
    sqlite3_close_v2(handle)
  }

  /// Percent-encodes everything that has a meaning in a URI.
  private static func immutableURI(_ path: String) -> String {
    // With an empty authority, so that a path that begins with two slashes stays a path.
    var uri = path.hasPrefix("/") ? "file://" : "file:"
    for byte in path.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."),
        UInt8(ascii: "-"), UInt8(ascii: "_"):
        uri.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        uri += "%" + byte.hexadecimal
      }
    }
    return uri + "?immutable=1"
  }

  package func error(_ code: Int32, sql: String? = nil) -> SQLiteError {
    SQLiteError(code: code, message: String(cString: sqlite3_errmsg(handle)), sql: sql)
  }

  /// Runs every statement of a text and discards their rows.
  package func execute(_ sql: String) throws(SQLiteError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw error(code, sql: sql) }
  }

  /// A statement, which is kept for the next user: for each of many runs or sources it would take
  /// longer to prepare than to run. Not a pragma, which SQLite may run when it is prepared.
  package func prepare(_ sql: String) throws(SQLiteError) -> Statement {
    if let handle = idle.removeValue(forKey: sql) { return Statement(self, handle, sql) }
    return try Statement(self, sql, isKept: !sql.hasPrefix("PRAGMA"))
  }

  /// A statement that is not kept, such as one of a user.
  package func prepareOnce(_ sql: String) throws(SQLiteError) -> Statement {
    try Statement(self, sql, isKept: false)
  }

  /// Keeps a statement that is no longer in use.
  func keep(_ statement: OpaquePointer, _ sql: String) {
    sqlite3_reset(statement)
    sqlite3_clear_bindings(statement)
    if idle.count >= Self.mostIdle {
      // Texts with numbers in them fill it: what is used again is soon back.
      for statement in idle.values { sqlite3_finalize(statement) }
      idle.removeAll()
    }
    if let other = idle.updateValue(statement, forKey: sql) { sqlite3_finalize(other) }
  }

  /// The first column of the first row; `nil` if there is no row or it is NULL.
  package func integer(_ sql: String) throws(SQLiteError) -> Int64? {
    let statement = try prepare(sql)
    return try statement.step() ? statement.optionalInteger(0) : nil
  }

  /// Runs a body in one transaction that has the write lock from its start:
  /// https://sqlite.org/lang_transaction.html#deferred_immediate_and_exclusive_transactions
  package func transaction<Result>(_ body: () throws -> Result) throws -> Result {
    waiting?.beginTransaction()
    try execute("BEGIN IMMEDIATE")
    do {
      let result = try body()
      try execute("COMMIT")
      return result
    } catch {
      // SQLite may have rolled back by itself (disk full), which makes this one fail.
      try? execute("ROLLBACK")
      throw error
    }
  }

  /// Whether the file can only be read, whatever the mode:
  /// https://sqlite.org/c3ref/db_readonly.html
  package var isReadOnly: Bool { sqlite3_db_readonly(handle, nil) == 1 }

  /// The number of rows that the last statement inserted, changed or deleted.
  package var changes: Int32 { sqlite3_changes(handle) }

  /// The row ID of the last inserted row.
  package var lastInsertRowID: Int64 { sqlite3_last_insert_rowid(handle) }
}
