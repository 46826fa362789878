import LogFormat

/// The source seq of the last event of a source that is in a file or known to be missing; 0 if there
/// is none.
package enum LastSourceSeq {
  /// - Parameter source: an expression for the row ID of the source.
  package static func sql(of source: String) -> String {
    """
    max(coalesce((SELECT max(source_seq) FROM event WHERE source = \(source)), 0),
      coalesce((SELECT max(source_seq + count - 1) FROM gap WHERE source = \(source)), 0))
    """
  }

  /// - Throws: `SQLiteError`.
  package static func value(of source: Int64, in connection: Connection) throws -> Int64 {
    try connection.integer("SELECT \(sql(of: String(source)))") ?? 0
  }
}
