import CSQLite

extension Connection {
  /// Copies the database, as it is now, into an empty file, which is then complete in itself: it needs no
  /// write-ahead log. Others may write to the database meanwhile.
  ///
  /// https://sqlite.org/backup.html
  ///
  /// - Parameter path: an empty file.
  /// - Throws: `SQLiteError`.
  package func copy(to path: String) throws(SQLiteError) {
    let target = try Connection(path: path, mode: .readWrite)
    // The copy is not read before it is complete.
    try target.execute("PRAGMA synchronous = OFF")
    guard let backup = sqlite3_backup_init(target.handle, "main", handle, "main") else {
      throw target.error(sqlite3_errcode(target.handle))
    }
    // All pages in one step are one read transaction, and so one state of the database.
    var code = sqlite3_backup_step(backup, -1)
    let finished = sqlite3_backup_finish(backup)
    if code == SQLITE_DONE { code = finished }
    guard code == SQLITE_OK else { throw target.error(code) }
    // The pages say that there is a write-ahead log.
    try target.execute("PRAGMA journal_mode = DELETE")
  }
}
