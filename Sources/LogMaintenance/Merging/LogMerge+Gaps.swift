import EventLog
import LogFormat

extension LogMerge {
  /// Where segments of one run are combined, events of the previous one are no longer missing; nor
  /// are events that were pruned from one copy of it and not from another.
  func mendGaps(of source: Int64) throws {
    let select = try writer.connection.prepare(
      """
      SELECT id, source_seq, count, time, reason FROM gap
      WHERE source = ? AND (\(RunFiles.isEarlierSQL) OR \(GapReason.isPrunedSQL))
      ORDER BY \(GapReason.isPrunedSQL), source_seq + count DESC, length(reason) DESC, reason DESC
      """)
    let others = try writer.connection.prepare(
      """
      SELECT source_seq, 1 FROM event WHERE source = ?1 AND source_seq BETWEEN ?2 AND ?3
      UNION ALL SELECT source_seq, count FROM gap
      WHERE source = ?1 AND source_seq <= ?3 AND source_seq + count > ?2 AND id != ?4
      ORDER BY 1
      """)
    let delete = try writer.connection.prepare("DELETE FROM gap WHERE id = ?")
    var gaps: [(id: Int64, first: Int64, count: Int64, time: Int64, reason: String)] = []
    try select.bind(1, source)
    while try select.step() {
      gaps.append(
        (
          select.integer(0), select.integer(1), select.integer(2), select.integer(3),
          select.text(4)
        ))
    }
    for gap in gaps {
      let end = gap.first + gap.count
      for (parameter, number) in [source, gap.first, end - 1, gap.id].enumerated() {
        try others.bind(Int32(parameter + 1), number)
      }
      var holes: [(first: Int64, count: Int64)] = []
      var next = gap.first
      while try others.step() {
        let first = others.integer(0)
        if first > next { holes.append((next, first - next)) }
        next = max(next, first + others.integer(1))
      }
      others.reset()
      if next < end { holes.append((next, end - next)) }
      guard holes.count != 1 || holes[0] != (gap.first, gap.count) else { continue }
      try delete.bind(1, gap.id)
      try delete.run()
      for hole in holes {
        try writer.addGap(
          source: source, sourceSeq: hole.first, count: hole.count, time: gap.time,
          reason: gap.reason)
      }
    }
  }

  /// Adds the gaps of a source of a merged log that are not there yet.
  func addGaps(of source: SourceInfo, _ own: Int64, _ reader: LogReader) throws {
    let select = try reader.connection.prepare(
      "SELECT source_seq, count, time, reason FROM gap WHERE source = ? ORDER BY id")
    let find = try writer.connection.prepare(
      "SELECT 1 FROM gap WHERE source = ? AND source_seq = ? AND count = ? AND reason = ?")
    try select.bind(1, source.number)
    while try select.step() {
      defer { find.reset() }
      try find.bind(1, own)
      try find.bind(2, select.integer(0))
      try find.bind(3, select.integer(1))
      try find.bind(4, select.text(3))
      guard try !find.step() else { continue }
      try writer.addGap(
        source: own, sourceSeq: select.integer(0), count: select.integer(1),
        time: select.integer(2), reason: select.text(3))
    }
  }
}
