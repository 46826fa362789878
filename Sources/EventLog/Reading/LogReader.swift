import CSQLite
import LogFormat
import Synchronization
import TaskLogPlugin

/// Reads a log, live or finished, from one thread at a time. Never writes to it.
public final class LogReader {
  public let path: String
  /// The name shown to users: its path, unless it stands for other logs.
  public let name: String
  /// The number of logs it was merged from.
  package let originCount: Int
  package let connection: Connection
  package let blobs: LogBlobs
  package let keys: InternCache<Key>
  package let texts: InternCache<String>
  var hasDerivedTables = false
  /// The number of SQL functions that select tasks.
  var selectionCount = 0

  /// Opens a log for reading.
  ///
  /// - Throws: `LogError`.
  public convenience init(path: String) throws { try self.init(path: path, name: nil) }

  /// - Parameters:
  ///   - name: the name shown to users; by default its path.
  ///   - originCount: the number of logs it was merged from.
  ///   - keptKeys: the approximate number of keys kept in memory; fewer are slower if events that
  ///     are far apart in the log have the same key.
  /// - Throws: `LogError`.
  package init(
    path: String, name: String?, originCount: Int = 1, keptKeys: Int = 1 << 17
  ) throws {
    self.path = path
    self.originCount = originCount
    self.name = name ?? path
    let connection = try LogFile.openForReading(path)
    self.connection = connection
    connection.addRegularExpressions()
    blobs = LogBlobs(path: path)
    connection.addArgs(blobs)
    do {
      let selectKeys = try connection.prepare(
        "SELECT id, text, typed FROM key WHERE id >= ? AND id < ?")
      keys = InternCache(kept: keptKeys) { first, end, give in
        defer { selectKeys.reset() }
        try selectKeys.bind(1, first)
        try selectKeys.bind(2, end)
        // Keys of one `map` are adjacent, and share a name.
        var last: Key?
        while try selectKeys.step() {
          let key =
            selectKeys.withText(2) { typed in
              selectKeys.withText(1) { Key(text: $0, typed: typed, after: last) } ?? nil
            } ?? nil
          last = key
          give(
            selectKeys.integer(0),
            key ?? Key(text: selectKeys.text(1), typed: selectKeys.text(2)))
        }
      }
      let selectTexts = try connection.prepare("SELECT id, text FROM text WHERE id >= ? AND id < ?")
      texts = InternCache { first, end, give in
        defer { selectTexts.reset() }
        try selectTexts.bind(1, first)
        try selectTexts.bind(2, end)
        while try selectTexts.step() { give(selectTexts.integer(0), selectTexts.text(1)) }
      }
    } catch {
      throw LogFile.error(error, path, connection)
    }
  }

  /// Rows come in the requested order, unless the file is damaged; then continuing from the last
  /// one would never end.
  package func checkOrder(of number: Int64, after last: Int64) throws {
    try Self.checkOrder(of: number, after: last, path)
  }

  static func checkOrder(of number: Int64, after last: Int64, _ path: String) throws {
    guard number > last else {
      throw LogError.damaged(path: path, reason: "its events are out of order")
    }
  }

