import CSQLite

/// The indexes that are not needed to record, only to ask: made when a run has ended.
extension LogWriter {
  /// Logs with more events than this are left to `tasklog index`: whoever ends a run does not wait
  /// for longer than about a second.
  public static let eventsIndexedAtEnd: Int64 = 1_000_000

  /// `EventFilter` knows them by the name of their column. Partial, because most events have both.
  private static let indexes = [
    ("event_stimulus", "event (stimulus)"), ("event_finish", "event (finish)"),
    ("key_typed", "key (typed) WHERE typed != ''"),
  ]

  /// Builds the indexes that are not there, and tells SQLite how selective each is:
  /// https://sqlite.org/lang_analyze.html
  ///
  /// - Throws: `LogError`.
  public func buildIndexes() throws {
    try changing {
      for (name, columns) in Self.indexes {
        try connection.execute("CREATE INDEX IF NOT EXISTS \(name) ON \(columns)")
      }
      try connection.execute("PRAGMA analysis_limit = 1000; ANALYZE")
    }
  }

  /// Takes the indexes away again.
  ///
  /// - Throws: `LogError`.
  public func dropIndexes() throws {
    try changing {
      for (name, _) in Self.indexes {
        try connection.execute("DROP INDEX IF EXISTS \(name)")
      }
    }
    try? connection.execute("PRAGMA incremental_vacuum")
  }

  /// When a run has ended: what asks the log finds indexes, unless they would take too long.
  func buildIndexesOfSmallLog() {
    guard let last = try? connection.integer("SELECT max(seq) FROM event"),
      last <= Self.eventsIndexedAtEnd
    else { return }
    // They only save time; a log that others write to at this moment is as good without.
    sqlite3_busy_timeout(connection.handle, 0)
    defer { sqlite3_busy_timeout(connection.handle, 5_000) }
    try? buildIndexes()
  }

  private func changing(_ body: () throws -> Void) throws {
    do {
      try connection.transaction(body)
    } catch let error as SQLiteError {
      throw error.isBusy
        ? LogError(error, path: path) : LogError.cannotWrite(path: path, reason: error.message)
    }
  }
}
