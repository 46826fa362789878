/// Why events are not in a log.
package enum GapReason {
  package static let lostInSpool = "lost in the spool"
  package static let lostInDeath = "lost when the process died"
  /// The beginning of the reason for events that were pruned on purpose.
  package static let pruned = "pruned"
  package static let isPrunedSQL = "reason LIKE 'pruned%'"

  package static func isPruned(_ reason: String) -> Bool { reason.hasPrefix(pruned) }
}

extension LogReader {
  /// The number of events of a run that were pruned from the log to make room.
  ///
  /// - Throws: `LogError`.
  package func pruned(of run: RunInfo) throws -> Int64 {
    try translating {
      try connection.integer(
        """
        SELECT coalesce(sum(count), 0) FROM gap WHERE \(GapReason.isPrunedSQL)
          AND source IN (SELECT id FROM source WHERE run = \(run.number))
        """) ?? 0
    }
  }
}
