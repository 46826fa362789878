import EventLog
import LogFormat

/// Deletes events of one run after the other, with all that a log says of them elsewhere.
final class RunRemoval {
  private let connection: Connection
  private let select: Statement
  private let selectSources: Statement
  private let delete: Statement
  private let deleteMoves: Statement
  private let count: Statement
  private let selectExtent: Statement
  private let updateExtent: Statement
  private var totals: TotalsRemoval
  private var gaps: PrunedGaps
  private var run: Int64 = 0
  private var sources: Set<Int64> = []

  init(_ connection: Connection) throws {
    self.connection = connection
    select = try connection.prepare(
      """
      SELECT seq, source, source_seq, key, hook FROM event WHERE seq > ? AND seq <= ?
      ORDER BY seq LIMIT ?
      """)
    selectSources = try connection.prepare("SELECT id FROM source WHERE run = ?")
    delete = try connection.prepare("DELETE FROM event WHERE seq = ?")
    deleteMoves = try connection.prepare(
      """
      DELETE FROM task_move WHERE seq BETWEEN ? AND ?
        AND NOT EXISTS (SELECT 1 FROM event WHERE event.seq = task_move.seq)
      """)
    count = try connection.prepare("UPDATE run SET events = events - ? WHERE id = ?")
    selectExtent = try connection.prepare("SELECT min(seq), max(seq) FROM event WHERE source = ?")
    updateExtent = try connection.prepare(
      "UPDATE run SET first_seq = ?, last_seq = ? WHERE id = ?")
    totals = try TotalsRemoval(connection)
    gaps = try PrunedGaps(connection)
  }

  /// Begins with another run, of which no event was removed.
  func begin(_ run: RunInfo) throws {
    self.run = run.number
    totals.begin(run)
    sources = []
    try selectSources.bind(1, run.number)
    defer { selectSources.reset() }
    while try selectSources.step() { sources.insert(selectSources.integer(0)) }
  }

  private struct Row {
    var seq: Int64
    var source: Int64
    var sourceSeq: Int64
  }

  /// Deletes some events; inside a transaction.
  ///
  /// - Returns: the number of the last event that was seen, or `last` if none follows; how many
  ///   were seen, and how many removed.
  func remove(
    after position: Int64, through last: Int64, limit: Int64, except kept: FailureRetention?
  ) throws -> (position: Int64, seen: Int64, removed: Int64) {
    var (position, seen, rows) = (position, Int64(0), [Row]())
    try select.bind(1, position)
    try select.bind(2, last)
    try select.bind(3, limit)
    defer { select.reset() }
    while try select.step() {
      seen += 1
      position = select.integer(0)
      guard sources.contains(select.integer(1)) else { continue }
      if let kept, kept.keeps(key: select.optionalInteger(3), hook: select.integer(4)) { continue }
      rows.append(Row(seq: position, source: select.integer(1), sourceSeq: select.integer(2)))
    }
    select.reset()
    try remove(rows)
    return (seen < limit ? last : position, seen, Int64(rows.count))
  }

  private func remove(_ rows: [Row]) throws {
    guard !rows.isEmpty else { return }
    for row in rows {
      try totals.remove(row.seq)
      try delete.bind(1, row.seq)
      try delete.run()
    }
    try deleteMoves.bind(1, rows[0].seq)
    try deleteMoves.bind(2, rows[rows.count - 1].seq)
    try deleteMoves.run()
    try totals.finish()
    try addGaps(rows.sorted { ($0.source, $0.sourceSeq) < ($1.source, $1.sourceSeq) })
    try count.bind(1, Int64(rows.count))
    try count.bind(2, run)
    try count.run()
  }

  private func addGaps(_ sorted: [Row]) throws {
    var start = 0
    for index in 1...sorted.count {
      if index < sorted.count, sorted[index].source == sorted[start].source,
        sorted[index].sourceSeq == sorted[index - 1].sourceSeq + 1
      {
        continue
      }
      try gaps.add(
        source: sorted[start].source, first: sorted[start].sourceSeq, count: Int64(index - start))
      start = index
    }
  }

  /// Updates the range of the numbers of the remaining events; inside a transaction.
  func end() throws {
    var (first, last): (Int64?, Int64?)
    for source in sources {
      defer { selectExtent.reset() }
      try selectExtent.bind(1, source)
      guard try selectExtent.step(), let low = selectExtent.optionalInteger(0),
        let high = selectExtent.optionalInteger(1)
      else { continue }
      first = min(first ?? low, low)
      last = max(last ?? high, high)
    }
    try updateExtent.bind(1, first)
    try updateExtent.bind(2, last)
    try updateExtent.bind(3, run)
    try updateExtent.run()
  }
}