  /// Translates SQLite's errors into errors about this log.
  package func translating<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as SQLiteError {
      throw LogFile.error(error, path, connection)
    }
  }

  // MARK: - Runs

  /// Every run, oldest first.
  ///
  /// - Throws: `LogError`.
  public func runs() throws -> [RunInfo] { try runs(id: nil) }

  /// The run with an ID; `nil` if the log has none.
  ///
  /// - Throws: `LogError`.
  package func run(id: String) throws -> RunInfo? { try runs(id: id).first }

  private func runs(id: String?) throws -> [RunInfo] {
    let runs = try readRuns(id)
    // Since the row was read, the run may have been ended and its lock released.
    return runs.contains { !$0.isEndInLog && $0.end != .running } ? try readRuns(id) : runs
  }

  private func readRuns(_ id: String?) throws -> [RunInfo] {
    try translating {
      let select = try connection.prepare(
        """
        SELECT id, uuid, engine, engine_version, recorder_version, mode, started, ended, end,
          first_seq, last_seq, metadata,
          CASE WHEN end IS NULL THEN coalesce((\(RunEnd.timeOfLastEventSQL)), started) END
        FROM run \(id == nil ? "" : "WHERE uuid = ?") ORDER BY id
        """)
      if let id { try select.bind(1, id) }
      var runs: [RunInfo] = []
      while try select.step() { runs.append(run(select)) }
      return runs
    }
  }

  private func run(_ row: Statement) -> RunInfo {
    let id = row.text(1)
    var info = RunInfo(
      number: row.integer(0), id: id, engine: row.text(2), engineVersion: row.text(3),
      recorderVersion: row.text(4), mode: row.text(5), started: row.integer(6),
      ended: row.optionalInteger(7), end: .closed, firstSeq: row.optionalInteger(9),
      lastSeq: row.optionalInteger(10),
      metadata: (try? JSONReader.value(row.text(11))) ?? .opaque("unreadable"))
    if let end = row.optionalText(8) {
      info.end = RunEnd(rawValue: end) ?? .closed
    } else if RecorderLock.isHeld(log: path, run: id) {
      info.end = .running
      info.isEndInLog = false
    } else {
      info.isEndInLog = false
      // Closed while the log could not be written: the end is still in the spool.
      let closed = EndMark.read(log: path, run: id)
      info.end = closed == nil ? .died : .closed
      info.ended = closed ?? row.integer(12)
    }
    return info
  }

  /// The runs that a selector names: `latest`, `all`, a number, or the prefix of a run ID.
  ///
  /// - Throws: `LogError`.
  public func runs(matching selector: String) throws -> [RunInfo] {
    let runs = try runs()
    guard !runs.isEmpty else { throw LogError.noRuns(path: name) }
    return try RunSelector(selector).select(from: runs, ofLog: name, id: \.id, number: \.number)
  }

  /// The size of a run.
  ///
  /// - Throws: `LogError`.
  public func totals(of run: RunInfo) throws -> RunTotals {
    let missing = try missing(of: run)
    return try translating {
      RunTotals(
        events: try integer("SELECT events FROM run WHERE id = ?", of: run) ?? 0,
        tasks: try storedTaskCount(of: run) ?? taskCount(of: run),
        workers: try integer(
          "SELECT count(*) FROM source WHERE run = ? AND kind = 'worker'", of: run) ?? 0,
        missing: missing)
    }
  }

  /// A number that SQL says about a run, its only parameter.
  package func integer(_ sql: String, of run: RunInfo) throws(SQLiteError) -> Int64? {
    try withStatement(sql, of: run) { statement throws(SQLiteError) in
      try statement.step() ? statement.optionalInteger(0) : nil
    }
  }

  /// Runs a statement whose only parameter is a run.
  package func withStatement<Result>(
    _ sql: String, of run: RunInfo, _ body: (Statement) throws(SQLiteError) -> Result
  ) throws(SQLiteError) -> Result {
    let statement = try connection.prepare(sql)
    try statement.bind(1, run.number)
    return try body(statement)
  }

  /// Number of events of a run known to be missing.
  ///
  /// - Throws: `LogError`.
  public func missing(of run: RunInfo) throws -> Int64 {
    try translating {
      try integer(
        """
        SELECT coalesce(sum(count), 0) FROM gap WHERE source IN (SELECT id FROM source WHERE run = ?)
        """, of: run) ?? 0
    }
  }

  /// Number of events of a source known to be missing.
  ///
  /// - Throws: `LogError`.
  public func missing(of source: SourceInfo) throws -> Int64 {
    try translating {
      try connection.integer(
        "SELECT coalesce(sum(count), 0) FROM gap WHERE source = \(source.number)") ?? 0
    }
  }

  /// The keys of a run. If its events are a contiguous range, the index on the key alone is enough;
  /// but that is of all runs.
  private func taskCount(of run: RunInfo) throws -> Int64 {
    guard let first = run.firstSeq, let last = run.lastSeq else { return 0 }
    let length = try connection.integer("SELECT max(seq) FROM event") ?? 0
    if (last - first) * 16 < length { return try taskCount(bySourcesOf: run) }
    let others = try connection.integer(
      """
      SELECT count(*) FROM run
      WHERE id != \(run.number) AND first_seq <= \(last) AND last_seq >= \(first)
      """)
    guard others == 0,
      let lowest = try connection.integer("SELECT min(key) FROM event WHERE key IS NOT NULL"),
      let highest = try connection.integer("SELECT max(key) FROM event WHERE key IS NOT NULL")
    else { return try taskCount(bySourcesOf: run) }
    let scan = ParallelScan<Int64>(
      """
      SELECT count(DISTINCT key) FROM event
      WHERE key BETWEEN ? AND ? AND +seq BETWEEN \(first) AND \(last)
      """, over: lowest...highest)
    var count: Int64 = 0
    try scan.run(self) { select, _ in
      try select.step() ? select.integer(0) : 0
    } take: {
      count += $0
    }
    return count
  }

  private func taskCount(bySourcesOf run: RunInfo) throws -> Int64 {
    try connection.integer(
      """
      SELECT count(DISTINCT event.key) FROM source CROSS JOIN event ON event.source = source.id
      WHERE source.run = \(run.number)
      """) ?? 0
  }

  /// The sources of a run, in the order in which they were added.
  ///
  /// - Throws: `LogError`.
  public func sources(of run: RunInfo) throws -> [SourceInfo] {
    try translating {
      let select = try connection.prepare(
        "SELECT id, kind, server_id, address, name FROM source WHERE run = ? ORDER BY id")
      try select.bind(1, run.number)
      var sources: [SourceInfo] = []
      while try select.step() {
        let source = Source(
          kind: Source.Kind(rawValue: select.text(1)) ?? .worker, id: select.text(2),
          address: select.text(3),
          name: (try? JSONReader.value(select.text(4))) ?? .null)
        sources.append(
          SourceInfo(number: select.integer(0), run: run.number, source: source))
      }
      return sources
    }
  }

  // MARK: - Events

  /// The events of a run.
  ///
  /// - Throws: `LogError`.
  package func events(of run: RunInfo, order: EventOrder = .causal) throws -> EventCursor {
    try events(of: run, order: order, pageSize: 4096)
  }

  /// The events of a run.
  ///
  /// - Parameters:
  ///   - wanted: emits only the events of these sources, by row ID in the file. The others are
  ///     skipped at less cost; they still count for the order.
  ///   - isFollowed: emits nothing before `advance(to:emittingThrough:sources:isOver:)` sets the horizon.
  ///   - place: the point that another cursor of this log has reached, which has emitted what comes
  ///     before.
  ///   - readsAhead: a thread reads ahead; for consumers that want all events and have much to do
  ///     with each.
  /// - Throws: `LogError`.
  package func events(
    of run: RunInfo, order: EventOrder, wanted: Set<Int64>? = nil, isFollowed: Bool = false,
    resumingFrom place: ResumePoint? = nil, readsAhead: Bool = false
  ) throws -> EventCursor {
    try events(
      of: run, order: order, wanted: wanted, isFollowed: isFollowed, resumingFrom: place,
      readsAhead: readsAhead, pageSize: 4096)
  }

  func events(
    of run: RunInfo, order: EventOrder, wanted: Set<Int64>? = nil, isFollowed: Bool = false,
    resumingFrom place: ResumePoint? = nil, readsAhead: Bool = false, pageSize: Int
  ) throws -> EventCursor {
    let sources = try sources(of: run)
    return try translating {
      try EventCursor(
        reader: self, connection: connection, run: run, sources: sources, order: order,
        wanted: wanted, isFollowed: isFollowed, blobs: blobs, resumingFrom: place,
        readsAhead: readsAhead, pageSize: pageSize)
    }
  }

  /// The events of one source, in the order of happening.
  ///
  /// - Throws: `LogError`.
  package func events(of source: SourceInfo) throws -> SourceCursor {
    try translating {
      try SourceCursor(
        reader: self, connection: connection, source: source.number, blobs: blobs)
    }
  }
}

