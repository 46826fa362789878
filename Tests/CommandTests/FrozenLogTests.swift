import Foundation
import LogFormat
import Migrations
import TestTraits
import Testing

/// Logs of every released version of the file format, and the output of every verb for them.
///
/// The logs in `Frozen/` are never regenerated, whatever changes: they stand for the files that
/// people have. `Python/freeze.py` adds those of a new version when it is released. Each version
/// has one log of the demo, one of a real Dask cluster, one with unknown future events, and one
/// that is marked as a later version. The output may change for the better:
/// `TASKLOG_WRITE_OUTPUTS=1 swift test --filter FrozenLogTests` rewrites the expected texts.
@Suite(.blocking) struct FrozenLogTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("Frozen")

  /// The SHA-256 of each frozen log.
  static let logs: [String: String] = [
    "v1-demo": "2fd35b7d892b39478627b4d672c76d83eabf359eaa05c31bb555e0f49bee55cf",
    "v1-dask": "c376c102f914d5b4e9b5e56e0354e8530970170bc2afd0a3cf963548dded9981",
    "v1-future": "6c6dad854e396195d101792118dd741f635c141141ec55683ae06c9531631670",
    "v1-later": "f3b2256ae191d035f8260a0ab97abb5d4081625742ff2b8dc4b3678eb27d84a2",
    // Version 2 is not released: after a change to it, remove its logs and freeze them again.
    "v2-demo": "d0cb1e627ca3fd4e8877c5211a331dc5eefbc7f97994f5003e92eb5254758831",
    "v2-dask": "e763407786e7642eda2af111e48e4a870aa006f372d9995c2fe3561761607c06",
    "v2-future": "c091c562b170d909b68aace226ba5df4867c07c915d25b24bec494d9b24c1429",
    "v2-later": "fb2047bf35b3081de0411802614efeba881e9df591bd4392c9048576ad5879cd",
  ]

  /// The newest version of the format that has frozen logs.
  static let newest = 2

  static let names = logs.keys.sorted()
  private static func isLater(_ name: String) -> Bool { name.hasSuffix("later") }

  static func path(_ name: String) -> String {
    folder.appendingPathComponent(name + ".db").path
  }

  private static func digest(_ path: String) throws -> String {
    SHA256.hash(Array(try Data(contentsOf: URL(fileURLWithPath: path))))
  }

  /// A copy to work on, private as a log is.
  private static func copy(_ name: String) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(atPath: path(name), toPath: folder("log.db"))
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o600], ofItemAtPath: folder("log.db"))
    return folder
  }

  /// Verbs that only read.
  private static let reading = [
    "runs", "inspect", "inspect --table kinds", "check", "check --quick --strict", "summary",
    "summary --table states", "story top-20", "story \"('total', 1)\"", "story moonrise-1",
    "errors", "errors --table causes", "slowest -n 5", "critical-path", "open", "workers",
    "workers --resources", "time", "time --by prefix", "workers --deaths", "messages", "status",
    "jobs", "advice", "sizing", "explain --stuck", "explain --stuck --at 40",
    "explain top-20",
    "state --at 60", "compare latest latest", "trend makespan failed", "query -n 20",
    "query --hook '*' --run all",
    "query --group-by hook,finish --hook '*'", "query --finish erred --columns key,args.worker",
    "query --arg 'nbytes>0' --count", "query --state levitating", "replay --plugin counter",
    "replay --plugin errors", "replay --plugin exec:'cksum'",
    "replay --plugin counter --from 20 --to 60", "migrate log.db --dry-run",
    "prune --keep-runs 0 --dry-run",
  ]

  /// Verbs that write files next to the log; a digest of those stands for them.
  private static let files =
    ["perfetto", "chrome", "otlp-json", "dask", "jsonl", "csv"].map {
      ("export --to \($0) -o output", "output")
    } + [
      ("export --to dask --rectangles -o output", "output"),
      ("merge log.db --into merged.db", "merged.db"),
      ("recover --into saved.db", "saved.db"),
    ]

  private static let writing = [
    "migrate log.db", "recover", "index", "index --drop", "import nothing",
    "prune --keep-runs 0 --keep-failures",
  ]

  /// `demo` has its own test; these read no log, but for `anonymize`, whose copies differ by a random
  /// secret.
  private static let withoutLog = ["tasklog", "demo", "plugins", "record", "anonymize"]

  private static let events = "query --run all --hook '*' --format jsonl --log"

  @Test(arguments: names) func `a frozen log is unchanged since its release`(name: String) throws {
    #expect(try Self.digest(Self.path(name)) == Self.logs[name])
  }

  @Test func `every frozen log is listed, and every version has one of each kind`() throws {
    let there = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
      .filter { $0.hasSuffix(".db") }.map { String($0.dropLast(3)) }.sorted()
    #expect(there == Self.names)
    let wanted = (1...Self.newest).flatMap { version in
      ["dask", "demo", "future", "later"].map { "v\(version)-\($0)" }
    }
    #expect(Self.names == wanted.sorted(), "Python/freeze.py freezes logs of a new version")
  }

  @Test(arguments: names.filter { !isLater($0) })
  func `the SQL of a released version does not change`(name: String) throws {
    // Indexes, and SQLite's statistics about them, come and go.
    let sql = """
      SELECT type, name, sql FROM sqlite_schema WHERE type != 'index' AND name NOT LIKE 'sqlite%'
      ORDER BY name
      """
    func objects(_ connection: Connection) throws -> [[String]] {
      let select = try connection.prepare(sql)
      var rows: [[String]] = []
      while try select.step() { rows.append([select.text(0), select.text(1), select.text(2)]) }
      return rows
    }
    let frozen = try Connection(path: Self.path(name), mode: .immutable)
    let now = try Connection(path: "", mode: .memory)
    let version = try #require(try frozen.integer("PRAGMA user_version"))
    for migration in Migrations.all where Int64(migration.version) <= version {
      try now.execute(String(decoding: migration.sql, as: UTF8.self))
    }
    let expected = try objects(now)
    #expect(!expected.isEmpty)
    #expect(try objects(frozen) == expected)
  }

  @Test(arguments: names.filter { !isLater($0) })
  func `a reader sees the newest tables and views, and does not write to the log`(
    name: String
  ) throws {
    let folder = try Self.copy(name)
    let before = try Self.digest(folder("log.db"))
    for (view, columns) in try LogSchema.views() {
      let result = try Command.run(
        ["query", "SELECT * FROM \(view) LIMIT 1", "--format", "csv", "--log", folder("log.db")])
      #expect(result.code == 0, "\(view): \(result.errors)")
      let header = result.output.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
      #expect(header == columns.joined(separator: ","), "\(view)")
    }
    #expect(try Self.digest(folder("log.db")) == before)
  }

  @Test func `every verb is covered`() throws {
    let help = Self.folder.deletingLastPathComponent().appendingPathComponent("Help")
    let verbs = try FileManager.default.contentsOfDirectory(atPath: help.path)
      .map { $0.replacing(".txt", with: "") }
    let lines = Self.reading + Self.files.map(\.0) + Self.writing + ["report -o report.html"]
    let tried = Set(lines.compactMap { $0.split(separator: " ").first.map(String.init) })
    #expect(Set(verbs).subtracting(tried).subtracting(Self.withoutLog).sorted() == [])
  }

  private static func shown(_ line: String, _ folder: TemporaryFolder) throws -> String {
    let result = try Command.shell(
      "tasklog \(line)", environment: ["TASKLOG_LOG": "log.db", "TZ": "UTC"], folder: folder.url)
    let ending = result.code == 0 ? "" : "exit code \(result.code)\n"
    return "\n$ tasklog \(line)\n\(result.output)\(result.errors)\(ending)"
  }

  @Test(arguments: names) func `verb output for a frozen log is as expected`(name: String) throws {
    let folder = try Self.copy(name)
    var text = "Every verb over \(name).db, which is never made again.\n"
    for line in Self.reading { text += try Self.shown(line, folder) }
    for view in try LogSchema.views().map(\.name) {
      let result = try Command.run(
        ["query", "SELECT * FROM \(view)", "--log", folder("log.db"), "--format", "jsonl"])
      #expect(result.code == 0, "\(view): \(result.errors)")
      let digest = SHA256.hash(Array(result.output.utf8)).prefix(16)
      text += "\nview \(view): \(result.lines.count) rows, \(digest)"
    }
    text += "\n"
    #expect(try Self.digest(folder("log.db")) == Self.logs[name], "a reader has written")
    for (line, output) in Self.files {
      text += try Self.shown(line, folder)
      guard folder.exists(output) else { continue }
      if output.hasSuffix(".db") {
        let events = try Command.shell("tasklog \(Self.events) \(output)", folder: folder.url)
        #expect(events.code == 0, "\(events.errors)")
        text += "events: \(SHA256.hash(Array(events.output.utf8)).prefix(16))\n"
      } else {
        text += "output: \(try Self.digest(folder(output)).prefix(16))\n"
      }
      try FileManager.default.removeItem(atPath: folder(output))
    }
    // The size of the page depends on the code that draws it.
    text += try Self.shown("report -o report.html", folder)
      .replacing(/, [0-9.]+ [kM]B/, with: "")
    #expect(try Self.digest(folder("log.db")) == Self.logs[name], "a reader has written")
    try folder.makeFolder("nothing")
    for line in Self.writing { text += try Self.shown(line, folder) }
    let events = try Command.shell("tasklog \(Self.events) log.db", folder: folder.url)
    text += "events: \(SHA256.hash(Array(events.output.utf8)).prefix(16))\n"

    let file = Self.folder.appendingPathComponent("\(name).txt")
    if ProcessInfo.processInfo.environment["TASKLOG_WRITE_OUTPUTS"] == "1" {
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    let kept = try String(contentsOf: file, encoding: .utf8)
    let difference = zip(text.split(separator: "\n"), kept.split(separator: "\n")).first {
      $0 != $1
    }
    #expect(text == kept, "\(String(describing: difference))")
  }

  @Test(arguments: names.filter { !isLater($0) })
  func `a recorder continues in an older log`(name: String) throws {
    let folder = try Self.copy(name)
    try folder.makeFolder("texts")
    try folder.write("texts/a.txt", "one two")
    let before = try Command.shell("tasklog \(Self.events) log.db", folder: folder.url)
    let demo = try Command.run(
      ["demo", "--input", folder("texts"), "--log", folder("log.db")], folder: folder.url)
    #expect(demo.code == 0, "\(demo.errors)")
    let after = try Command.shell("tasklog \(Self.events) log.db", folder: folder.url)
    #expect(after.output.hasPrefix(before.output))
    #expect(after.lines.count > before.lines.count)
    #expect(try Command.run(["runs", "--log", folder("log.db")]).lines.count == 2)
  }

  @Test(arguments: names.filter(isLater))
  func `a log of a later version is read, and not written to`(name: String) throws {
    let folder = try Self.copy(name)
    try folder.write("a.txt", "one two")
    for line in ["demo --input .", "index", "recover", "migrate", "prune --keep-runs 0"] {
      let result = try Command.shell(
        "tasklog \(line)", environment: ["TASKLOG_LOG": "log.db"], folder: folder.url)
      #expect(result.code == 1, "\(line)")
      #expect(result.errors.hasPrefix("tasklog: log.db: is of format version 99"), "\(line)")
      #expect(result.errors.split(separator: "\n").count == 1, "\(line): \(result.errors)")
    }
    #expect(try Self.digest(folder("log.db")) == Self.logs[name])
    let demo = name.replacing("later", with: "demo")
    let ours = try Command.run(["query", "--log", Self.path(demo), "--format", "jsonl"])
    let later = try Command.run(["query", "--log", folder("log.db"), "--format", "jsonl"])
    #expect(later.code == 0 && later.output == ours.output)
  }
}
