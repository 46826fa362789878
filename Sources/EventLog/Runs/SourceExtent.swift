import CSQLite
import LogFormat
import TaskLogPlugin

/// How far the events of a worker go in a log, and whether they are complete.
package struct SourceExtent {
  /// The source seq of the last event that is present or known to be missing.
  package var last: Int64 = 0
  /// Whether the worker reported its end, or everything it had written is known to be present.
  package var isComplete = false
}

extension LogReader {
  /// Marks that may follow a worker's `teardown`; a worker with several plugins reports for each.
  private static let trailingMarks: Set<String> = ["excluded", "report"]
  private static let mostTrailingMarks = 256

  /// - Parameter isCounted: whether the run was recorded into a log with totals of workers.
  /// - Throws: `LogError`.
  package func extent(of info: SourceInfo, isCounted: Bool) throws -> SourceExtent {
    try translating {
      var extent = SourceExtent()
      let lastEvent = try connection.prepare(
        """
        SELECT source_seq, text FROM event JOIN text ON text.id = event.hook WHERE source = ?
        ORDER BY source_seq DESC LIMIT \(Self.mostTrailingMarks)
        """)
      try lastEvent.bind(1, info.number)
      while try lastEvent.step() {
        extent.last = max(extent.last, lastEvent.integer(0))
        let hook = lastEvent.text(1)
        if hook == Hook.teardown.name || hook == Hook.detach.name { extent.isComplete = true }
        guard Self.trailingMarks.contains(hook) else { break }
      }
      lastEvent.reset()
      let gap = try connection.prepare(
        """
        SELECT source_seq + count - 1, \(GapReason.isPrunedSQL) FROM gap WHERE source = ?
        ORDER BY source_seq + count DESC LIMIT 1
        """)
      try gap.bind(1, info.number)
      var isPruned = false
      if try gap.step(), gap.integer(0) > extent.last {
        (extent.last, isPruned) = (gap.integer(0), gap.integer(1) != 0)
      }
      gap.reset()
      if let known = try completeSources(number: info.number) {
        extent.isComplete = extent.isComplete || known >= extent.last
      } else if isPruned, !isCounted {
        // The pruned events may have included the end, which was not recorded elsewhere then.
        extent.isComplete = true
      }
      return extent
    }
  }

  /// A statement over the totals of workers; `nil` in a log of a later version with a different
  /// table.
  func totals(_ sql: String) throws -> Statement? {
    do {
      return try connection.prepare(sql)
    } catch let error where error.primaryCode == SQLITE_ERROR {
      return nil
    }
  }

  private func completeSources(number: Int64) throws -> Int64? {
    let select = try totals("SELECT complete_to FROM source_total WHERE source = \(number)")
    return try select?.step() == true ? select?.optionalInteger(0) : nil
  }

  /// The sources of a run that are known to be complete although their events do not say so, each
  /// with the source seq of its last event.
  ///
  /// - Throws: `LogError`.
  package func completeSources(of run: RunInfo) throws -> [(source: Int64, last: Int64)] {
    try translating {
      let select = try totals(
        """
        SELECT source, complete_to FROM source_total
        WHERE complete_to IS NOT NULL AND source IN (SELECT id FROM source WHERE run = ?)
        """)
      guard let select else { return [] }
      try select.bind(1, run.number)
      var sources: [(Int64, Int64)] = []
      while try select.step() { sources.append((select.integer(0), select.integer(1))) }
      return sources
    }
  }
}