/// Finds interned bytes with its own connection, so that args can be decoded on any thread.
package final class LogBlobs: BlobSource {
  package static let selectByPrefix =
    "SELECT hash, bytes FROM blob WHERE hash BETWEEN ?1 AND ?1 || 'g' LIMIT 2"
  private static let templateLimit = 256

  private let path: String
  /// Opened on first use.
  private let select = Mutex<Statement?>(nil)
  private let templates = Mutex<[String: HeartbeatText]>([:])

  init(path: String) {
    self.path = path
  }

  /// The args of an event as an object: those of a heartbeat are packed (`PackedHeartbeat`), all
  /// others are unchanged. The only code that rebuilds heartbeats.
  ///
  /// - Parameter time: the time of the event.
  package func args(_ text: String, time: Int64) -> String {
    guard text.utf8.first == UInt8(ascii: "\""), let packed = PackedHeartbeat.bytes(of: text.utf8)
    else { return text }
    guard let template = template(PackedHeartbeat.name(in: packed)),
      let json = PackedHeartbeat.unpack(packed, template: template, time: time)
    else { return #"{"$opaque":"heartbeat"}"# }
    return String(decoding: json, as: UTF8.self)
  }

  private func template(_ prefix: String) -> HeartbeatText? {
    templates.withLock { templates in
      if let known = templates[prefix] { return known }
      guard
        let statement = try? LogFile.openForReading(path).prepare(Self.selectByPrefix),
        (try? statement.bind(1, prefix)) != nil, (try? statement.step()) == true
      else { return nil }
      let template = HeartbeatText(statement.bytes(1))
      if templates.count == Self.templateLimit { templates.removeAll() }
      templates[prefix] = template
      return template
    }
  }

  package func blob(hash: String) -> [UInt8]? {
    select.withLock { select in
      if select == nil {
        select = try? LogFile.openForReading(path).prepare("SELECT bytes FROM blob WHERE hash = ?")
      }
      guard let select else { return nil }
      defer { select.reset() }
      guard (try? select.bind(1, hash)) != nil, (try? select.step()) == true else { return nil }
      return select.bytes(0)
    }
  }
}

extension LogReader {
  /// Interned bytes by their hash; `nil` if there are none.
  package func blob(hash: String) -> [UInt8]? { blobs.blob(hash: hash) }
}
