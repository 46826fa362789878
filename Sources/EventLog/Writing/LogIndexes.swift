import CSQLite
import LogFormat

/// The indexes that are not needed to record, only to ask: made when a run has ended.
extension LogWriter {
  /// Logs with more events than this are left to `tasklog index`: whoever ends a run does not wait
  /// for longer than about a second.
  public static let eventsIndexedAtEnd: Int64 = 1_000_000

  /// Every one, by its name; `FilterSQL` knows them by what comes after `event_`.
  private static let names = ["event_stimulus", "event_finish", "event_failure", "key_typed"]

  /// Builds the indexes that are not there, and tells SQLite how selective each is:
  /// https://sqlite.org/lang_analyze.html
  ///
  /// - Throws: `LogError`.
  public func buildIndexes() throws {
    try changing {
      try buildSmallIndexes()
      for column in ["stimulus", "finish"] {
        try connection.execute("CREATE INDEX IF NOT EXISTS event_\(column) ON event (\(column))")
      }
      try connection.execute("PRAGMA analysis_limit = 1000; ANALYZE")
    }
  }

  /// Those that hold few rows: every event is in the other two, and they are a ninth of a log.
  private func buildSmallIndexes() throws {
    try connection.execute(
      "CREATE INDEX IF NOT EXISTS key_typed ON key (typed) WHERE typed != ''")
    // The condition of a partial index may hold numbers only.
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

  /// Takes the indexes away again.
  ///
  /// - Throws: `LogError`.
  public func dropIndexes() throws {
    try changing {
      for name in Self.names {
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
