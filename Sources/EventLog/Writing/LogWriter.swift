import CSQLite
import TaskLogPlugin

/// What is known of a run when it begins.
public struct RunHeader: Sendable {
  /// UUIDv7, from `RunID.make()`.
  public var id: String
  public var engine: String
  public var engineVersion: String
  public var recorderVersion: String
  /// `full` when all marks are recorded, `hooks` when only public hooks are.
  public var mode: String
  /// Nanoseconds since 1970 UTC.
  public var started: Int64
  public var metadata: Value

  public init(
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

/// Writes into a log, from one thread at a time. Any number of writers may share a file; each holds
/// the lock for one transaction.
public final class LogWriter {
  public let path: String
  let connection: Connection
  private var texts: InternTable<ExactText>
  private var keys: InternTable<Key>
  private var hooks: [Hook: Int64] = [:]
  private var states: [State: Int64] = [:]
  private var json: JSONWriter
  private let insertEvent: Statement
  private let insertGap: Statement
  private let readMeta: Statement
  private let writeMeta: Statement
  private let extendRun: Statement
  private let readRunOfSource: Statement
  private var generation: Int64 = 0

  /// The number of the next event, while a transaction is open.
  private var nextSeq: Int64 = 0
  /// The run of each source that this writer has put in or looked up.
  private var runOfSource: [Int64: Int64] = [:]
  /// What the open transaction has added, by run.
  private var extents: [Int64: Extent] = [:]

  /// Opens a log, makes it where there is none, and brings an older one up to date.
  ///
  /// - Throws: `LogError`.
  public init(path: String) throws {
    self.path = path
    connection = try LogFile.openForWriting(path)
    do {
      texts = try InternTable(
        connection, limit: 1 << 19, find: "SELECT id FROM text WHERE text = ?",
        insert: "INSERT INTO text (text) VALUES (?) RETURNING id"
      ) { try $0.bind(1, $1.text) }
      keys = try InternTable(
        connection, limit: 1 << 20, find: "SELECT id FROM key WHERE text = ? AND typed = ?",
        insert: """
          INSERT INTO key (text, typed, prefix, key_group) VALUES (?, ?, ?, ?) RETURNING id
          """
      ) {
        try $0.bind(1, $1.text)
        try $0.bind(2, $1.typed)
      }
      insertEvent = try connection.prepare(Self.insertEventSQL)
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
      json = try Self.makeJSONWriter(connection)
    } catch let error as SQLiteError {
      throw LogError(error, path: path)
    }
  }

  /// The statement by which events are written; also what a benchmark measures against.
  public static let insertEventSQL = """
    INSERT INTO event (seq, source, source_seq, time, hook, key, start, finish, stimulus, worker,
      task_run, args, snapshot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    """

  private static func makeJSONWriter(_ connection: Connection) throws -> JSONWriter {
    let insert = try connection.prepare("INSERT OR IGNORE INTO blob (hash, bytes) VALUES (?, ?)")
    return JSONWriter { bytes in
      guard bytes.count > 256 else { return nil }
      let hash = SHA256.hash(bytes)
      try insert.bind(1, hash)
      try insert.bind(2, blob: bytes)
      try insert.run()
      return hash
    }
  }

  // MARK: - Transactions

  /// Runs a body in one transaction; on an error nothing of it is in the file.
  ///
  /// - Throws: `SQLiteError`, or what the body throws.
  public func transaction<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try connection.transaction {
        try forgetWhatWasPruned()
        nextSeq = try readNextSeq()
        let before = nextSeq
        extents.removeAll(keepingCapacity: true)
        let result = try body()
        if nextSeq != before { try setMeta("next_seq", nextSeq) }
        for (run, extent) in extents {
          try extendRun.bind(1, extent.first)
          try extendRun.bind(2, extent.last)
          try extendRun.bind(3, run)
          try extendRun.bind(4, extent.count)
          try extendRun.run()
        }
        return result
      }
    } catch {
      // Numbers that were given out in this transaction are not in the file.
      forgetNumbers()
      throw error
    }
  }

  /// The number of the next event, which must be free: a file that was changed by hand or damaged
  /// would otherwise refuse every event from now on.
  private func readNextSeq() throws -> Int64 {
    let last = try connection.integer("SELECT max(seq) FROM event") ?? 0
    let next = try meta("next_seq")
    guard max(last, next) < .max >> 1 else {
      throw LogError.damaged(path: path, reason: "its events have no numbers left")
    }
    return max(last + 1, next)
  }

  private func forgetWhatWasPruned() throws {
    let found = try meta("intern_generation")
    if found != generation { forgetNumbers() }
    generation = found
  }

