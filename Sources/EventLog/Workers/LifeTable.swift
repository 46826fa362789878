import LogFormat
import TaskLogPlugin

/// Writes the table `worker_life`: a row for each worker of a run, identified by the engine's id
/// or, if that is not recorded, by when it joins and leaves.
///
/// From its `first_seq` on, the address means this worker to the scheduler; earlier events about an
/// address belong to the first worker known there.
final class LifeTable {
  private let last: Statement
  private let byServer: Statement
  private let insert: Statement
  private let join: Statement
  private let leave: Statement
  private let know: Statement
  private let end: Statement

  private struct Life {
    var firstSeq: Int64
    var life: Int64
    var serverID: String?
    var hasLeft: Bool
  }

  /// - Throws: `SQLiteError`.
  init(_ connection: Connection) throws {
    let columns = "first_seq, life, server_id, left_ns IS NOT NULL"
    last = try connection.prepare(
      """
      SELECT \(columns) FROM worker_life WHERE run = ? AND worker = ?
      ORDER BY first_seq DESC LIMIT 1
      """)
    byServer = try connection.prepare(
      """
      SELECT \(columns) FROM worker_life WHERE run = ? AND worker = ? AND server_id = ?
      ORDER BY first_seq DESC LIMIT 1
      """)
    insert = try connection.prepare(
      """
      INSERT INTO worker_life (run, worker, first_seq, life, server_id, name, nthreads)
      VALUES (?, ?, ?, ?, ?, ?, ?)
      """)
    join = try connection.prepare(
      """
      UPDATE worker_life SET joined_ns = min(coalesce(joined_ns, ?4), ?4), left_ns = NULL,
        gone_seq = NULL, gone_ns = NULL WHERE run = ?1 AND worker = ?2 AND first_seq = ?3
      """)
    leave = try connection.prepare(
      """
      UPDATE worker_life SET left_ns = ?4, gone_seq = coalesce(gone_seq, ?5),
        gone_ns = coalesce(gone_ns, ?4) WHERE run = ?1 AND worker = ?2 AND first_seq = ?3
      """)
    know = try connection.prepare(
      """
      UPDATE worker_life SET server_id = coalesce(server_id, ?4), name = coalesce(?5, name),
        nthreads = coalesce(max(nthreads, ?6), nthreads, ?6)
      WHERE run = ?1 AND worker = ?2 AND first_seq = ?3
      """)
    end = try connection.prepare(
      """
      UPDATE worker_life SET gone_seq = ?4, gone_ns = ?5
      WHERE run = ?1 AND worker = ?2 AND first_seq = ?3 AND gone_seq IS NULL
      """)
  }

  func add(_ row: DerivedTables.Row) throws {
    guard let address = row.worker else { return }
    let facts = Self.facts(row)
    let serverID = facts?["serverID"]?.string
    let first = try current(row.run, address, serverID, isAdded: true, row.seq)
    try bind(join, row.run, address, first)
    try join.bind(4, row.time)
    try join.run()
    try know(row.run, address, first, serverID, facts)
  }

  func remove(_ row: DerivedTables.Row) throws {
    guard let address = row.worker else { return }
    let first = try current(row.run, address, nil, isAdded: false, row.seq)
    try bind(leave, row.run, address, first)
    try leave.bind(4, row.time)
    try leave.bind(5, row.seq)
    try leave.run()
  }

  /// The workers that were there when a recorder was attached.
  func attach(_ row: DerivedTables.Row) throws {
    guard let snapshot = row.snapshot.flatMap({ try? JSONReader.value($0) }) else { return }
    for facts in snapshot["attach"]?["workers"]?.elements ?? [] {
      guard let address = facts["address"]?.string else { continue }
      let serverID = facts["serverID"]?.string
      let first = try current(row.run, address, serverID, isAdded: false, row.seq)
      try know(row.run, address, first, serverID, facts)
    }
  }

  func setUp(_ row: DerivedTables.Row) throws {
    let first = try current(row.run, row.address, row.serverID, isAdded: false, row.seq)
    try know(row.run, row.address, first, row.serverID, Self.facts(row), name: row.name)
  }

  func tearDown(_ row: DerivedTables.Row, at time: Int64) throws {
    let first = try current(row.run, row.address, row.serverID, isAdded: false, row.seq)
    try bind(end, row.run, row.address, first)
    try end.bind(4, row.seq)
    try end.bind(5, time)
    try end.run()
  }

  // MARK: - Rows

  /// The first event of the worker at an address; the worker is inserted if none is known there.
  private func current(
    _ run: Int64, _ address: String, _ serverID: String?, isAdded: Bool, _ seq: Int64
  ) throws -> Int64 {
    if let serverID, let known = try life(byServer, run, address, serverID) {
      return known.firstSeq
    }
    let latest = try life(last, run, address, nil)
    if let latest {
      let isOther = serverID != nil && latest.serverID != nil
      // Without ids, a worker that joins after another one has left is a different worker.
      let comesAgain = isAdded && latest.hasLeft
      if !isOther, !comesAgain { return latest.firstSeq }
    }
    let first = latest == nil ? 0 : seq
    try bind(insert, run, address, first)
    try insert.bind(4, (latest?.life ?? 0) + 1)
    try insert.bind(5, Self.value(serverID))
    try insert.bind(6, nil as Int64?)
    try insert.bind(7, nil as Int64?)
    try insert.run()
    return first
  }

  private func life(
    _ select: Statement, _ run: Int64, _ address: String, _ serverID: String?
  ) throws -> Life? {
    defer { select.reset() }
    try select.bind(1, run)
    try select.bind(2, address)
    if let serverID { try select.bind(3, serverID) }
    guard try select.step() else { return nil }
    return Life(
      firstSeq: select.integer(0), life: select.integer(1), serverID: select.optionalText(2),
      hasLeft: select.integer(3) != 0)
  }

  private func know(
    _ run: Int64, _ address: String, _ first: Int64, _ serverID: String?, _ facts: Value?,
    name: String? = nil
  ) throws {
    try bind(know, run, address, first)
    try know.bind(4, Self.value(serverID))
    try know.bind(5, Self.value(name ?? facts?["name"].map { JSONWriter.text($0) }))
    try know.bind(6, facts?["nthreads"]?.int)
    try know.run()
  }

  private func bind(
    _ statement: Statement, _ run: Int64, _ address: String, _ first: Int64
  ) throws {
    try statement.bind(1, run)
    try statement.bind(2, address)
    try statement.bind(3, first)
  }

  private static func value(_ text: String?) -> SQLiteValue { text.map(SQLiteValue.text) ?? .null }

  private static func facts(_ row: DerivedTables.Row) -> Value? {
    row.snapshot.flatMap { try? JSONReader.value($0) }?["worker"]
  }
}
