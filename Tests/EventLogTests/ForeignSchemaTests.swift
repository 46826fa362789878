import CSQLite
import TestSupport
import Testing

@testable import EventLog
@testable import LogFormat
@testable import LogMaintenance
@testable import TaskLogPlugin

/// Logs in which something else is in the place of a table, an index or a view: none of their SQL runs.
@Suite struct ForeignSchemaTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder("log.db")
    let log = try LogUnderTest(path)
    try log.append([
      (log.scheduler, .transition("k-1", .processing, .memory, stimulus: "s-1", run: 1))
    ])
    try log.close()
  }

  private func change(_ sql: String) throws {
    try Connection(path: path, mode: .readWrite).execute(sql)
  }

  /// What a check finds, besides that the event has no time.
  private func kinds(_ path: String) throws -> [Finding.Kind] {
    try LogCheck(path: path).run().findings.map(\.kind).filter { $0 != .wrongTime }
  }

  /// Never ends.
  private static let loop = """
    (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)
    """

  /// What is done to a log, and what its reader says.
  static let foreign: [(sql: String, reason: String)] = [
    (
      "DROP TABLE task_move; CREATE VIEW task_move AS SELECT \(loop)",
      "a view is in the place of the table 'task_move'"
    ),
    (
      "CREATE TRIGGER another AFTER INSERT ON event BEGIN SELECT \(loop); END",
      "the trigger 'another' is on 'event'"
    ),
    (
      "CREATE TRIGGER another INSTEAD OF INSERT ON runs BEGIN SELECT \(loop); END",
      "the trigger 'another' is on 'runs'"
    ),
    ("DROP VIEW runs; CREATE TABLE RUNS (run)", "a table is in the place of the view 'RUNS'"),
    ("CREATE TABLE messages (text)", "a table is in the place of the view 'messages'"),
    (
      "ALTER TABLE gap ADD COLUMN x ANY AS (hex(zeroblob(100000000)))",
      "the table 'gap' has other SQL than that of any known version"
    ),
    (
      "DROP TABLE hook_event; CREATE VIRTUAL TABLE hook_event USING fts5(hook, seq)",
      "the table 'hook_event' has other SQL than that of any known version"
    ),
    (
      "DROP INDEX event_key; CREATE INDEX event_key ON event (length(args))",
      "the index 'event_key' has other SQL than that of any known version"
    ),
    (
      """
      DROP INDEX event_failure;
      CREATE INDEX event_failure ON event (finish) WHERE finish IN (1, length('a'))
      """,
      "the index 'event_failure' has other SQL than that of any known version"
    ),
    (
      "CREATE TABLE other (a); CREATE TRIGGER key AFTER INSERT ON other BEGIN SELECT 1; END",
      "a trigger has the name 'key'"
    ),
  ]

  @Test(arguments: foreign)
  func `a log with a schema of others is refused in one line by readers and writers`(
    sql: String, reason: String
  ) throws {
    try change(sql)
    func message(_ body: () throws -> Void) -> String {
      do {
        try body()
        return "no error"
      } catch {
        return "\(error)"
      }
    }
    let expected =
      "\(path): is not used, as it may run SQL of others: \(reason); 'tasklog recover --into NEW' "
      + "saves its events"
    #expect(message { _ = try LogReader(path: path) } == expected)
    #expect(message { _ = try UserSQL(path: path) } == expected)
    #expect(message { _ = try LogWriter(path: path) } == expected)
    #expect(message { try LogMigration.migrate(path) } == expected)
    #expect(
      message {
        try LogWriter.note("a", .null, run: "b", log: path)
      } == expected)
  }

  @Test(arguments: foreign)
  func `a check of a log with a schema of others says what is in it, and reads nothing`(
    sql: String, reason: String
  ) throws {
    try change(sql)
    let result = try LogCheck(path: path).run()
    let found = try #require(result.findings.first)
    #expect(found.kind == .foreignSchema)
    #expect(found.detail.hasPrefix(reason), "\(found.detail)")
    #expect(result.hasErrors && result.events == 0)
  }

  @Test func `a salvage saves the events of a log with a trigger`() throws {
    try change("CREATE TRIGGER another AFTER INSERT ON event BEGIN SELECT \(Self.loop); END")
    let saved = try LogSalvage.salvage(path, into: folder("saved.db"))
    #expect(saved.events == 1)
    #expect(try kinds(folder("saved.db")).isEmpty)
  }

  @Test(arguments: [
    "CREATE INDEX other ON event (length(args))",
    "CREATE INDEX other ON event (time) WHERE time > 5",
    "CREATE UNIQUE INDEX other ON event (time, seq)",
  ])
  func `a log with an index that is no plain one is read, but not written to`(sql: String) throws {
    try change(sql)
    #expect(try LogReader(path: path).lastSeq() == 1)
    let error = #expect(throws: LogError.self) { try LogWriter(path: path) }
    #expect("\(error!)".contains("the index 'other' is on 'event'"), "\(error!)")
    #expect(try kinds(path) == [.foreignSchema, .otherObject])
  }

  @Test func `objects under other names are left alone, and named by a check`() throws {
    try change(
      """
      CREATE TABLE _memory (a);
      CREATE INDEX idx_memory ON _memory (length(a));
      CREATE INDEX [idx_event_time] ON [event] ([time]);
      CREATE VIRTUAL TABLE found USING rtree(id, low, high);
      CREATE VIEW mine AS SELECT \(Self.loop) AS n FROM nowhere;
      CREATE TRIGGER filled AFTER INSERT ON _memory BEGIN SELECT \(Self.loop); END;
      """)
    #expect(try LogReader(path: path).lastSeq() == 1)
    let writer = try LogWriter(path: path)
    try writer.buildIndexes()
    writer.close()
    let result = try LogCheck(path: path).run()
    let other = try #require(result.findings.first { $0.kind == .otherObject })
    #expect(other.severity == .info)
    #expect(try kinds(path) == [.otherObject])
    for name in ["table '_memory'", "trigger 'filled'", "index 'idx_event_time'", "view 'mine'"] {
      #expect(other.detail.contains(name), "\(other.detail)")
    }
  }

  @Test(arguments: ["runs", "events"])
  func `a view of ours with other SQL is never run, nor is one that refers to it`(
    view: String
  ) throws {
    try change(
      "DROP VIEW \(view); CREATE VIEW \(view) AS SELECT \(Self.loop) AS run, 'theirs' AS engine")
    let sql = try UserSQL(path: path)
    for name in try LogSchema.views().map(\.name) {
      try sql.run("SELECT * FROM \(name)", start: { _ in }, give: { _ in })
    }
    var engines: [[SQLiteValue]] = []
    try sql.run("SELECT engine FROM runs", start: { _ in }, give: { engines.append($0) })
    #expect(engines == [[.text("tasklog")]])
    #expect(try kinds(path) == [.changedObject])
  }

  @Test func `a trigger that is made while a log is written to does not run`() throws {
    let writer = try LogWriter(path: path)
    try writer.transaction {}
    try change("CREATE TRIGGER another AFTER UPDATE ON run BEGIN SELECT \(Self.loop); END")
    #expect(throws: LogError.self) {
      try writer.transaction { try writer.setSpoolPosition(run: 1, 7) }
    }
    try change("DROP TRIGGER another")
    try writer.transaction { try writer.setSpoolPosition(run: 1, 7) }
    #expect(try writer.run(id: LogReader(path: path).runs()[0].id)?.spoolPosition == 7)
  }

  @Test func `a statement that never ends stops when its writer is to be closed`() throws {
    let writer = try LogWriter(path: path)
    let patience = LockPatience(transactionNanoseconds: 0)
    writer.wait(with: patience)
    let closing = startThreads(1) { _ in patience.end(at: LockPatience.now()) }
    let error = #expect(throws: SQLiteError.self) {
      try writer.transaction { _ = try writer.connection.integer("SELECT \(Self.loop)") }
    }
    closing.join()
    #expect(error?.primaryCode == SQLITE_INTERRUPT)
    #expect(try LogReader(path: path).lastSeq() == 1)
  }

  @Test func `a statement that ends in time is not stopped after the time of closing`() throws {
    let writer = try LogWriter(path: path)
    let patience = LockPatience(transactionNanoseconds: .max)
    writer.wait(with: patience)
    patience.end(at: LockPatience.now())
    let counted = try writer.transaction {
      try writer.connection.integer(
        """
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
        SELECT count(*) FROM n
        """)
    }
    #expect(counted == 100_000)
  }

  @Test func `a table of a later version is read if it evaluates nothing`() throws {
    try change("PRAGMA user_version = 99; ALTER TABLE gap ADD COLUMN mood ANY")
    #expect(try LogReader(path: path).lastSeq() == 1)
    try change("ALTER TABLE gap ADD COLUMN x ANY AS (hex(zeroblob(100000000)))")
    #expect(throws: LogError.self) { try LogReader(path: path) }
  }

  @Test func `spaces, comments and quotes around a name make no other SQL`() throws {
    try change(
      """
      PRAGMA writable_schema = ON;
      UPDATE sqlite_schema SET sql = replace(sql, 'CREATE TABLE event (', 'CREATE TABLE "event"(/* x */
        -- y
        ') WHERE name = 'event';
      """)
    #expect(try LogReader(path: path).lastSeq() == 1)
  }
}
