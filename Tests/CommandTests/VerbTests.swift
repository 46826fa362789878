import EventLog
import Foundation
import LogFormat
import TestTraits
import Testing

/// Compares the output of the verbs with what other tools compute from the same log.
@Suite(.blocking) struct VerbTests {
  static let python = ProcessInfo.processInfo.environment["TASKLOG_TEST_PYTHON"]
  private static let scripts = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("Python")

  /// A small log of both engines, a recorded one with many kinds of keys, and, if Dask is
  /// available, one of a real cluster.
  static func logs() throws -> [String] {
    [SampleLog.path, try RecordedDemo.log] + (python == nil ? [] : [try RecordedDask.log])
  }

  @Test func `summary, errors and critical-path equal what plain Python computes`() throws {
    for log in try Self.logs() {
      let result = try Command.run(
        program: URL(fileURLWithPath: "/usr/bin/env"),
        [
          "python3", Self.scripts.appendingPathComponent("check_verbs.py").path, log,
          Command.program.path,
        ])
      #expect(result.code == 0, "\(result.output)\(result.errors)")
      #expect(result.output.contains("phases of the path"))
    }
  }

  @Test(
    .enabled(if: python != nil, "TASKLOG_TEST_PYTHON names no Python with pandas and datasette"))
  func `sqlite3, pandas and Datasette open every view`() throws {
    for log in try Self.logs() {
      // Datasette names a database by its file.
      let folder = try TemporaryFolder()
      try FileManager.default.copyItem(atPath: log, toPath: folder("copy.db"))
      let result = try Command.run(
        program: URL(fileURLWithPath: Self.python ?? ""),
        [Self.scripts.appendingPathComponent("clients.py").path, folder("copy.db")])
      #expect(result.code == 0, "\(result.output)\(result.errors)")
      // No file has those of tasklog's readers.
      let views = try LogSchema.views().filter { !ReaderViews.names.contains($0.name) }
      #expect(result.lines.count == views.count)
    }
  }

