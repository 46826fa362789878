import Foundation
import TestTraits
import Testing

@Suite(.blocking) struct BadInputTests {
  /// Invalid use of a command: the exit code, and the one line on standard error after `tasklog: `.
  private func expect(
    _ arguments: [String], _ code: Int32, _ message: String, in folder: TemporaryFolder,
    _ location: SourceLocation = #_sourceLocation
  ) throws {
    let before = folder.names
    let result = try Command.run(arguments, folder: folder.url)
    #expect(result.code == code, sourceLocation: location)
    #expect(result.output == "", sourceLocation: location)
    #expect(result.errors == "tasklog: \(message)\n", sourceLocation: location)
    #expect(folder.names == before, "something was made", sourceLocation: location)
  }

  private static let readers = [
    ["query"], ["query", "SELECT 1"], ["runs"], ["replay", "--plugin", "counter"],
  ]

  private func makeFolder() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.makeFolder("in")
    try folder.write("in/a.txt", "one two")
    return folder
  }

  private func makeLog(_ folder: TemporaryFolder, runs: Int = 1) throws {
    for _ in 0..<runs {
      let result = try Command.run(["demo", "--input", "in"], folder: folder.url)
      try #require(result.code == 0, "\(result.errors)")
    }
  }

  private func sqlite(_ sql: String, _ folder: TemporaryFolder, _ name: String) throws {
    let script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])"
    let result = try Command.run(
      program: URL(fileURLWithPath: "/usr/bin/env"),
      ["python3", "-c", script, folder(name), sql])
    try #require(result.code == 0, "\(result.errors)")
  }

  @Test(arguments: readers)
  func `a log that cannot be read is reported`(command: [String]) throws {
    let folder = try makeFolder()
    try expect(
      command, 1, "tasklog.db: there is no such log; name one with --log or TASKLOG_LOG",
      in: folder)
    try expect(
      command + ["--log", "no/x.db"], 1,
      "no/x.db: there is no such log; name one with --log or TASKLOG_LOG", in: folder)
    try expect(command + ["--log", "in"], 1, "in: there is no log in it", in: folder)
    try folder.write("text.db", String(repeating: "This is no database. ", count: 100))
    try expect(
      command + ["--log", "text.db"], 1, "text.db: is not a SQLite database, so not a tasklog log",
      in: folder)
    try folder.write("empty.db", "")
    try expect(
      command + ["--log", "empty.db"], 1,
      "empty.db: is empty; nothing has been recorded into it yet", in: folder)
    try sqlite("CREATE TABLE x (y)", folder, "other.db")
    try expect(
      command + ["--log", "other.db"], 1,
      "other.db: is a SQLite database, but not a tasklog log", in: folder)
  }

  @Test func `a log that cannot be written is reported and not changed`() throws {
    let folder = try makeFolder()
    let demo = ["demo", "--input", "in", "--log"]
    try expect(
      demo + ["no/x.db"], 1,
      "no/x.db: the folder no does not exist; create it or name another log", in: folder)
    try expect(demo + ["in"], 1, "in: is a folder, not a log; name a file", in: folder)
    try folder.write("text.db", String(repeating: "This is no database. ", count: 100))
    try expect(
      demo + ["text.db"], 1, "text.db: is not a SQLite database, so not a tasklog log", in: folder)
    try sqlite("CREATE TABLE x (y)", folder, "other.db")
    let before = try Data(contentsOf: URL(fileURLWithPath: folder("other.db")))
    try expect(
      demo + ["other.db"], 1, "other.db: is a SQLite database, but not a tasklog log", in: folder)
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder("other.db"))) == before)
  }

  @Test func `a log of a newer version is read as far as possible and not written`() throws {
    let folder = try makeFolder()
    try makeLog(folder)
    try sqlite("PRAGMA user_version = 99", folder, "tasklog.db")
    let before = try Data(contentsOf: URL(fileURLWithPath: folder("tasklog.db")))
    let result = try Command.run(["demo", "--input", "in"], folder: folder.url)
    #expect(result.code == 1)
    #expect(result.output == "")
    #expect(
      result.errors.contains(
        /^tasklog: tasklog.db: is of format version 99, this tasklog knows up to \d+; use a newer tasklog\n$/
      ))
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder("tasklog.db"))) == before)
    #expect(folder.names == ["in", "in/a.txt", "tasklog.db"])
    #expect(try Command.run(["query"], folder: folder.url).code == 0)
  }

  @Test func `an empty file becomes a log`() throws {
    let folder = try makeFolder()
    try folder.write("tasklog.db", "")
    try makeLog(folder)
    #expect(try Command.run(["runs"], folder: folder.url).lines.count == 1)
  }

  @Test func `an unknown run or an invalid run selector is reported`() throws {
    let folder = try makeFolder()
    try makeLog(folder, runs: 2)
    for command in [["query"], ["replay", "--plugin", "counter"]] {
      for run in ["#3", "#0", "#", "zz", "", "Latest"] {
        try expect(
          command + ["--run", run], 1,
          "tasklog.db: has no run '\(run)'; 'tasklog runs' lists the runs", in: folder)
      }
      try expect(
        command + ["--run", "0"], 1,
        "tasklog.db: '0' is the beginning of 2 run ids; give more of it", in: folder)
    }
  }

  @Test func `a plugin must be named and known`() throws {
    let folder = try makeFolder()
    try expect(
      ["replay"], 64,
      "name a plugin with --plugin: counter, errors, rabbitmq, exec:'command', "
        + "module:Class or file.py:Class of Dask, or a file that ends in .swift or .so", in: folder)
    try expect(
      ["replay", "--plugin", "counter", "--plugin", "nope"], 64,
      "--plugin nope: unknown plugin; expected counter, errors, "
        + "exec:'command', module:Class or file.py:Class of Dask, or a file that ends in .swift or .so",
      in: folder)
  }

  @Test func `SQL is read-only`() throws {
    let folder = try makeFolder()
    try makeLog(folder)
    let refusal =
      "SQL: only reading is allowed: one SELECT, no ATTACH, no extensions, "
      + "no PRAGMA that changes anything"
    let before = try Data(contentsOf: URL(fileURLWithPath: folder("tasklog.db")))
    for sql in [
      "DELETE FROM event", "INSERT INTO meta VALUES ('x', 1)", "UPDATE run SET end = 'died'",
      "DROP TABLE event", "CREATE TABLE x (y)", "CREATE TEMP TABLE x (y)",
      "CREATE VIEW x AS SELECT 1", "ATTACH 'other.db' AS other", "DETACH main",
      "PRAGMA user_version = 7", "PRAGMA journal_mode = DELETE", "PRAGMA query_only = 0",
      "PRAGMA writable_schema = 1", "VACUUM", "VACUUM INTO 'copy.db'", "REINDEX", "BEGIN",
      "SELECT load_extension('evil')", "WITH x AS (SELECT 1) DELETE FROM event",
    ] {
      try expect(["query", sql], 1, refusal, in: folder)
    }
    try expect(["query", "SELECT 1; SELECT 2"], 1, "SQL: more than one statement", in: folder)
    try expect(
      ["query", "SELECT 1; DELETE FROM event"], 1, "SQL: more than one statement", in: folder)
    try expect(["query", ""], 1, "SQL: there is no statement in it", in: folder)
    try expect(
      ["query", "SELEKT 1"], 1, "SQL: near \"SELEKT\": syntax error", in: folder)
    try expect(["query", "SELECT * FROM nope"], 1, "SQL: no such table: nope", in: folder)
    try expect(
      ["query", "SELECT 1\n+\u{1B}[31m"], 1,
      "SQL: unrecognized token: \"\\u{1b}\"", in: folder)
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder("tasklog.db"))) == before)
  }

  @Test(arguments: [
    ["--run", "latest"], ["--key", "x"], ["--state", "memory"], ["--start", "memory"],
    ["--finish", "memory"], ["--worker", "0"], ["--since", "-1h"], ["--until", "-1h"],
  ])
  func `filters cannot be combined with SQL`(filter: [String]) throws {
    try expect(
      ["query", "SELECT 1"] + filter, 64,
      "\(filter[0]) cannot be combined with SQL; filter in the WHERE clause",
      in: try makeFolder())
  }

  @Test func `the demo requires a folder with files`() throws {
    let folder = try makeFolder()
    try folder.makeFolder("empty/inner")
    try folder.makeFolder("hidden/.git")
    try folder.write("hidden/.git/x", "x")
    try folder.write("hidden/.y", "y")
    let none = "has no files to count; name another folder with --input"
    try expect(
      ["demo", "--input", "no"], 1, "no: no such folder; name another with --input",
      in: folder)
    try expect(
      ["demo", "--input", "in/a.txt"], 1, "in/a.txt: is not a folder; name one with --input",
      in: folder)
    try expect(["demo", "--input", "empty"], 1, "empty: \(none)", in: folder)
    try expect(["demo", "--input", "hidden"], 1, "hidden: \(none)", in: folder)
    try expect(["demo", "--input", ""], 1, "--input '': expected a folder", in: folder)
    try expect(
      ["demo", "--input", "a\nb\u{1B}[31m"], 1,
      "a\\nb\\u{1b}[31m: no such folder; name another with --input", in: folder)
  }

  @Test func `numbers must be within their bounds`() throws {
    let folder = try makeFolder()
    for workers in ["0", "-1", "1025"] {
      try expect(
        ["demo", "--input", "in", "--workers", workers], 64,
        "--workers \(workers): expected 1 to 1024", in: folder)
    }
    try expect(
      ["query", "--limit", "-1"], 64, "--limit -1: expected 0 or more", in: folder)
    try expect(
      ["query", "SELECT 1", "--limit", "-1"], 64, "--limit -1: expected 0 or more",
      in: folder)
    try expect(
      ["query", "--limit", "many"], 64,
      "the value 'many' is invalid for '--limit <count>'; see 'tasklog help'",
      in: folder)
  }

  @Test func `an unknown value of a filter is refused`() throws {
    let folder = try makeFolder()
    let states =
      "released, waiting, no-worker, queued, processing, memory, erred, forgotten, ready, "
      + "constrained, executing, long-running, fetch, flight, missing, cancelled, resumed, "
      + "rescheduled, error"
    for option in ["--state", "--start", "--finish"] {
      try expect(
        ["query", option, "done"], 64,
        "\(option) done: unknown state; expected one of \(states)", in: folder)
    }
    for option in ["--since", "--until"] {
      for time in ["yesterday", "-10", "10m", "2026-13-01", "2026-02-30", "2026-01-01T25:00", ""] {
        try expect(
          ["query", option, time], 64,
          "\(option) \(time.isEmpty ? "''" : time): not a time; write 2026-01-31T12:00:00, "
            + "2026-01-31, -10m (s, m, h, d), or seq:100", in: folder)
      }
    }
  }

  @Test func `an error of the argument parser is one line, too`() throws {
    let folder = try makeFolder()
    try expect(
      ["query", "--foo"], 64, "unknown option '--foo'; did you mean '--log'?", in: folder)
    try expect(
      ["query", "--nothing-like-it"], 64,
      "unknown option '--nothing-like-it'; see 'tasklog help'", in: folder)
    try expect(
      ["query", "--format", "xml"], 64,
      "the value 'xml' is invalid for '--format <format>'; please provide one of 'table', 'json', "
        + "'jsonl', 'csv', 'tsv' or 'markdown'", in: folder)
    try expect(
      ["nope"], 64, "unexpected argument 'nope'; see 'tasklog help'", in: folder)
    try expect(
      ["query", "--log"], 64,
      "missing value for '--log <path>'; see 'tasklog help'", in: folder)
  }

  @Test(.enabled(if: geteuid() == 0 && Command.isInstalled("setpriv")))
  func `missing permissions of an unprivileged user are reported`() throws {
    let folder = try makeFolder()
    try makeLog(folder)
    // Other users may not read the folder that the tests are built in.
    try FileManager.default.copyItem(
      atPath: Command.program.path, toPath: folder("program"))
    func run(_ arguments: String) throws -> Command.Result {
      try Command.shell(
        "setpriv --reuid=65534 --regid=65534 --clear-groups ./program \(arguments)",
        folder: folder.url)
    }
    let before = folder.names
    let new = try run("demo --input in --log new.db")
    #expect(new.code == 1)
    #expect(new.output == "")
    #expect(new.errors == "tasklog: new.db: cannot be written: Permission denied\n")
    let unreadable = try run("query --limit 1")
    #expect(unreadable.code == 1)
    #expect(unreadable.errors == "tasklog: tasklog.db: cannot be read: Permission denied\n")

    try FileManager.default.setAttributes(
      [.posixPermissions: 0o644], ofItemAtPath: folder("tasklog.db"))
    let readOnly = try run("demo --input in")
    #expect(readOnly.code == 1)
    #expect(readOnly.output == "")
    #expect(
      readOnly.errors.contains(/^tasklog: tasklog.db: cannot be written: [^\n]+\n$/),
      "\(readOnly.errors)")
    // A log in a folder without write permission can still be read.
    let read = try run("query --limit 1")
    #expect(read.code == 0, "\(read.errors)")
    #expect(read.lines.count == 1)
    #expect(try run("replay --plugin counter").output.contains("counter: 2"))
    #expect(folder.names == before)

    // An unreadable file fails its task, an unreadable folder is skipped.
    try FileManager.default.setAttributes(
      [.posixPermissions: 0], ofItemAtPath: folder("in/a.txt"))
    try folder.write("in/b.txt", "three")
    try folder.makeFolder("in/closed")
    try FileManager.default.setAttributes(
      [.posixPermissions: 0], ofItemAtPath: folder("in/closed"))
    try folder.makeFolder("out")
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o777], ofItemAtPath: folder("out"))
    let partial = try run("demo --input in --log out/new.db")
    #expect(partial.code == 0)
    #expect(partial.errors == "tasklog: closed: skipped: Permission denied\n")
    #expect(DemoOutput(text: partial.output).top == ["three 1"])
    #expect(
      partial.output.contains("exception: a.txt cannot be read: Permission denied\n"))
    let closed = try run("demo --input in/closed --log out/new.db")
    #expect(closed.code == 1)
    #expect(closed.errors == "tasklog: in/closed: cannot be read: Permission denied\n")
  }

  @Test func `SQL that takes too much says which limit, and how to raise it`() throws {
    let folder = try makeFolder()
    try makeLog(folder)
    try expect(
      ["query", "SELECT hex(randomblob(60000000))"], 1,
      "SQL: a value or a row is longer than 62.5 MB, 1/16 of the memory allowed; "
        + "TASKLOG_SQL_MEMORY=4GB allows more", in: folder)
    // In one function, which SQLite cannot interrupt.
    try expect(
      [
        "query", "--timeout", "1",
        "SELECT replace(hex(zeroblob(20000000)), hex(zeroblob(9000000)) || '1', '')",
      ], 1, "SQL: stopped after 1 seconds; --timeout gives it longer, 0 any time", in: folder)
    let sorted = """
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
      SELECT length(b) AS bytes FROM (SELECT zeroblob(900000) AS b, i FROM n) ORDER BY i % 7, b
      """
    let result = try Command.run(
      ["query", sorted], environment: ["TASKLOG_SQL_MEMORY": "16MB"], folder: folder.url)
    #expect(result.code == 1)
    #expect(
      result.errors
        == "tasklog: SQL: takes more than 16.0 MB of memory; TASKLOG_SQL_MEMORY=1GB allows more\n")
    #expect(try Command.run(["query", sorted], folder: folder.url).code == 0)
    let wrong = try Command.run(
      ["query", "SELECT 1"], environment: ["TASKLOG_SQL_MEMORY": "much"], folder: folder.url)
    #expect(
      wrong.errors
        == "tasklog: SQL: TASKLOG_SQL_MEMORY=much: expected a size of 16MB or more, such as 4GB\n")
  }

  @Test func `a regular expression that cannot be searched for is refused`() throws {
    let folder = try makeFolder()
    try makeLog(folder)
    try expect(
      ["query", "--grep", "(a)\\1"], 64,
      "--grep (a)\\1: invalid regular expression: back-references, as \\1, are not supported",
      in: folder)
    try expect(
      ["query", "SELECT 'a' REGEXP 'a(?=b)'"], 1,
      "SQL: REGEXP: look-around, as (?=a), is not supported", in: folder)
  }
}
