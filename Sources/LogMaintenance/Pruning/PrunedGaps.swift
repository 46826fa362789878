import EventLog
import LogFormat

/// Inserts gaps in place of deleted events, and joins adjacent ones.
struct PrunedGaps {
  private let findBefore: Statement
  private let findBehind: Statement
  private let extend: Statement
  private let insert: Statement
  private let delete: Statement

  init(_ connection: Connection) throws(SQLiteError) {
    findBefore = try connection.prepare(
      """
      SELECT id, source_seq, count FROM gap WHERE source = ?1 AND source_seq < ?2
        AND \(GapReason.isPrunedSQL) ORDER BY source_seq DESC LIMIT 1
      """)
    findBehind = try connection.prepare(
      """
      SELECT id, count FROM gap WHERE source = ?1 AND source_seq = ?2
        AND \(GapReason.isPrunedSQL) LIMIT 1
      """)
    extend = try connection.prepare("UPDATE gap SET count = ? WHERE id = ?")
    insert = try connection.prepare(
      """
      INSERT INTO gap (source, source_seq, count, time, reason)
      VALUES (?, ?, ?, ?, '\(GapReason.pruned)')
      """)
    delete = try connection.prepare("DELETE FROM gap WHERE id = ?")
  }

  mutating func add(source: Int64, first: Int64, count: Int64) throws(SQLiteError) {
    var count = count
    try findBehind.bind(1, source)
    try findBehind.bind(2, first + count)
    let behind = try findBehind.step() ? (findBehind.integer(0), findBehind.integer(1)) : nil
    findBehind.reset()
    if let behind {
      count += behind.1
      try delete.bind(1, behind.0)
      try delete.run()
    }
    try findBefore.bind(1, source)
    try findBefore.bind(2, first)
    let before =
      try findBefore.step()
      ? (findBefore.integer(0), findBefore.integer(1), findBefore.integer(2)) : nil
    findBefore.reset()
    if let before, before.1 + before.2 == first {
      try extend.bind(1, before.2 + count)
      try extend.bind(2, before.0)
      try extend.run()
      return
    }
    try insert.bind(1, source)
    try insert.bind(2, first)
    try insert.bind(3, count)
    try insert.bind(4, Clock.now())
    try insert.run()
  }
}
