import LogFormat

/// Counts the events that a writer inserts: the tables `source_total`, `run_total` and `event_total`.
///
/// Tasks are different keys. Those that this writer has seen in a run are a bit each; any other one is
/// looked up in the file, unless the key itself is new there. So a run costs a lookup for each task only
/// if it continues in a file, or if an earlier run had tasks of the same names.
///
/// Belongs to one `LogWriter`; used inside its transactions.
final class EventTotals {
  /// The number of runs whose sets of keys are retained; for others, keys are looked up in the file.
  private static let retainedRuns = 16

  private struct Kind {
    var hook: Int64
    var events: Int64 = 0
    var argsBytes: Int64 = 0
    var snapshotBytes: Int64 = 0
    var redacted: Int64 = 0
    var truncated: Int64 = 0
  }

  /// The events of one kind of source of a run that the open transaction has added.
  private final class Kinds {
    let sourceKind: String
    var kinds: [Kind] = []
    private var last = 0

    init(_ sourceKind: String) { self.sourceKind = sourceKind }

    @inline(__always)
    func add(_ event: EventMeasure) {
      if last >= kinds.count || kinds[last].hook != event.hook { find(event.hook) }
      kinds[last].events += 1
      kinds[last].argsBytes += Int64(event.argsBytes)
      kinds[last].snapshotBytes += Int64(event.snapshotBytes)
      if event.marks.isRedacted { kinds[last].redacted += 1 }
      if event.marks.isTruncated { kinds[last].truncated += 1 }
    }

    /// There are about twenty hooks, and most events are of the same.
    private func find(_ hook: Int64) {
      last = kinds.firstIndex { $0.hook == hook } ?? kinds.count
      if last == kinds.count { kinds.append(Kind(hook: hook)) }
    }
  }

  private final class Run {
    let id: Int64
    /// The file has no events of the run before this one.
    let firstSeq: Int64
    var keys = RowIDSet()
    var failedKeys = RowIDSet()
    var newTasks: Int64 = 0
    var newFailed: Int64 = 0
    var kinds: [Kinds] = []

    init(id: Int64, firstSeq: Int64) { (self.id, self.firstSeq) = (id, firstSeq) }

    func kinds(_ sourceKind: String) -> Kinds {
      if let known = kinds.first(where: { $0.sourceKind == sourceKind }) { return known }
      kinds.append(Kinds(sourceKind))
      return kinds[kinds.count - 1]
    }
  }

  private final class Source {
    let id: Int64
    let run: Run
    let isScheduler: Bool
    let kinds: Kinds
    var events: Int64 = 0

    init(id: Int64, run: Run, kind: String) {
      (self.id, self.run, isScheduler) = (id, run, kind == "scheduler")
      kinds = run.kinds(kind)
    }
  }

  private var runs: [Int64: Run] = [:]
  private var sources: [Int64: Source] = [:]
  /// Events of one source often come together.
  @exclusivity(unchecked) private var last: Source?

  private let findSource: Statement
  private let findKey: Statement
  private let findFailure: Statement
  private let addToSource: Statement
  private let addToRun: Statement
  private let addToKind: Statement

  /// - Throws: `SQLiteError`.
  init(_ connection: Connection) throws {
    findSource = try connection.prepare(
      """
      SELECT source.run, source.kind, run.first_seq FROM source LEFT JOIN run ON run.id = source.run
      WHERE source.id = ?
      """)
    // By the index on keys, in which the events of a key are in the order of `seq`.
    findKey = try connection.prepare("SELECT 1 FROM event WHERE \(Self.isOfTask) LIMIT 1")
    findFailure = try connection.prepare(
      """
      SELECT 1 FROM event WHERE \(Self.isOfTask)
        AND +source IN (SELECT id FROM source WHERE kind = 'scheduler')
        AND \(StoredTotals.isFailureSQL) LIMIT 1
      """)
    addToSource = try connection.prepare(
      """
      INSERT INTO source_total (source, events) VALUES (?1, ?2)
      ON CONFLICT (source) DO UPDATE SET events = events + ?2
      """)
    addToRun = try connection.prepare(
      "UPDATE run_total SET tasks = tasks + ?2, failed = failed + ?3 WHERE run = ?1")
    addToKind = try connection.prepare(
      """
      INSERT INTO event_total VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
      ON CONFLICT (run, source_kind, hook) DO UPDATE SET events = events + ?4,
        args_bytes = args_bytes + ?5, snapshot_bytes = snapshot_bytes + ?6,
        redacted = redacted + ?7, truncated = truncated + ?8
      """)
  }

