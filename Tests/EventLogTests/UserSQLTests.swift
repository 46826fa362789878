import TestSupport
import Testing

@testable import EventLog
@testable import LogFormat
@testable import TaskLogPlugin

@Suite struct UserSQLTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder("log.db")
    let log = try LogUnderTest(path)
    try log.append([.transition("x", .released, .waiting, stimulus: "s", time: 5)])
  }

  /// The columns of the views are a public interface: names and order only ever grow.
  @Test(arguments: [
    (
      "events",
      """
      seq time run source hook key start finish stimulus worker task_run args snapshot time_ns \
      server_id source_seq key_typed prefix key_group raw_time_ns life
      """
    ),
    (
      "transitions",
      """
      seq time run source key start finish stimulus worker args time_ns prefix raw_time_ns life
      """
    ),
    (
      "tasks",
      """
      run key state first_seen last_seen transitions worker nbytes typename exception prefix \
      key_group dispatch_count done failures life
      """
    ),
    ("task_durations", "run key worker action start stop duration seq prefix life"),
    ("slowest", "run key prefix worker action seconds start stop seq life"),
    (
      "state_intervals",
      """
      run source worker key prefix state seq next_seq start_ns stop_ns seconds life gone_seq
      """
    ),
    (
      "stays",
      """
      run source worker key prefix state seq next_seq start_ns stop_ns seconds life gone_seq
      """
    ),
    ("open_tasks", "run source worker key prefix state seq start_ns seconds life"),
    ("prefixes", "run prefix tasks done failed retried nbytes compute"),
    ("prefix_states", "run prefix source state count seconds p50 p95 max"),
    ("failures", "seq run key prefix cause_key cause_seq time_ns"),
    ("errors", "seq run key worker exception traceback time_ns prefix retries dependents"),
    ("error_causes", "run exception tasks dependents workers first_seq first_key first_traceback"),
    (
      "workers",
      """
      run worker name server_id first_seen last_seen events joined_ns left_ns nthreads tasks \
      failed nbytes busy utilization occupancy life clock_offset clock_uncertainty
      """
    ),
    ("dependencies", "run key dependency key_id dependency_id"),
    ("critical_path", "run step key phase worker seconds share start_ns stop_ns seq prefix life"),
    ("stimuli", "run stimulus first_seen last_seen events keys"),
    (
      "stories",
      """
      run key seq time_ns elapsed source worker hook start finish stimulus args raw_time_ns life
      """
    ),
    (
      "runs",
      """
      run uuid engine engine_version mode started ended end first_seq last_seq events metadata \
      tasks failed labels host user git_revision command_line
      """
    ),
    ("labels", "run name value seq"),
    ("event_kinds", "run source hook events args_bytes snapshot_bytes"),
    (
      "run_differences",
      """
      run1 run2 prefix tasks1 tasks2 done1 done2 failed1 failed2 retried1 retried2 nbytes1 \
      nbytes2 compute1 compute2
      """
    ),
    ("gaps", "run source worker source_seq count reason time_ns life"),
    ("worker_errors", "seq run key worker start exception traceback time_ns prefix raw_time_ns"),
    ("failure_texts", "seq exception"),
    ("clock_offsets", "run worker life server_id source_seq offset uncertainty"),
    ("clock_bounds", "run worker life server_id lower upper events"),
    (
      "messages",
      "seq time run source worker level logger text traceback nanny thread dropped time_ns life"
    ),
    (
      "worker_ends",
      "run worker life name server_id left_ns seq expected stimulus reason nanny_reason exit_code "
        + "out_of_memory_kills restarted_at_bytes exit_seq manager_reasons"
    ),
  ])
  func `a view has its columns`(view: String, columns: String) throws {
    #expect(try query("SELECT * FROM \(view)", path).columns.joined(separator: " ") == columns)
    let views = try query("SELECT count(*) FROM sqlite_schema WHERE type = 'view'", path)
    #expect(views.rows == [[27]])
  }

  @Test(arguments: [
    "INSERT INTO text (text) VALUES ('x')", "UPDATE event SET time = 0", "DELETE FROM event",
    "DROP TABLE event", "DROP VIEW events", "CREATE TABLE t (a)", "CREATE TEMP TABLE t (a)",
    "CREATE VIEW v AS SELECT 1", "ATTACH ':memory:' AS other", "DETACH main",
    "PRAGMA journal_mode = DELETE", "PRAGMA query_only = 0", "PRAGMA user_version = 9",
    "PRAGMA writable_schema = 1", "PRAGMA wal_checkpoint", "pragma JOURNAL_MODE('delete')",
    "SELECT load_extension('x')", "SELECT Load_Extension('x')", "VACUUM",
    "VACUUM INTO '/dev/null'", "BEGIN", "COMMIT", "SAVEPOINT a", "REINDEX", "ANALYZE",
    "EXPLAIN INSERT INTO text (text) VALUES ('x')", "ALTER TABLE event ADD COLUMN x",
    "WITH a AS (SELECT 1) DELETE FROM event", "REPLACE INTO text (text) VALUES ('x')",
  ])
  func `SQL that could change anything is refused`(text: String) throws {
    let before = try Files.read(path)
    let error = #expect(throws: UserSQLError.self) { try query(text, path) }
    guard case .writes? = error else {
      Issue.record("\(text): \(String(describing: error))")
      return
    }
    #expect(try Files.read(path) == before)
  }

  @Test(arguments: [
    "", "  ", ";", "-- nothing", "/* nothing */", "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE event", "SELECT 1; nonsense", "SELECT nothing", "nonsense",
    "SELECT * FROM nowhere",
  ])
  func `SQL that is not exactly one statement is an error`(text: String) throws {
    let error = #expect(throws: UserSQLError.self) { try query(text, path) }
    guard case .wrong? = error else {
      Issue.record("\(text): \(String(describing: error))")
      return
    }
  }

  @Test(arguments: [
    "WITH a AS (SELECT 1) SELECT * FROM a",
    "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a WHERE n < 9) SELECT n FROM a",
    "EXPLAIN SELECT * FROM events", "EXPLAIN QUERY PLAN SELECT * FROM events",
    "PRAGMA table_info(event)", "pragma Table_Info('event')", "PRAGMA user_version",
    "SELECT name FROM pragma_table_info('event')", "SELECT 1;", "SELECT 1; -- done",
    "SELECT 1 ; ; /* done */", "-- first\nSELECT 1", "VALUES (1)",
    "SELECT value FROM json_each('[1]')",
  ])
  func `SQL that only reads is allowed`(text: String) throws {
    #expect(try !query(text, path).rows.isEmpty)
  }

  @Test func `values are returned as SQLite stores them`() throws {
    #expect(
      try query("SELECT NULL AS a, 1, 1.5, 'x', x'00ff', 1 AS a", path).rows
        == [[nil, 1, 1.5, "x", .blob([0, 255]), 1]])
  }

  @Test(arguments: [
    "SELECT * FROM transitions WHERE key = 'x'", "SELECT * FROM events WHERE key = 'x'",
  ])
  func `a story is found by its key`(text: String) throws {
    let plan = try query("EXPLAIN QUERY PLAN " + text, path).rows.compactMap {
      if case .text(let detail)? = $0.last { detail } else { nil }
    }.joined(separator: "\n")
    #expect(plan.contains("SEARCH event USING INDEX event_key"), "\(plan)")
    #expect(!plan.contains("SCAN event"), "\(plan)")
    #expect(!plan.contains("SCAN text"), "\(plan)")
  }

  // MARK: - Limits

  @Test(arguments: [
    "SELECT hex(zeroblob(50000000))", "SELECT randomblob(100000000)",
    "SELECT json_array(hex(zeroblob(40000000)))",
    "SELECT replace(hex(zeroblob(1000000)), '0', hex(zeroblob(1000)))",
    "SELECT group_concat(hex(zeroblob(1000000))) FROM json_each(json_array(\(ones)))",
    "SELECT zeroblob(40000000), zeroblob(40000000)",
  ])
  func `a value or a row that is too long is refused`(text: String) throws {
    let error = #expect(throws: UserSQLError.self) { try query(text, path) }
    #expect(
      error?.description
        == "SQL: a value or a row is longer than 62.5 MB, 1/16 of the memory allowed; "
        + "TASKLOG_SQL_MEMORY=4GB allows more")
  }

  private static let ones = Array(repeating: "1", count: 100).joined(separator: ",")

  @Test(arguments: [
    "SELECT '\(String(repeating: "a", count: 2000))' LIKE '\(String(repeating: "%a", count: 600))b'",
    "SELECT \(String(repeating: "(", count: 300))1\(String(repeating: ")", count: 300))",
    "SELECT 1\(String(repeating: " UNION SELECT 1", count: 200))",
  ])
  func `a statement that is too complex is refused`(text: String) throws {
    let error = #expect(throws: UserSQLError.self) { try query(text, path) }
    guard case .wrong? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func `an expression that backtracks without end elsewhere is searched for`() throws {
    let text = String(repeating: "a", count: 100_000)
    #expect(
      try query("SELECT '\(text)b' REGEXP '^(a+)+$', '\(text)' REGEXP '(x+x+)+y'", path).rows
        == [[0, 0]])
  }

  @Test func `a long search ends with the time of its statement`() throws {
    var random = SplitMix64(seed: 7)
    let text = (0..<200_000).map { _ in random.below(2) == 0 ? "a" : "b" }.joined()
    let statements = try UserSQL(path: path, timeoutSeconds: 0)
    let error = #expect(throws: UserSQLError.self) {
      try statements.run(
        "SELECT :text REGEXP 'a.{400}$'", parameters: [("text", .text(text))], start: { _ in },
        give: { _ in })
    }
    guard case .tookTooLong? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func `a place in a text is that of SQLite`() throws {
    let values = [
      "''", "'a'", "'ab'", "'aab'", "'é'", "'aéab'", "'😀b'", "'b'", "x''", "x'61'", "x'c3a961'",
      "12", "2", "1.5", "NULL", "'1'", "x'32'", "CAST(x'61ff62' AS TEXT)",
    ]
    let plain = try Connection(path: "", mode: .memory)
    for text in values {
      for part in values {
        let sql = "SELECT instr(\(text), \(part))"
        let theirs = try plain.prepare(sql)
        try theirs.step()
        #expect(try query(sql, path).rows == [[theirs.value(0)]], "\(sql)")
      }
    }
  }
}