  @Test(arguments: [
    (["summary", "--table", "prefixes"], "prefixes"),
    (["summary", "--table", "states"], "prefix_states"), (["workers"], "workers"),
    (["errors", "--table", "causes"], "error_causes"), (["errors", "--table", "errors"], "errors"),
    (["critical-path"], "critical_path"), (["slowest", "-n", "1000"], "slowest"),
    (["open"], "open_tasks"), (["inspect", "--table", "kinds"], "event_kinds"),
  ])
  func `the output of a verb equals its view`(verb: [String], view: String) throws {
    for log in try Self.logs() {
      let run = ["--log", log, "--run", "all", "--format", "json"]
      let verb = try Command.run(verb + run)
      #expect(verb.code == 0, "\(verb.errors)")
      let rows = try Self.rows(verb.output)
      let columns = Set(try #require(LogSchema.views().first { $0.name == view }).columns)
      // Names are JSON, which formats write as its value; the other columns are those of the view.
      let shared = Set(rows.first?.keys.map { $0 } ?? []).intersection(columns)
        .subtracting(["name"])
      #expect(shared.count >= 3 || rows.isEmpty)
      let list = shared.sorted()
      guard !list.isEmpty else {
        let count = try Command.run(["query", "SELECT * FROM \(view)", "--log", log])
        #expect(count.output.isEmpty)
        continue
      }
      let own = try Self.rows(
        try Command.run([
          "query", "SELECT \(list.joined(separator: ", ")) FROM \(view)", "--log", log,
          "--format", "json",
        ]).output)
      func lines(_ rows: [[String: JSONValue]]) -> [String] {
        rows.map { row in list.map { Self.text(row[$0]) }.joined(separator: " ") }.sorted()
      }
      #expect(lines(rows) == lines(own))
    }
  }

  /// Sums of seconds depend on the order of addition in their last digits.
  private static func text(_ value: JSONValue?) -> String {
    guard case .number(let number)? = value else { return "\(value ?? .null)" }
    return number.rounded() == number ? "\(number)" : String(format: "%.5f", number)
  }

  private static func rows(_ json: String) throws -> [[String: JSONValue]] {
    try JSONDecoder().decode([[String: JSONValue]].self, from: Data(json.utf8))
  }

  @Test(.enabled(if: python != nil, "TASKLOG_TEST_PYTHON names no Python with distributed"))
  func `the critical path of a Dask run follows its dependencies`() throws {
    let path = try Self.rows(
      Command.run(["critical-path", "--log", RecordedDask.log, "--format", "json"]).output)
    #expect(Set(path.map { $0["key"]?.text ?? "" }).count == 3)
    #expect(path.first?["key"]?.text == "first-1")
    #expect(path.last?["key"]?.text == "last-1")
  }

  @Test func `state equals the view state_intervals at that moment`() throws {
    let log = try RecordedDemo.log
    for seq in [1, 50, 200, 400] {
      let state = try Command.run([
        "state", "--log", log, "--at", "\(seq)", "--table", "states", "--format", "csv",
      ])
      let rows = state.lines.map { $0.split(separator: ",", omittingEmptySubsequences: false) }
      let tasks = try #require(rows.first?.firstIndex(of: "tasks"))
      let counts = try rows.dropFirst().map { try #require(Int($0[tasks])) }
      let stays = try Command.run([
        "query",
        """
        SELECT count(*) FROM state_intervals WHERE seq <= :at AND coalesce(next_seq > :at, 1)
          AND state != 'forgotten'
        """, "-p", "at=\(seq)", "--log", log, "--format", "csv",
      ])
      #expect(stays.lines.last == "\(counts.reduce(0, +))")
    }
  }

  @Test func `every view is documented, and every example works`() throws {
    let result = try Command.run(["query", "--schema", "--format", "json"])
    let views = try Self.rows(result.output)
    #expect(
      Set(views.map { $0["view"]?.text ?? "" }) == Set(try LogSchema.views().map(\.name)))
    for view in views {
      let example = try #require(view["example"]?.text)
      #expect(example.contains("FROM \(view["view"]?.text ?? "?")"))
      let answer = try Command.run(["query", example, "--log", SampleLog.path])
      #expect(answer.code == 0, "\(example): \(answer.errors)")
    }
    #expect(try Command.run(["query", "--schema"]).output.contains("critical_path: a step"))
  }

  @Test func `a story orders late events by their cause`() throws {
    let result = try Command.run(
      ["story", "load-1", "--log", SampleLog.path, "--format", "csv"])
    let rows = result.lines.dropFirst().map { $0.split(separator: ",").map(String.init) }
    let seqs = rows.compactMap { Int($0[1]) }
    #expect(seqs.count == 7)
    #expect(seqs != seqs.sorted(), "nothing arrived late")
    // The worker's end of the task before the scheduler's.
    #expect(result.lines[6].contains(",worker,") && result.lines[6].contains(",memory,"))
    #expect(result.lines[7].contains(",scheduler,") && result.lines[7].contains(",memory,"))
  }

  @Test func `a key or stimulus without a story is reported`() throws {
    let result = try Command.run(["story", "nope", "--log", SampleLog.path])
    #expect(result.code == 1)
    #expect(result.output == "")
    #expect(
      result.errors
        == "tasklog: \(SampleLog.path): no key or stimulus 'nope' in run #2; "
        + "search for a part of a key with 'tasklog query --key \"*nope*\"'\n")
  }

  @Test func `two equal runs have no first difference`() throws {
    let result = try Command.run([
      "compare", "#1", "#1", "--log", SampleLog.path, "--table", "first_difference", "--format",
      "csv",
    ])
    #expect(result.lines == ["side,event,seq,time,hook,key,start,finish"])
    let other = try Command.run([
      "compare", "#1", "latest", "--log2", SampleLog.path, "--log", SampleLog.path, "--table",
      "first_difference", "--format", "csv",
    ])
    #expect(other.lines.count == 3)
  }

