import EventLog
import LogFormat
import TaskLogPlugin

/// Builds a consistent log from salvaged rows: stand-ins for missing rows, gaps for missing events,
/// correct totals and ends.
struct SalvageMending {
  private let connection: Connection
  private let insertGap: Statement
  private var result: LogSalvage.Result

  init(_ connection: Connection, _ result: LogSalvage.Result) throws {
    self.connection = connection
    self.result = result
    insertGap = try connection.prepare(
      "INSERT INTO gap (source, source_seq, count, time, reason) VALUES (?, ?, ?, ?, ?)")
  }

  /// - Parameter nextSeq: the number that the damaged file would have assigned next, 0 if it is
  ///   unknown.
  func mend(nextSeq: Int64) throws -> LogSalvage.Result {
    var mending = self
    try mending.dropPruned()
    try mending.standIn()
    try DerivedTables(connection).rebuild()
    try mending.total()
    try mending.count(nextSeq)
    try StoredTotals.rebuild(connection)
    return mending.result
  }

  /// Pages that the file has freed may still contain rows that were pruned from it.
  private func dropPruned() throws {
    try connection.execute(
      """
      DELETE FROM event WHERE EXISTS (
        SELECT 1 FROM gap WHERE gap.source = event.source AND reason LIKE 'pruned%'
          AND event.source_seq >= gap.source_seq
          AND event.source_seq - gap.source_seq < gap.count)
      """)
  }

  // MARK: - What is gone

  private mutating func standIn() throws {
    let columns = ["hook", "start", "finish", "stimulus", "worker"]
    let named =
      columns.map { "SELECT \($0) AS id FROM event" }
      + ["SELECT prefix FROM key", "SELECT key_group FROM key"]
    try execute(
      """
      INSERT INTO text (id, text)
      SELECT DISTINCT id, '$lost-text-' || id FROM (\(named.joined(separator: " UNION ")))
      WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM text)
      """)
    try execute(
      """
      INSERT INTO key (id, text)
      SELECT DISTINCT key, '$lost-key-' || key FROM event
      WHERE key IS NOT NULL AND key NOT IN (SELECT id FROM key)
      """)
    try addFallbackSources()
  }

  private mutating func execute(_ sql: String) throws {
    try connection.execute(sql)
    result.standIns += Int64(connection.changes)
  }

  /// A missing source belongs to the only run there is, otherwise to a new run.
  private mutating func addFallbackSources() throws {
    let lost = try numbers(
      """
      SELECT DISTINCT source FROM event WHERE source NOT IN (SELECT id FROM source)
      UNION SELECT source FROM gap WHERE source NOT IN (SELECT id FROM source) ORDER BY 1
      """)
    let runs = try numbers("SELECT run FROM source UNION SELECT id FROM run")
    var home: Int64?
    for source in lost {
      let run = try home ?? (runs.count == 1 ? runs[0] : makeRun(nil))
      home = run
      // Hooks that only a scheduler calls identify it.
      let isScheduler =
        try connection.integer(
          """
          SELECT 1 FROM event WHERE source = \(source) AND hook IN (SELECT id FROM text WHERE text IN
            ('start', 'updateGraph', 'addWorker', 'addClient')) LIMIT 1
          """) != nil
      try execute(
        """
        INSERT INTO source (id, run, kind, server_id, address) VALUES (\(source), \(run),
          '\(isScheduler ? "scheduler" : "worker")', '$lost-source-\(source)', '$lost-\(source)')
        """)
    }
    for run in try numbers("SELECT DISTINCT run FROM source WHERE run NOT IN (SELECT id FROM run)")
    {
      _ = try makeRun(run)
    }
  }

  private func numbers(_ sql: String) throws -> [Int64] {
    let select = try connection.prepare(sql)
    var numbers: [Int64] = []
    while try select.step() { numbers.append(select.integer(0)) }
    return numbers
  }

  private mutating func makeRun(_ number: Int64?) throws -> Int64 {
    let insert = try connection.prepare(
      """
      INSERT INTO run (id, uuid, engine, engine_version, recorder_version, mode, started, metadata)
      VALUES (?, ?, '$lost', '', '', 'hooks', 0, '{"$lost": true}') RETURNING id
      """)
    try insert.bind(1, number)
    try insert.bind(2, RunID.make())
    try insert.step()
    result.standIns += 1
    return insert.integer(0)
  }

  // MARK: - What is missing

  private mutating func total() throws {
    for source in try numbers("SELECT id FROM source ORDER BY id") { try fillHoles(of: source) }
    for run in try numbers("SELECT id FROM run ORDER BY id") { try total(run) }
  }

