import CSQLite

/// Runs the SQL that a user typed over a log, read-only.
public final class UserSQL {
  private let connection: Connection
  private let path: String

  /// - Throws: `LogError`.
  public init(path: String) throws {
    self.path = path
    connection = try LogFile.openForReading(path)
    // SQLite makes these tables when they are first asked for, which the authorizer must not forbid.
    for table in ["json_each('[]')", "json_tree('[]')", "pragma_table_info('')"] {
      _ = try? connection.integer("SELECT 1 FROM \(table)")
    }
    connection.allowOnlyReading()
  }

  /// Runs one statement.
  ///
  /// - Parameters:
  ///   - start: called once with the names of the columns.
  ///   - give: called with each row.
  /// - Throws: `UserSQLError`, or what the closures throw.
  public func run(
    _ sql: String, start: ([String]) throws -> Void, give: ([SQLiteValue]) throws -> Void
  ) throws {
    do {
      let statement = try connection.prepare(sql)
      guard statement.isReadOnly, statement.columnCount > 0 else { throw UserSQLError.writes }
      let columns = 0..<statement.columnCount
      try start(columns.map { statement.columnName($0) })
      while try statement.step() { try give(columns.map { statement.value($0) }) }
    } catch let error as SQLiteError {
      // What a statement does on the way (CREATE, a function) is refused as a plain error.
      if error.isRefused || error.message.hasPrefix("not authorized") { throw UserSQLError.writes }
      switch error.primaryCode {
      case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_IOERR, SQLITE_CANTOPEN:
        throw LogError(error, path: path)
      default: throw UserSQLError.wrong(error.message)
      }
    }
  }
}

/// What can be wrong with a user's SQL.
public enum UserSQLError: Error, Sendable, CustomStringConvertible {
  case wrong(String)
  case writes

  public var description: String {
    switch self {
    case .wrong(let message): "SQL: \(message)"
    case .writes:
      "SQL: only reading is allowed: one SELECT, no ATTACH, no extensions, no PRAGMA that changes "
        + "anything"
    }
  }
}
