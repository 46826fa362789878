import CSQLite
import Glibc
import LogFormat
import TaskLogPlugin

/// What is known about a run when it starts.
package struct RunHeader: Sendable {
  /// UUIDv7, from `RunID.make()`.
  package var id: String
  package var engine: String
  package var engineVersion: String
  package var recorderVersion: String
  /// `full` if all marks are recorded, `hooks` if only public hooks are.
  package var mode: String
  /// Nanoseconds since 1970 UTC.
  package var started: Int64
  package var metadata: Value

  package init(
    id: String, engine: String, engineVersion: String, recorderVersion: String, mode: String,
    started: Int64, metadata: Value = .dict([])
  ) {
    self.id = id
    self.engine = engine
    self.engineVersion = engineVersion
    self.recorderVersion = recorderVersion
    self.mode = mode
    self.started = started
    self.metadata = metadata
  }
}

/// Writes to a log, from one thread at a time. Any number of writers may share a file; each holds
/// the lock for one transaction.
package final class LogWriter {
  package let path: String
  package let connection: Connection
  let identity: (device: dev_t, inode: ino_t)
  private let inserter: EventInserter
  private let totals: WorkerTotals
  private let eventTotals: EventTotals
  package let internTotals: InternTotals
  /// Buffer to encode an event that does not come from a spool.
  private var scratch = MessagePackWriter()
  private let insertGap: Statement
  private let readMeta: Statement
  private let writeMeta: Statement
  private let extendRun: Statement
  private let readRunOfSource: Statement
  private let readSchemaVersion: Statement
  /// The schema that was checked: https://sqlite.org/pragma.html#pragma_schema_version
  private var checkedSchema: Int64?
  private var generation: Int64 = 0

  /// The seq of the next event, while a transaction is open.
  private var nextSeq: Int64 = 0
  /// The last seq that was assigned in the log when the last transaction was committed.
  package private(set) var committedSeq: Int64 = 0
  /// The run of each source that this writer has inserted or looked up.
  private var runOfSource: [Int64: Int64] = [:]
  /// What the open transaction has added to each run, and to the run of the last event.
  private var extents: [Int64: Extent] = [:]
  private var extent = Extent(run: 0)
  private var lastSource: Int64?
  private var lastRun: Int64 = 0

  /// Opens a log, creates it if it does not exist, and migrates an older one.
  ///
  /// - Throws: `LogError`.
  package init(path: String) throws {
    self.path = path
    connection = try LogFile.openForWriting(path)
    var status = stat()
    stat(path, &status)
    identity = (status.st_dev, status.st_ino)
    do {
      inserter = try EventInserter(connection)
      totals = try WorkerTotals(connection)
      eventTotals = try EventTotals(connection)
      internTotals = try InternTotals(connection)
      insertGap = try connection.prepare(
        "INSERT INTO gap (source, source_seq, count, time, reason) VALUES (?, ?, ?, ?, ?)")
      readMeta = try connection.prepare("SELECT value FROM meta WHERE name = ?")
      writeMeta = try connection.prepare("UPDATE meta SET value = ? WHERE name = ?")
      extendRun = try connection.prepare(
        """
        UPDATE run SET first_seq = min(coalesce(first_seq, ?1), ?1),
          last_seq = max(coalesce(last_seq, ?2), ?2), events = events + ?4 WHERE id = ?3
        """)
      readRunOfSource = try connection.prepare("SELECT run FROM source WHERE id = ?")
      readSchemaVersion = try connection.prepare("PRAGMA schema_version")
    } catch let error as SQLiteError {
      throw LogError(error, path: path)
    }
  }

  /// The statement that inserts events; also the baseline of a benchmark.
  package static let insertEventSQL = """
    INSERT INTO event (seq, source, source_seq, time, hook, key, start, finish, stimulus, worker,
      task_run, args, snapshot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    """

  // MARK: - Transactions

  /// Runs a body in one transaction; after an error none of it is in the file.
  ///
  /// - Parameter synced: whether the commit must be on disk when this returns, instead of some time
  ///   later: https://sqlite.org/pragma.html#pragma_synchronous
  /// - Throws: `SQLiteError`, or what the body throws.
  package func transaction<Result>(
    synced: Bool = false, _ body: () throws -> Result
  ) throws -> Result {
    if synced { try connection.execute("PRAGMA synchronous = FULL") }
    defer { if synced { try? connection.execute("PRAGMA synchronous = NORMAL") } }
    do {
      let result = try connection.transaction {
        try checkSchema()
        try forgetPruned()
        nextSeq = try readNextSeq()
        let before = nextSeq
        try internTotals.begin()
        extents.removeAll(keepingCapacity: true)
        extent = Extent(run: 0)
        let result = try body()
        try flush()
        try internTotals.finish()
        if nextSeq != before { try setMeta("next_seq", nextSeq) }
        return result
      }
      committedSeq = nextSeq - 1
      return result
    } catch {
      // Row IDs that were assigned in this transaction are not in the file.
      forgetNumbers()
      throw error
    }
  }

  /// Writes the events and counts that were gathered in the open transaction, for statements in it that
  /// read them.
  package func flush() throws {
    try inserter.flush()
    try totals.flush()
    try eventTotals.flush()
    changeExtent(to: 0)
    for (run, extent) in extents {
      try extendRun.bind(1, extent.first)
      try extendRun.bind(2, extent.last)
      try extendRun.bind(3, run)
      try extendRun.bind(4, extent.count)
      try extendRun.run()
    }
    extents.removeAll(keepingCapacity: true)
  }

  /// Others may have changed the schema since the last transaction; none does during this one.
  private func checkSchema() throws {
    defer { readSchemaVersion.reset() }
    guard try readSchemaVersion.step() else { return }
    let schema = readSchemaVersion.integer(0)
    guard schema != checkedSchema else { return }
    try LogFile.checkSchema(
      connection, path, of: Int64(LogFile.newestVersion), isWriting: true)
    checkedSchema = schema
  }

  /// The seq of the next event, which must be free: a file that was edited by hand or damaged would
  /// otherwise reject every event from now on.
  private func readNextSeq() throws -> Int64 {
    let last = try connection.integer("SELECT max(seq) FROM event") ?? 0
    let next = try meta("next_seq")
    guard max(last, next) < .max >> 1 else {
      throw LogError.damaged(path: path, reason: "its events have no numbers left")
    }
    return max(last + 1, next)
  }

  private func forgetPruned() throws {
    let found = try meta("intern_generation")
    if found != generation { forgetNumbers() }
    generation = found
  }

  /// Inherits the large values of the previous segment, which events of this one may refer to.
  package func inheritBlobs(from other: LogWriter) { inserter.inheritBlobs(from: other.inserter) }

  private func forgetNumbers() {
    inserter.forgetNumbers()
    totals.forget()
    eventTotals.forget()
    lastSource = nil
    runOfSource.removeAll(keepingCapacity: true)
  }

  private func meta(_ name: String) throws -> Int64 {
    defer { readMeta.reset() }
    try readMeta.bind(1, name)
    guard try readMeta.step() else {
      throw LogError.damaged(path: path, reason: "meta has no '\(name)'")
    }
    return readMeta.integer(0)
  }

  private func setMeta(_ name: String, _ value: Int64) throws {
    try writeMeta.bind(1, value)
    try writeMeta.bind(2, name)
    try writeMeta.run()
  }

  // MARK: - Rows

  /// Inserts a run and returns its row ID in this file; inside a transaction.
  package func add(_ header: RunHeader) throws -> Int64 {
    let insert = try connection.prepare(
      """
      INSERT INTO run (uuid, engine, engine_version, recorder_version, mode, started, metadata)
      VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id
      """)
    try insert.bind(1, header.id)
    try insert.bind(2, header.engine)
    try insert.bind(3, header.engineVersion)
    try insert.bind(4, header.recorderVersion)
    try insert.bind(5, header.mode)
    try insert.bind(6, header.started)
    try insert.bind(7, JSONWriter.text(header.metadata))
    try insert.step()
    let run = insert.integer(0)
    try connection.execute("INSERT OR REPLACE INTO run_total (run) VALUES (\(run))")
    return run
  }

  /// Inserts a source and returns its row ID in this file; inside a transaction.
  ///
  /// - Parameter number: its number within the recorder's spool.
  package func add(_ source: Source, run: Int64, number: Int? = nil) throws -> Int64 {
    let insert = try connection.prepare(
      """
      INSERT INTO source (run, kind, server_id, address, name, number) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (run, server_id) DO NOTHING
      """)
    try insert.bind(1, run)
    try insert.bind(2, source.kind.rawValue)
    try insert.bind(3, source.id)
    try insert.bind(4, source.address)
    try insert.bind(5, JSONWriter.text(source.name))
    try insert.bind(6, number.map(Int64.init))
    try insert.run()
    guard connection.changes == 1 else {
      // Ids are chosen by the host. Two sources with the same id are kept apart instead of refused.
      var other = source
      other.id += "#" + (number.map(String.init) ?? "again")
      return try add(other, run: run, number: number)
    }
    let id = connection.lastInsertRowID
    runOfSource[id] = run
    return id
  }

  /// Inserts an event; inside a transaction.
  package func append(_ event: Event, source: Int64, sourceSeq: Int64) throws {
    scratch.removeAll()
    scratch.write(event, number: 0, sourceSeq: sourceSeq)
    guard case .event(_, _, let encoded) = try SpoolRecord(scratch.bytes) else { return }
    try append(encoded, source: source, sourceSeq: sourceSeq)
  }

  /// Inserts an event of another log; inside a transaction. Values that its tasks share stay
  /// shared.
  package func append(copyOf event: Event, source: Int64, sourceSeq: Int64) throws {
    let args = event.args.encoded
    var snapshot: EncodedJSON?
    if case .encoded(let json) = event.snapshot { snapshot = json }
    guard [args, snapshot].contains(where: { $0?.text.contains("\"$shared\":") == true }) else {
      return try append(event, source: source, sourceSeq: sourceSeq)
    }
    var bare = event
    (bare.args, bare.snapshot) = (.none, .none)
    scratch.removeAll()
    scratch.write(bare, number: 0, sourceSeq: sourceSeq)
    guard case .event(_, _, let encoded) = try SpoolRecord(scratch.bytes) else { return }
    for json in [args, snapshot].compactMap({ $0 }) { try inserter.copyBlobs(of: json) }
    // Bytes are passed to SQLite as they are, without a copy.
    let texts = [args, snapshot].map { $0.map { Array($0.text.utf8) } }
    func with(_ place: Int, _ body: (UnsafeRawBufferPointer?) throws -> Void) rethrows {
      guard let text = texts[place] else { return try body(nil) }
      try text.withUnsafeBytes { try body($0) }
    }
    try with(0) { args in
      try with(1) { snapshot in
        try append(
          encoded, texts: CachedJSON(args: args, snapshot: snapshot), source: source,
          sourceSeq: sourceSeq)
      }
    }
  }

  /// Inserts an event in the format of a spool; inside a transaction, and at the latest at its end.
  ///
  /// - Throws: `MessagePackError` if the event cannot be read, in which case nothing of it is in
  ///   the log; `SQLiteError`.
  package func append(_ event: EncodedEvent, source: Int64, sourceSeq: Int64) throws {
    try append(event, texts: nil, source: source, sourceSeq: sourceSeq)
  }

  /// The same for an event whose args and snapshot are JSON in the log's format already.
  @inline(__always)
  package func append(
    _ event: EncodedEvent, texts: CachedJSON?, source: Int64, sourceSeq: Int64
  ) throws {
    try inserter.insert(
      event, seq: nextSeq, source: source, sourceSeq: sourceSeq, texts: texts)
    try totals.take(inserter.news, source: source, seq: nextSeq)
    try eventTotals.count(inserter.measure, source: source, seq: nextSeq)
    if lastSource != source {
      lastRun = try runOfSource[source] ?? findRun(ofSource: source)
      lastSource = source
    }
    if extent.run != lastRun { changeExtent(to: lastRun) }
    extent.last = nextSeq
    extent.count += 1
    nextSeq += 1
  }

  /// Numbers the following events from this seq on, unless it is in use; inside a transaction.
  package func reserveSeq(from seq: Int64) { nextSeq = max(nextSeq, seq) }

  /// The seq that the next event gets.
  ///
  /// - Throws: `SQLiteError`, `LogError`.
  package func nextNumber() throws -> Int64 { try readNextSeq() }

  /// Inserts the pending rows, so that queries within a transaction see them.
  func flushRows() throws { try inserter.flush() }

  /// What a transaction has added to a run.
  private struct Extent {
    var run: Int64
    var first: Int64 = 0
    var last: Int64 = 0
    var count: Int64 = 0
  }

  /// Events of several runs may alternate; mostly they are all of one run.
  private func changeExtent(to run: Int64) {
    if extent.count > 0 { extents[extent.run] = extent }
    extent = extents[run] ?? Extent(run: run, first: nextSeq)
  }

  /// Finds a source that another writer inserted, or this one before a rollback.
  private func findRun(ofSource source: Int64) throws -> Int64 {
    defer { readRunOfSource.reset() }
    try readRunOfSource.bind(1, source)
    guard try readRunOfSource.step() else {
      throw LogError.damaged(path: path, reason: "source \(source) is not in it")
    }
    let run = readRunOfSource.integer(0)
    runOfSource[source] = run
    return run
  }

  /// Records a gap: a number of lost events of a source from a seq on; inside a transaction.
  package func addGap(
    source: Int64, sourceSeq: Int64, count: Int64, time: Int64, reason: String
  ) throws {
    try insertGap.bind(1, source)
    try insertGap.bind(2, sourceSeq)
    try insertGap.bind(3, count)
    try insertGap.bind(4, time)
    try insertGap.bind(5, reason)
    try insertGap.run()
  }

  /// Records how a run has ended; inside a transaction.
  package func end(run: Int64, _ end: RunEnd, at time: Int64) throws {
    let update = try connection.prepare("UPDATE run SET ended = ?, end = ? WHERE id = ?")
    try update.bind(1, time)
    try update.bind(2, end == .died ? "died" : "closed")
    try update.bind(3, run)
    try update.run()
  }

  /// Leaves a single file without a WAL if no other connection has the log open; otherwise, the
  /// last connection does. https://sqlite.org/wal.html#read_only_databases
  ///
  /// - Parameter isIndexing: whether a small log gets the indexes that speed up queries.
  package func close(isIndexing: Bool = true) {
    if isIndexing { buildIndexesOfSmallLog() }
    WALPolicy.end(connection)
  }
}

extension LogWriter {
  /// Waits for other writers until the patience runs out.
  package func wait(with patience: LockPatience) { connection.wait(with: patience) }
}
