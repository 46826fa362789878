import LogFormat

extension LogWriter {
  /// A number that tells this log from others, by which spools know theirs; made if there is none.
  ///
  /// - Throws: `SQLiteError`.
  package func makeIdentity() throws -> UInt64 {
    let random = Int64.random(in: 1...(.max))
    try connection.execute("INSERT OR IGNORE INTO meta VALUES ('log_id', \(random))")
    return try logIdentity()
  }

  /// The same; 0 if this log has none.
  ///
  /// - Throws: `SQLiteError`.
  package func logIdentity() throws -> UInt64 {
    try connection.logIdentity()
  }
}

extension Connection {
  /// That of the log which is open.
  func logIdentity() throws(SQLiteError) -> UInt64 {
    UInt64(bitPattern: try integer("SELECT value FROM meta WHERE name = 'log_id'") ?? 0)
  }
}