  private func forgetNumbers() {
    texts.forgetAll()
    keys.forgetAll()
    hooks.removeAll(keepingCapacity: true)
    states.removeAll(keepingCapacity: true)
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

  /// Puts in a run; inside a transaction. Gives its number in this file.
  public func add(_ header: RunHeader) throws -> Int64 {
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
    return insert.integer(0)
  }

  /// Puts in a source; inside a transaction. Gives its number in this file.
  ///
  /// - Parameter number: its number within the recorder's spool.
  public func add(_ source: Source, run: Int64, number: Int? = nil) throws -> Int64 {
    let insert = try connection.prepare(
      """
      INSERT INTO source (run, kind, server_id, address, name, number) VALUES (?, ?, ?, ?, ?, ?)
      RETURNING id
      """)
    try insert.bind(1, run)
    try insert.bind(2, source.kind.rawValue)
    try insert.bind(3, source.id)
    try insert.bind(4, source.address)
    try insert.bind(5, JSONWriter.text(source.name))
    try insert.bind(6, number.map(Int64.init))
    try insert.step()
    let id = insert.integer(0)
    runOfSource[id] = run
    return id
  }

  /// Puts in an event; inside a transaction.
  public func append(_ event: Event, source: Int64, sourceSeq: Int64) throws {
    let statement = insertEvent
    try statement.bind(1, nextSeq)
    try statement.bind(2, source)
    try statement.bind(3, sourceSeq)
    try statement.bind(4, event.time)
    try statement.bind(5, id(event.hook))
    try statement.bind(6, event.key.map { try id($0) })
    try statement.bind(7, event.start.map { try id($0) })
    try statement.bind(8, event.finish.map { try id($0) })
    try statement.bind(9, event.stimulusID.map { try texts.id(ExactText(text: $0)) })
    try statement.bind(10, event.worker.map { try texts.id(ExactText(text: $0)) })
    try statement.bind(11, event.taskRunID)
    try bindArgs(event.args)
    try bindSnapshot(event.snapshot)
    try statement.run()
    let run = try runOfSource[source] ?? lookUpRun(ofSource: source)
    extents[run, default: Extent(first: nextSeq, last: nextSeq, count: 0)].add(nextSeq)
    nextSeq += 1
  }

  /// What a transaction has added to a run.
  private struct Extent {
    var first: Int64
    var last: Int64
    var count: Int64

    mutating func add(_ seq: Int64) {
      last = seq
      count += 1
    }
  }

  /// A source that another writer put in, or this one before something was rolled back.
  private func lookUpRun(ofSource source: Int64) throws -> Int64 {
    defer { readRunOfSource.reset() }
    try readRunOfSource.bind(1, source)
    guard try readRunOfSource.step() else {
      throw LogError.damaged(path: path, reason: "source \(source) is not in it")
    }
    let run = readRunOfSource.integer(0)
    runOfSource[source] = run
    return run
  }

  private func bindArgs(_ args: Args) throws {
    guard !args.isEmpty else { return try insertEvent.bind(12, nil) }
    json.removeAll()
    try json.write(args)
    try insertEvent.bind(12, text: json.output)
  }

  private func bindSnapshot(_ snapshot: Snapshot) throws {
    guard let value = snapshot.value else { return try insertEvent.bind(13, nil) }
    json.removeAll()
    try json.write(value)
    try insertEvent.bind(13, text: json.output)
  }

  private func id(_ key: Key) throws -> Int64 {
    try keys.id(key) { insert, key in
      try insert.bind(3, texts.id(ExactText(text: key.prefix)))
      try insert.bind(4, texts.id(ExactText(text: key.group)))
    }
  }

  private func id(_ hook: Hook) throws -> Int64 {
    // Names that this version does not know are equal as text only when their bytes are.
    if case .other(let name) = hook { return try texts.id(ExactText(text: name)) }
    if let id = hooks[hook] { return id }
    let id = try texts.id(ExactText(text: hook.name))
    hooks[hook] = id
    return id
  }

  private func id(_ state: State) throws -> Int64 {
    if case .other(let name) = state { return try texts.id(ExactText(text: name)) }
    if let id = states[state] { return id }
    let id = try texts.id(ExactText(text: state.name))
    states[state] = id
    return id
  }

  /// Writes down a hole: so many events of a source from a number on; inside a transaction.
  public func addGap(
    source: Int64, sourceSeq: Int64, count: Int64, time: Int64, reason: String
  ) throws {
    try insertGap.bind(1, source)
    try insertGap.bind(2, sourceSeq)
    try insertGap.bind(3, count)
    try insertGap.bind(4, time)
    try insertGap.bind(5, reason)
    try insertGap.run()
  }

  /// Notes how a run has ended; inside a transaction.
  public func end(run: Int64, _ end: RunEnd, at time: Int64) throws {
    let update = try connection.prepare("UPDATE run SET ended = ?, end = ? WHERE id = ?")
    try update.bind(1, time)
    try update.bind(2, end == .died ? "died" : "closed")
    try update.bind(3, run)
    try update.run()
  }

  /// Leaves one file without a WAL when no one else has the log open; with others on it, the last
  /// one does. https://sqlite.org/wal.html#read_only_databases
  public func close() {
    buildIndexesOfSmallLog()
    try? connection.checkpoint()
    sqlite3_busy_timeout(connection.handle, 0)
    try? connection.execute("PRAGMA journal_mode = DELETE")
  }
}
