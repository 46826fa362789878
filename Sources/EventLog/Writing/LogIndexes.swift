import CSQLite
import LogFormat

/// The indexes that are needed only for queries, not for recording: built when a run has ended.
extension LogWriter {
  /// Logs with more events than this are left to `tasklog index`: ending a run must not wait for
  /// longer than about a second.
  package static let eventsIndexedAtEnd: Int64 = 1_000_000

  /// All indexes by name; `FilterSQL` knows them by what comes after `event_`.
  private static let names = ["event_stimulus", "event_finish", "event_failure", "key_typed"]

  /// Builds the missing indexes, and tells SQLite how selective each is:
  /// https://sqlite.org/lang_analyze.html
  ///
  /// - Throws: `LogError`.
  package func buildIndexes() throws {
    try changing {
      try buildSmallIndexes()
      for column in ["stimulus", "finish"] {
        try connection.execute("CREATE INDEX IF NOT EXISTS event_\(column) ON event (\(column))")
      }
      try connection.execute("PRAGMA analysis_limit = 1000; ANALYZE")
    }
  }

  /// The indexes with few rows: every event is in the other two, which are a ninth of a log.
  private func buildSmallIndexes() throws {
    try connection.execute(
      "CREATE INDEX IF NOT EXISTS key_typed ON key (typed) WHERE typed != ''")
    // The condition of a partial index may contain only numbers.
    try internTotals.begin()
    try connection.execute("INSERT OR IGNORE INTO text (text) VALUES ('erred'), ('error')")
    try internTotals.finish()
    let numbers = try ["erred", "error"].map {
      try connection.integer("SELECT id FROM text WHERE text = '\($0)'") ?? 0
    }
    let list = numbers.map(String.init).joined(separator: ", ")
    try connection.execute(
      "CREATE INDEX IF NOT EXISTS event_failure ON event (finish) WHERE finish IN (\(list))")
  }

  /// Removes the indexes again.
  ///
  /// - Throws: `LogError`.
  package func dropIndexes() throws {
    try changing {
      for name in Self.names {
        try connection.execute("DROP INDEX IF EXISTS \(name)")
      }
    }
    try? connection.execute("PRAGMA incremental_vacuum")
  }

  /// Called when a run has ended: builds the indexes for queries, unless that would take too long.
  func buildIndexesOfSmallLog() {
    guard let last = try? connection.integer("SELECT max(seq) FROM event"),
      last <= Self.eventsIndexedAtEnd
    else { return }
    // They only save time; a log that others are writing to is usable without them.
    sqlite3_busy_timeout(connection.handle, 0)
    defer { sqlite3_busy_timeout(connection.handle, 5_000) }
    try? changing {
      try buildSmallIndexes()
      try connection.execute("PRAGMA analysis_limit = 1000; ANALYZE")
    }
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
