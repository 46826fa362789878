/// Why events are not in a log: what is told of those that were taken out of it on purpose.
package enum GapReason {
  package static let pruned = "pruned"
  package static let isPrunedSQL = "reason LIKE 'pruned%'"

  package static func isPruned(_ reason: String) -> Bool { reason.hasPrefix(pruned) }
}

extension LogReader {
  /// Events of a run that were taken out of the log to make room.
  ///
  /// - Throws: `LogError`.
  public func pruned(of run: RunInfo) throws -> Int64 {
    try translating {
      try connection.integer(
        """
        SELECT coalesce(sum(count), 0) FROM gap WHERE \(GapReason.isPrunedSQL)
          AND source IN (SELECT id FROM source WHERE run = \(run.number))
        """) ?? 0
    }
  }
}
