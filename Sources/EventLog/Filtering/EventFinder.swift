import LogFormat

/// Finds in one file what has been seen in another.
package struct EventFinder {
  private let reader: LogReader
  private let select: Statement

  /// - Throws: `LogError`.
  package init(_ reader: LogReader) throws {
    self.reader = reader
    select = try reader.translating {
      try reader.connection.prepare(
        """
        SELECT event.seq FROM run JOIN source ON source.run = run.id
        JOIN event ON event.source = source.id
        WHERE run.uuid = ? AND source.server_id = ? AND event.source_seq = ?
        """)
    }
  }

  /// The seq in this file of an event of a source of a run; `nil` if it is not in this file.
  ///
  /// - Throws: `LogError`.
  package func seq(run: String, server: String, sourceSeq: Int64) throws -> Int64? {
    try reader.translating {
      defer { select.reset() }
      try select.bind(1, run)
      try select.bind(2, server)
      try select.bind(3, sourceSeq)
      return try select.step() ? select.integer(0) : nil
    }
  }
}
