import TaskLogPlugin

/// The values of row IDs, for a scan of all events.
extension LogReader {
  /// The text with a row ID; `nil` if there is none.
  ///
  /// - Throws: `LogError`.
  package func text(_ number: Int64) throws -> String? {
    try translating { number == 0 ? nil : try texts.element(number) }
  }

  /// The key with a row ID; `nil` if there is none.
  ///
  /// - Throws: `LogError`.
  package func key(_ number: Int64) throws -> Key? {
    try translating { number == 0 ? nil : try keys.element(number) }
  }

  /// The row ID of a text; `nil` if it is not in the file.
  ///
  /// - Throws: `LogError`.
  package func number(ofText text: String) throws -> Int64? {
    try translating {
      let find = try connection.prepare("SELECT id FROM text WHERE text = ?")
      try find.bind(1, text)
      return try find.step() ? find.integer(0) : nil
    }
  }

  /// The number of events of a run in the file.
  ///
  /// - Throws: `LogError`.
  package func eventCount(of run: RunInfo) throws -> Int64 {
    try translating {
      try integer("SELECT events FROM run WHERE id = ?", of: run) ?? 0
    }
  }

  /// Passes on the prefix of each key in a range of row IDs, as the row ID of a text.
  ///
  /// - Throws: `LogError`.
  package func prefixes(
    ofKeys range: Range<Int64>, give: (_ key: Int64, _ prefix: Int64) -> Void
  ) throws {
    try translating {
      let select = try connection.prepare("SELECT id, prefix FROM key WHERE id >= ? AND id < ?")
      try select.bind(1, range.lowerBound)
      try select.bind(2, range.upperBound)
      while try select.step() { give(select.integer(0), select.integer(1)) }
    }
  }
}

/// A known gap in a log.
package struct Gap: Sendable {
  /// The row ID of its source in the file.
  package var source: Int64
  /// The source seq of the first event that is missing.
  package var sourceSeq: Int64
  package var count: Int64
  package var reason: String
  /// When it was found, in nanoseconds since 1970 UTC.
  package var time: Int64
  /// The times of the source's events just before and after it, if there are any.
  package var before: Int64?
  package var after: Int64?

  /// Whether another gap of its source is between the same two events, and was found with it.
  package func isBesides(_ other: Gap) -> Bool {
    (time, before, after, reason) == (other.time, other.before, other.after, other.reason)
  }
}

extension LogReader {
  /// The known gaps of a run.
  ///
  /// - Throws: `LogError`.
  package func gaps(of run: RunInfo) throws -> [Gap] {
    try translating {
      try makeDerivedTables()
      let select = try connection.prepare(
        """
        SELECT gap.source, gap.source_seq, gap.count, gap.reason,
          \(ClockSQL.time(of: "gap")),
          (SELECT \(ClockSQL.time(of: "event")) FROM event WHERE event.source = gap.source
            AND event.source_seq < gap.source_seq ORDER BY event.source_seq DESC LIMIT 1),
          (SELECT \(ClockSQL.time(of: "event")) FROM event WHERE event.source = gap.source
            AND event.source_seq >= gap.source_seq ORDER BY event.source_seq LIMIT 1)
        FROM gap JOIN source ON source.id = gap.source WHERE source.run = ? ORDER BY gap.id
        """)
      try select.bind(1, run.number)
      var gaps: [Gap] = []
      while try select.step() {
        gaps.append(
          Gap(
            source: select.integer(0), sourceSeq: select.integer(1), count: select.integer(2),
            reason: select.text(3), time: select.integer(4), before: select.optionalInteger(5),
            after: select.optionalInteger(6)))
      }
      return gaps
    }
  }

  /// See `LastSourceSeq`.
  ///
  /// - Throws: `LogError`.
  package func lastSourceSeq(of source: SourceInfo) throws -> Int64 {
    try translating { try LastSourceSeq.value(of: source.number, in: connection) }
  }
}
