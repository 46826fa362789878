import LogFormat
import TaskLogPlugin

/// Maintains the tables that are derived from events: `worker_life`, `clock_offset` and
/// `task_move`.
///
/// They hold what views and scans would otherwise have to search all events for: which worker an
/// address meant at a moment, how far the clock of a worker was off, and which worker has stolen a
/// task. They can be rebuilt at any time.
package final class DerivedTables {
  /// The version of the format that introduced them.
  package static let version: Int32 = 2

  /// Whether an event of a hook may be relevant to the tables.
  static func isRelevant(_ hook: Hook) -> Bool { hooks.contains(hook) }

  private static let hooks: [Hook] = [
    .addWorker, .removeWorker, .attach, .setup, .teardown, .stimulus, .logEvent,
  ]

  static let clockOffset = Array(#"{"op":"clock-offset""#.utf8)
  static let moveTask = Array(#"{"op":"move-task""#.utf8)

  /// The same condition in SQL on a row of `event`, for events that were not seen when they were
  /// inserted.
  private static let condition = """
    hook IN (SELECT id FROM text
      WHERE text IN ('addWorker', 'removeWorker', 'attach', 'setup', 'teardown'))
    OR hook = (SELECT id FROM text WHERE text = 'logEvent') AND key IS NOT NULL
    OR hook = (SELECT id FROM text WHERE text = 'stimulus')
      AND (args LIKE '{"op":"clock-offset"%' OR args LIKE '{"op":"move-task"%')
    """

  private let connection: Connection
  private let select: Statement
  private let lives: LifeTable
  private let clocks: ClockTable
  private let insertMove: Statement

  /// - Throws: `SQLiteError`.
  package init(_ connection: Connection) throws {
    self.connection = connection
    select = try connection.prepare(
      """
      SELECT event.source, event.source_seq, event.time, event.key, event.args, event.snapshot,
        source.run, source.kind, source.server_id, source.address, source.name,
        (SELECT text FROM text WHERE id = event.hook),
        (SELECT text FROM text WHERE id = event.worker)
      FROM event JOIN source ON source.id = event.source WHERE event.seq = ?
      """)
    lives = try LifeTable(connection)
    clocks = try ClockTable(connection)
    insertMove = try connection.prepare(
      "INSERT OR IGNORE INTO task_move (source, key, seq, time, worker) VALUES (?, ?, ?, ?, ?)")
  }

  /// A row of `event` with the properties of its source.
  struct Row {
    var seq, source, sourceSeq, time: Int64
    var key: Int64?
    var args, snapshot: String?
    var run: Int64
    var isScheduler: Bool
    var serverID, address, name: String
    var hook: String
    var worker: String?
  }

  /// Applies an event that is in the table `event`; inside a transaction.
  ///
  /// - Throws: `SQLiteError`.
  func take(_ seq: Int64) throws {
    guard let row = try row(seq) else { return }
    switch row.hook {
    case "addWorker" where row.isScheduler: try lives.add(row)
    case "removeWorker" where row.isScheduler: try lives.remove(row)
    case "attach" where row.isScheduler: try lives.attach(row)
    case "setup" where !row.isScheduler: try lives.setUp(row)
    case "teardown" where !row.isScheduler:
      let offset = try clocks.offset(ofSource: row.source)
      try lives.tearDown(row, at: row.time + offset)
    case "stimulus" where !row.isScheduler: try clocks.take(row)
    case "stimulus", "logEvent": try move(row)
    default: break
    }
  }

  /// Builds the tables for a reader of a log whose format has none: as TEMP tables of its
  /// connection.
  ///
  /// - Throws: `SQLiteError`.
  static func makeTemporary(_ connection: Connection) throws {
    let isTemporary = try connection.integer(
      "SELECT 1 FROM temp.sqlite_schema WHERE type = 'table' AND name = 'worker_life'")
    guard isTemporary != nil else { return }
    try DerivedTables(connection).rebuild()
  }

  /// Rebuilds all tables.
  ///
  /// - Throws: `SQLiteError`.
  package func rebuild() throws {
    try connection.execute(
      "DELETE FROM worker_life; DELETE FROM clock_offset; DELETE FROM task_move")
    clocks.forget()
    let find = try connection.prepare("SELECT seq FROM event WHERE \(Self.condition) ORDER BY seq")
    var numbers: [Int64] = []
    while try find.step() { numbers.append(find.integer(0)) }
    find.reset()
    for seq in numbers { try take(seq) }
  }

  /// Values in memory may no longer be in the file.
  func forget() { clocks.forget() }

  private func row(_ seq: Int64) throws -> Row? {
    defer { select.reset() }
    try select.bind(1, seq)
    guard try select.step() else { return nil }
    return Row(
      seq: seq, source: select.integer(0), sourceSeq: select.integer(1), time: select.integer(2),
      key: select.optionalInteger(3), args: select.optionalText(4),
      snapshot: select.optionalText(5), run: select.integer(6),
      isScheduler: select.text(7) == "scheduler", serverID: select.text(8),
      address: select.text(9), name: select.text(10), hook: select.text(11),
      worker: select.optionalText(12))
  }

  /// A task that waits at a worker is given to another one that steals it, without a transition:
  /// Dask's `move_task_confirm`, and the mark of our own engine.
  private func move(_ row: Row) throws {
    guard row.isScheduler, let key = row.key, let args = try? JSONReader.value(row.args ?? "")
    else { return }
    var thief = row.worker
    if row.hook == "logEvent" {
      guard args["topic"]?.string == "stealing", case .tuple(let message)? = args["message"],
        message.count >= 5, message[0].string == "confirm"
      else { return }
      thief = message[4].string
    } else if args["op"]?.string != "move-task" {
      return
    }
    guard let thief else { return }
    try insertMove.bind(1, row.source)
    try insertMove.bind(2, key)
    try insertMove.bind(3, row.seq)
    try insertMove.bind(4, row.time)
    try insertMove.bind(5, thief)
    try insertMove.run()
  }
}
