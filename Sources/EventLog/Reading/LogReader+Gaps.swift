/// A known hole: so many events of a source, lost or removed.
public struct GapInfo: Sendable {
  /// The number of the source in the file.
  public var source: Int64
  public var sourceSeq: Int64
  public var count: Int64
  /// Nanoseconds since 1970 UTC, by the clock of the source.
  public var time: Int64
  public var reason: String
}

extension LogReader {
  /// The gaps of a run, by source and then in the order of happening.
  ///
  /// - Throws: `LogError`.
  public func gaps(of run: RunInfo) throws -> [GapInfo] {
    try translating {
      let select = try connection.prepare(
        """
        SELECT gap.source, gap.source_seq, gap.count, gap.time, gap.reason
        FROM gap JOIN source ON source.id = gap.source WHERE source.run = ?
        ORDER BY gap.source, gap.source_seq
        """)
      try select.bind(1, run.number)
      var gaps: [GapInfo] = []
      while try select.step() {
        gaps.append(
          GapInfo(
            source: select.integer(0), sourceSeq: select.integer(1), count: select.integer(2),
            time: select.integer(3), reason: select.text(4)))
      }
      return gaps
    }
  }
}