  @Test(arguments: [
    (
      ["summary", "--table", "nope"],
      "--table nope: unknown table; tables are prefixes, states, workers"
    ),
    (["open", "--table", ""], "--table '': unknown table; the only table is open"),
    (["slowest", "-n", "-1"], "--limit -1: expected 0 or more"),
    (
      ["summary", "--since", "seq:9", "--until", "seq:5"], "--since seq:9: is after --until seq:5"
    ),
    (["compare", "all", "#1"], "all: selects several runs; compare two single runs"),
    (
      ["state", "--at", "soon"],
      "--at soon: not a time; write 2026-01-31T12:00:00, 2026-01-31, -10m (s, m, h, d), or seq:100"
    ),
    (
      ["query", "--arg", "nbytes"],
      "--arg nbytes: not a comparison; write name=value, with =, !=, <, <=, >, >= or ~"
    ),
    (
      ["query", "--grep", "("],
      "--grep (: invalid regular expression: a ( is not closed; write \\( for a parenthesis"
    ),
    (["query", "--reverse", "--follow"], "--reverse and --follow cannot be combined"),
    (["query", "-p", "a=1"], "-p requires SQL"),
    (["query", "SELECT 1", "-p", "a"], "-p a: expected name=value"),
    (
      ["query", "SELECT 1", "--count"],
      "--count cannot be combined with SQL; filter in the WHERE clause"
    ),
    (
      ["query", "SELECT 1", "--timeout", "-1"],
      "--timeout -1.0: expected 0 (no limit) or more seconds"
    ),
    (
      ["query", "SELECT 1", "--log", SampleLog.path, "--log", SampleLog.path],
      "SQL reads one log; combine several with 'tasklog merge'"
    ),
  ])
  func `an error of a command is one line`(
    arguments: [String], message: String
  ) throws {
    let result = try Command.run(arguments, environment: ["TASKLOG_LOG": SampleLog.path])
    #expect(result.code == 64)
    #expect(result.errors == "tasklog: \(message)\n")
    #expect(result.output == "")
  }

  @Test func `unknown columns are reported`() throws {
    for option in ["--columns", "--group-by"] {
      let result = try Command.run(["query", option, "nope", "--log", SampleLog.path])
      #expect(result.code == 64)
      #expect(
        result.errors.hasPrefix("tasklog: \(option) nope: unknown column; columns are "))
    }
  }

  @Test func `SQL takes named parameters, and is ended after its time limit`() throws {
    func query(_ arguments: [String]) throws -> Command.Result {
      try Command.run(["query"] + arguments + ["--log", SampleLog.path, "--format", "csv"])
    }
    #expect(
      try query([
        "SELECT :a AS a, typeof(:b) AS b, $c AS c", "-p", "a=x=y", "-p", "b=1", "-p", "c=",
      ])
      .lines == ["a,b,c", "x=y,integer,"])
    #expect(
      try query(["SELECT :a"]).errors == "tasklog: SQL: :a has no value; give it with -p a=value\n")
    #expect(
      try query(["SELECT ?", "-p", "a=1"]).errors
        == "tasklog: SQL: a parameter needs a name, as :key; give it with -p key=value\n")
    #expect(
      try query(["SELECT 1", "-p", "a=1"]).errors
        == "tasklog: SQL: -p a: there is no :a in it\n")
    let endless = try query([
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
      "--timeout", "0.2",
    ])
    #expect(endless.code == 1)
    #expect(
      endless.errors
        == "tasklog: SQL: stopped after 0.2 seconds; --timeout gives it longer, 0 any time\n")
    #expect(try query(["SELECT key FROM tasks WHERE key REGEXP '^load-[12]$'"]).lines.count == 5)
  }
}