  private static let isOfTask = """
    key = ?1 AND seq >= ?2 AND seq < ?3 AND +source IN (SELECT id FROM source WHERE run = ?4)
    """

  /// Counts an event.
  ///
  /// - Parameter seq: its number; what was inserted before it has a lower one.
  /// - Throws: `SQLiteError`.
  @inline(__always)
  func count(_ event: EventMeasure, source id: Int64, seq: Int64) throws {
    let source: Source
    if let last, last.id == id { source = last } else { source = try self.source(id, seq) }
    source.events += 1
    source.kinds.add(event)
    guard let key = event.key else { return }
    if source.run.keys.insert(key) {
      guard try event.isKeyNew || !isInFile(findKey, key, source.run, seq) else {
        return try countFailure(event, key, source, seq)
      }
      source.run.newTasks += 1
      if event.isFailure, source.isScheduler, source.run.failedKeys.insert(key) {
        source.run.newFailed += 1
      }
    } else if event.isFailure {
      try countFailure(event, key, source, seq)
    }
  }

  private func countFailure(
    _ event: EventMeasure, _ key: Int64, _ source: Source, _ seq: Int64
  ) throws {
    guard event.isFailure, source.isScheduler, source.run.failedKeys.insert(key),
      try !isInFile(findFailure, key, source.run, seq)
    else { return }
    source.run.newFailed += 1
  }

  /// Rows of this transaction that are not in the table yet are of keys that are known.
  private func isInFile(
    _ find: Statement, _ key: Int64, _ run: Run, _ seq: Int64
  ) throws -> Bool {
    defer { find.reset() }
    try find.bind(1, key)
    try find.bind(2, run.firstSeq)
    try find.bind(3, seq)
    try find.bind(4, run.id)
    return try find.step()
  }

  private func source(_ id: Int64, _ seq: Int64) throws -> Source {
    if let known = sources[id] {
      last = known
      return known
    }
    defer { findSource.reset() }
    try findSource.bind(1, id)
    let exists = try findSource.step()
    let runID = exists ? findSource.integer(0) : 0
    let run = runs[runID] ?? Run(id: runID, firstSeq: findSource.optionalInteger(2) ?? seq)
    runs[runID] = run
    let source = Source(id: id, run: run, kind: exists ? findSource.text(1) : "")
    sources[id] = source
    last = source
    return source
  }

  /// Writes what the open transaction has added.
  ///
  /// - Throws: `SQLiteError`.
  func flush() throws {
    for source in sources.values where source.events > 0 {
      try addToSource.bind(1, source.id)
      try addToSource.bind(2, source.events)
      try addToSource.run()
      source.events = 0
    }
    for run in runs.values {
      for kinds in run.kinds { try flush(kinds, of: run) }
      guard run.newTasks > 0 || run.newFailed > 0 else { continue }
      try addToRun.bind(1, run.id)
      try addToRun.bind(2, run.newTasks)
      try addToRun.bind(3, run.newFailed)
      try addToRun.run()
      (run.newTasks, run.newFailed) = (0, 0)
    }
    if runs.count > Self.retainedRuns { forget() }
  }

  private func flush(_ kinds: Kinds, of run: Run) throws {
    for (index, kind) in kinds.kinds.enumerated() where kind.events > 0 {
      try addToKind.bind(1, run.id)
      try addToKind.bind(2, kinds.sourceKind)
      let numbers = [
        kind.hook, kind.events, kind.argsBytes, kind.snapshotBytes, kind.redacted, kind.truncated,
      ]
      for (offset, number) in numbers.enumerated() { try addToKind.bind(Int32(offset + 3), number) }
      try addToKind.run()
      kinds.kinds[index] = Kind(hook: kind.hook)
    }
  }

  /// What was counted since the last `flush` was rolled back, or the file has changed.
  func forget() {
    runs.removeAll()
    sources.removeAll()
    last = nil
  }
}
