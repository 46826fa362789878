import LogFormat

/// Looks up events by their identity, to store each only once.
package struct EventLookup {
  private let select: Statement

  /// - Throws: `SQLiteError`.
  package init(_ connection: Connection) throws(SQLiteError) {
    select = try connection.prepare("SELECT 1 FROM event WHERE source = ? AND source_seq = ?")
  }

  /// Whether an event is in the file.
  ///
  /// - Throws: `SQLiteError`.
  package func contains(_ sourceSeq: Int64, of source: Int64) throws -> Bool {
    defer { select.reset() }
    try select.bind(1, source)
    try select.bind(2, sourceSeq)
    return try select.step()
  }
}