  private mutating func fillHoles(of source: Int64) throws {
    let select = try connection.prepare(
      """
      SELECT source_seq, 1 FROM event WHERE source = ?1
      UNION ALL SELECT source_seq, count FROM gap WHERE source = ?1 AND count > 0
      ORDER BY source_seq
      """)
    try select.bind(1, source)
    var next: Int64 = 1
    var holes: [(first: Int64, count: Int64)] = []
    while try select.step() {
      let first = select.integer(0)
      if first > next { holes.append((next, first - next)) }
      next = max(next, first + select.integer(1))
    }
    try addGaps(source, holes)
    // What its totals say and no hole accounts for was last.
    let found =
      try connection.integer("SELECT count(*) FROM event WHERE source = \(source)") ?? 0
    let said =
      try connection.integer("SELECT events FROM source_total WHERE source = \(source)") ?? 0
    let lost = said - found - holes.reduce(0) { $0 + $1.count }
    if lost > 0 { try addGaps(source, [(next, lost)]) }
  }

  private mutating func addGaps(_ source: Int64, _ gaps: [(first: Int64, count: Int64)]) throws {
    guard !gaps.isEmpty else { return }
    let last = try connection.integer("SELECT max(time) FROM event WHERE source = \(source)")
    for gap in gaps {
      for (index, number) in [source, gap.first, gap.count, last ?? 0].enumerated() {
        try insertGap.bind(Int32(index + 1), number)
      }
      try insertGap.bind(5, LogSalvage.reason)
      try insertGap.run()
      result.missing += gap.count
    }
  }

  private mutating func total(_ run: Int64) throws {
    let sources = "(SELECT id FROM source WHERE run = \(run))"
    let claimed = try connection.integer("SELECT events FROM run WHERE id = \(run)") ?? 0
    let found =
      try connection.integer("SELECT count(*) FROM event WHERE source IN \(sources)") ?? 0
    let lost =
      try connection.integer(
        """
        SELECT coalesce(sum(count), 0) FROM gap WHERE source IN \(sources)
          AND reason = '\(LogSalvage.reason)'
        """) ?? 0
    // Events that the run's total includes and no hole accounts for came last; of which source, is
    // unknown.
    if claimed > found + lost,
      let source = try connection.integer(
        "SELECT id FROM source WHERE run = \(run) ORDER BY kind, id LIMIT 1")
    {
      let last = try LastSourceSeq.value(of: source, in: connection)
      try addGaps(source, [(last + 1, claimed - found - lost)])
    }
    try connection.execute(
      """
      UPDATE run SET events = \(found), spool_position = NULL,
        first_seq = (SELECT min(seq) FROM event WHERE source IN \(sources)),
        last_seq = (SELECT max(seq) FROM event WHERE source IN \(sources)),
        started = CASE WHEN started > 0 THEN started ELSE
          coalesce((SELECT min(time) FROM event WHERE source IN \(sources)), 0) END
      WHERE id = \(run);
      UPDATE run SET end = 'died', ended = coalesce((\(RunEnd.timeOfLastEventSQL)), started)
      WHERE id = \(run) AND (end IS NULL OR ended IS NULL);
      """)
    result.runs += 1
    result.events += found
  }

  /// Numbers of the file are never reused. Those of lost events are accounted for by gaps: of which source
  /// they were is unknown if its row and its totals are lost, too.
  private mutating func count(_ nextSeq: Int64) throws {
    let last = try connection.integer("SELECT max(seq) FROM event") ?? 0
    if let first = try connection.integer("SELECT min(seq) FROM event"),
      let source = try connection.integer(
        "SELECT id FROM source ORDER BY run DESC, kind, id LIMIT 1")
    {
      let found = try connection.integer("SELECT count(*) FROM event") ?? 0
      let recorded =
        try connection.integer(
          "SELECT coalesce(sum(count), 0) FROM gap WHERE \(GapReason.leavesSeqsSQL)") ?? 0
      let lost = max(nextSeq - 1, last) - first + 1 - found - recorded
      let end = try LastSourceSeq.value(of: source, in: connection)
      if lost > 0, lost < 1 << 48 { try addGaps(source, [(end + 1, lost)]) }
    }
    try connection.execute(
      "UPDATE meta SET value = \(max(nextSeq, last + 1)) WHERE name = 'next_seq'")
  }
}

extension GapReason {
  /// Whether the events of a gap may have been in the log, and so may have left seqs without an event.
  static let leavesSeqsSQL = """
    (\(isPrunedSQL) OR \(RunFiles.isEarlierSQL)
      OR reason IN ('\(LogSalvage.reason)', '\(lostInSpool)', '\(lostInDeath)'))
    """
}
