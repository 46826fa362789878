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
    let found = try connection.integer("SELECT value FROM meta WHERE name = 'log_id'")
    return UInt64(bitPattern: found ?? 0)
  }
}
