import Foundation
import TestTraits
import Testing

@Suite(.blocking) struct QueryCommandTests {
  typealias Row = [String: JSONValue]

  @Test func `following a run that died says that it died`() throws {
    let followed = ["query", "--follow", "-n", "1", "--log", SampleLog.path]
    let dead = try Command.run(followed + ["--run", "#2"])
    #expect(dead.code == 0)
    #expect(
      dead.errors.contains("run #2 died; its last events may be missing from the log\n"),
      "\(dead.errors)")
    let closed = try Command.run(followed + ["--run", "#1"])
    #expect(closed.code == 0 && !closed.errors.contains("died"), "\(closed.errors)")
  }

  @Test func `each filter returns the rows that it describes`() throws {
    let all = try rows([])
    #expect(all.count > 500)
    let worker = try #require(all.map { $0["worker"]?.text ?? "" }.first { !$0.isEmpty })
    let time = try #require(all[all.count / 3]["time"]?.text)
    let later = try #require(all[all.count / 2]["time"]?.text)

    func expect(_ arguments: [String], _ isMeant: (Row) -> Bool) throws {
      let wanted = all.filter(isMeant)
      #expect(try rows(arguments) == wanted, "\(arguments)")
      #expect(!wanted.isEmpty, "\(arguments)")
    }
    func key(_ row: Row) -> String { row["key"]?.text ?? "" }
    func start(_ row: Row) -> String { row["start"]?.text ?? "" }
    func finish(_ row: Row) -> String { row["finish"]?.text ?? "" }

    try expect(["--key", "top-20"]) { key($0) == "top-20" }
    try expect(["--key", "('merge-1', 0)"]) { key($0) == "('merge-1', 0)" }
    try expect(["--key", "('merge-?', *)"]) { key($0).hasPrefix("('merge-") }
    try expect(["--key", "top-20", "--key", "('merge-2', *"]) {
      key($0) == "top-20" || key($0).hasPrefix("('merge-2'")
    }
    try expect(["--finish", "memory"]) { finish($0) == "memory" }
    try expect(["--start", "processing"]) { start($0) == "processing" }
    try expect(["--state", "flight"]) { start($0) == "flight" || finish($0) == "flight" }
    try expect(["--state", "ready", "--state", "queued"]) {
      ["ready", "queued"].contains(start($0)) || ["ready", "queued"].contains(finish($0))
    }
    try expect(["--start", "waiting", "--finish", "processing"]) {
      start($0) == "waiting" && finish($0) == "processing"
    }
    for name in ["error", "erred"] {
      try expect(["--finish", name]) { ["error", "erred"].contains(finish($0)) }
    }
    try expect(["--worker", worker]) { $0["worker"]?.text == worker }
    try expect(["--worker", "1"]) { $0["worker"]?.text.hasSuffix("/1") == true }
    try expect(["--worker", "inproc://*/0"]) { $0["worker"]?.text.hasSuffix("/0") == true }
    // Times of one format compare as text.
    try expect(["--since", time]) { $0["time"].map { $0.text >= time } == true }
    try expect(["--since", time, "--until", later, "--finish", "memory"]) {
      finish($0) == "memory" && $0["time"].map { $0.text >= time && $0.text <= later } == true
    }
    try expect(["--since", "2020-01-01"]) { _ in true }
    try expect(["--since", "-1h"]) { _ in true }
    #expect(try rows(["--until", "2020-01-01 00:00"]).isEmpty)
    #expect(try rows(["--key", "nothing"]).isEmpty)
    #expect(try rows(["--limit", "7"]) == Array(all.prefix(7)))
    #expect(try rows(["-l", "0"]).isEmpty)
    #expect(
      try rows(["--finish", "memory", "--limit", "3"])
        == Array(all.filter { finish($0) == "memory" }.prefix(3)))
  }

  @Test func `seq is ascending, and every row has every column`() throws {
    let all = try rows([])
    let seqs = all.compactMap { $0["seq"]?.number }
    #expect(seqs == seqs.sorted())
    #expect(Set(seqs).count == all.count)
    let columns: Set = [
      "seq", "time", "run", "source", "worker", "key", "start", "finish", "stimulus", "args",
    ]
    #expect(all.allSatisfy { Set($0.keys) == columns })
  }

  @Test(arguments: ["json", "jsonl", "csv"])
  func `Python reads every format, and the rows are the same`(format: String) throws {
    let script = """
      import sys, json, csv
      name, format = sys.argv[1:]
      text = open(name, newline='', encoding='utf-8').read()
      if format == 'json':
          rows = json.loads(text)
      elif format == 'jsonl':
          rows = [json.loads(line) for line in text.split('\\n') if line]
      else:
          rows = list(csv.DictReader(text.splitlines(keepends=True), strict=True))
      for row in rows:
          print(row['seq'], ascii(row['key']), row['finish'])
      """
    let folder = try TemporaryFolder()
    let result = try query(["--format", format])
    try folder.write("rows", result.output)
    let read = try Command.run(
      program: URL(fileURLWithPath: "/usr/bin/env"),
      ["python3", "-c", script, folder("rows"), format])
    #expect(read.code == 0, "\(read.errors)")
    let wanted = try Command.run(
      program: URL(fileURLWithPath: "/usr/bin/env"),
      [
        "python3", "-c",
        """
        import sys, sqlite3, unicodedata
        # CSV cannot say what steers a terminal: there it is shown as an escape.
        def shown(key):
          return ''.join('\\\\u{%x}' % ord(c) if sys.argv[2] == 'csv' and c not in '\\n\\r\\t'
            and unicodedata.category(c) in ('Cc', 'Cf', 'Zl', 'Zp') else c for c in key)
        for row in sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True).execute(
            'SELECT seq, key, finish FROM transitions ORDER BY seq'):
          print(row[0], ascii(shown(row[1])), row[2])
        """, try RecordedDemo.log, format,
      ])
    #expect(read.output == wanted.output)
    #expect(read.lines.count > 500)
  }

  @Test(arguments: ["table", "json", "jsonl", "csv"])
  func `the same query has the same output, byte for byte`(format: String) throws {
    let first = try query(["--format", format])
    #expect(first.code == 0)
    #expect(first.errors == "")
    #expect(try query(["--format", format]).output == first.output)
  }

  @Test(arguments: [("json", "[]\n"), ("jsonl", "")])
  func `an empty result is valid in every format`(format: String, output: String) throws {
    #expect(try query(["--key", "nothing", "--format", format]).output == output)
    let header = "seq,time,run,source,worker,key,start,finish,stimulus,args\r\n"
    #expect(try query(["--key", "nothing", "--format", "csv"]).output == header)
  }

  @Test func `a table has one line per row and no control characters`() throws {
    let log = try RecordedDemo.log
    let count = try rows([]).count
    let names =
      "SELECT 'a' || char(27) || '[31m' || char(10, 13, 9, 0x9B, 0x202E, 0x2028) || 'b' AS x"
    for arguments in [["--format", "table"], [names, "--format", "table"]] {
      let output = try Command.run(["query", "--log", log] + arguments).output
      let controls = output.unicodeScalars.filter {
        $0 != "\n" && [.control, .format, .lineSeparator].contains($0.properties.generalCategory)
      }
      #expect(controls.isEmpty)
    }
    let table = try query(["--format", "table"]).output
    #expect(table.split(separator: "\n").count == count + 1)
    #expect(!table.contains(" \n"))
    #expect(
      try query([names, "--format", "table"]).output
        == "x\na\\u{1b}[31m\\n\\r\\t\\u{9b}\\u{202e}\\u{2028}b\n")
  }

  @Test func `SQL results have the columns of the statement`() throws {
    let result = try query([
      "SELECT 1 AS one, 1.5 AS half, 'a\"b,c' AS text, NULL AS missing, x'00ff' AS bytes;",
      "--format", "jsonl",
    ])
    #expect(
      result.output
        == #"{"one":1,"half":1.5,"text":"a\"b,c","missing":null,"bytes":{"$bytes":"AP8="}}"# + "\n")
    #expect(
      try query(["SELECT 'a\"b,c' AS text, NULL AS missing", "--format", "csv"]).output
        == "text,missing\r\n\"a\"\"b,c\",\r\n")
  }

  @Test(arguments: [
    "events", "transitions", "tasks", "task_durations", "errors", "workers", "stimuli", "runs",
    "gaps",
  ])
  func `each view that the help names can be read`(view: String) throws {
    let result = try query(["SELECT * FROM \(view)", "--limit", "2", "--format", "csv"])
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.lines.count == (view == "gaps" ? 1 : view == "runs" ? 2 : 3))
  }

  @Test func `--limit applies to any SQL`() throws {
    for sql in ["SELECT key FROM tasks", "SELECT key FROM tasks;", "PRAGMA table_list -- all"] {
      for limit in [0, 1, 2] {
        #expect(try query([sql, "--limit", "\(limit)", "--format", "jsonl"]).lines.count == limit)
      }
    }
  }

  @Test func `a reader may close the pipe early`() throws {
    let log = try RecordedDemo.log
    let result = try Command.shell("tasklog query --format csv --log '\(log)' | head -1")
    #expect(result.output == "seq,time,run,source,worker,key,start,finish,stimulus,args\r\n")
    #expect(result.errors == "")
    // If SIGPIPE is ignored, as in some hosts, the write fails instead.
    let ignoring = try Command.shell(
      "trap '' PIPE; tasklog query --format csv --log '\(log)' | head -1")
    #expect(ignoring.errors == "")
  }

  @Test func `output that cannot be written is an error`() throws {
    let result = try Command.shell("tasklog query --log '\(try RecordedDemo.log)' > /dev/full")
    #expect(result.code == 1)
    #expect(result.errors == "tasklog: cannot write the output: No space left on device\n")
  }

  @Test(.enabled(if: Command.isInstalled("sqlite3")))
  func `the log can be read with sqlite3`() throws {
    let result = try Command.shell(
      "sqlite3 '\(try RecordedDemo.log)' 'select * from transitions limit 5'")
    #expect(result.code == 0)
    #expect(result.errors == "")
    #expect(result.lines.count == 5)
    let first = try #require(result.lines.first)
    #expect(
      first.contains(
        /^\d+\|\d{4}-\d\d-\d\dT[0-9:.]{15}Z\|1\|scheduler\|\('count', '.*'\)\|released\|waiting\|/))
  }

  @Test func `tasklog runs lists each run with its end`() throws {
    let result = try Command.run(["runs", "--log", try RecordedDemo.log])
    let runs = try Self.parse(result.output)
    #expect(runs.count == 1)
    let run = try #require(runs.first)
    #expect(run["run"] == .number(1))
    #expect(run["end"] == .text("closed"))
    #expect(run["workers"] == .number(2))
    #expect(run["missing"] == .number(0))
    let recorded = try RecordedDemo.content.get().output.text
    let (events, tasks) = (run["events"]?.number ?? 0, run["tasks"]?.number ?? 0)
    #expect(
      recorded.contains("Recorded \(Int(events)) events of \(Int(tasks)) tasks on 2 workers"))
  }

  // MARK: -

  private func query(_ arguments: [String]) throws -> Command.Result {
    try Command.run(["query", "--log", RecordedDemo.log] + arguments)
  }

  private func rows(_ arguments: [String]) throws -> [Row] {
    let result = try query(arguments)
    #expect(result.code == 0, "\(result.errors)")
    return try Self.parse(result.output)
  }

  private static func parse(_ lines: String) throws -> [Row] {
    try lines.split(separator: "\n").map {
      try JSONDecoder().decode(Row.self, from: Data($0.utf8))
    }
  }
}

/// The content of the columns of a row.
enum JSONValue: Decodable, Equatable {
  case null
  case number(Double)
  case text(String)
  case list([JSONValue])
  case object([String: JSONValue])

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let number = try? container.decode(Double.self) {
      self = .number(number)
    } else if let text = try? container.decode(String.self) {
      self = .text(text)
    } else if let list = try? container.decode([JSONValue].self) {
      self = .list(list)
    } else {
      self = .object(try container.decode([String: JSONValue].self))
    }
  }

  /// The text, empty if it is something else.
  var text: String {
    if case .text(let text) = self { return text }
    return ""
  }

  var number: Double? {
    if case .number(let number) = self { return number }
    return nil
  }
}
