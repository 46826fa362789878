import CSQLite

/// An error reported by SQLite, and its statement.
public struct SQLiteError: Error, Sendable, CustomStringConvertible {
  /// The extended result code: https://sqlite.org/rescode.html
  public var code: Int32
  public var message: String
  public var sql: String?

  /// The result code without its extension.
  public var primaryCode: Int32 { code & 0xFF }

  public var isBusy: Bool { primaryCode == SQLITE_BUSY || primaryCode == SQLITE_LOCKED }
  public var isNotADatabase: Bool { primaryCode == SQLITE_NOTADB }
  public var isCorrupt: Bool { primaryCode == SQLITE_CORRUPT }
  public var cannotOpen: Bool { primaryCode == SQLITE_CANTOPEN }
  /// Refused by the authorizer, or a write to a read-only database.
  public var isRefused: Bool { primaryCode == SQLITE_AUTH || primaryCode == SQLITE_READONLY }

  public var description: String {
    sql.map { "\(message) (SQLite \(code)) in: \($0)" } ?? "\(message) (SQLite \(code))"
  }
}
