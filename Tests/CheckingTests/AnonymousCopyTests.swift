import EventLog
import Foundation
import LogFormat
import LogMaintenance
import TaskLogKit
import TaskLogPlugin
import TestSupport
import Testing

/// Anonymised copies of what our own engine records.
@Suite struct AnonymousCopyTests {
  private struct PlantedError: Error, CustomStringConvertible {
    var description: String
  }

  /// Names that must not be in a copy.
  private static let planted = (0..<40).map { number in
    "Plant" + String(UnicodeScalar(UInt8(97 + number / 26))) + "wort"
      + String(UnicodeScalar(UInt8(97 + number % 26)))
  }

  /// A log of a cluster with a planted name wherever it takes one.
  private static func record(_ path: String, verify: [any Plugin.Type] = []) async throws {
    var names = planted[...]
    func name() -> String { names.removeFirst() }
    var options = Recorder.Options()
    options.labels = [name(): name(), "pipeline": name()]
    options.metadata = .object([
      "host": .string(name()), "user": .string(name()),
      "caller": .object([
        "host": .string(name() + ".example.org"), "user": .string("\(name()) \(name())"),
        "git_revision": .string(name()), "command_line": .string("/home/\(name())/run.py"),
      ]),
      "identity": .object(["hostname": .string(name()), "job": .object([name(): .string(name())])]),
      "a later field": .list([.string(name()), .object([name(): .int(1)])]),
    ])
    let resource = name()
    let cluster = try await LocalCluster(
      workers: 2, allowedFailures: 1,
      resources: KeyValuePairs(dictionaryLiteral: (resource, 2)),
      recorder: Recorder(log: path, options: options, verify: verify, every: 1))
    let client = cluster.client
    let (error, directory, annotation, value) = (name(), name(), name(), name())
    let numbers = client.map(name(), Array(0..<12)) { number in
      if number % 5 == 1 { throw PlantedError(description: "\(error) in /srv/\(directory)") }
      return number
    }
    let twice = numbers.map { client.submit(name() + "-part", $0) { $0 * 2 } }
    for number in twice { _ = try? await number.result() }
    let last = client.submit(
      "last", key: Key(name(), name()), resources: KeyValuePairs(dictionaryLiteral: (resource, 1)),
      annotations: KeyValuePairs(
        dictionaryLiteral: (annotation, .object([value: .string(name())])))
    ) { 1 }
    _ = try await last.result()
    if let address = await cluster.scheduler.workerAddresses().first {
      try await cluster.killWorker(address)
    }
    await cluster.close()
    #expect(planted.count - names.count > 35)
  }

  private static func copy(
    _ path: String, to other: String, keeping kept: Set<KeptName> = []
  ) throws -> (Pseudonyms, LogAnonymization.Result) {
    let reader = try LogReader(path: path)
    let pseudonyms = Pseudonyms(keeping: kept)
    let result = try LogAnonymization.copy(
      reader.runs().map { ($0, reader) }, to: other, keeping: kept, pseudonyms: pseudonyms)
    return (pseudonyms, result)
  }

  /// The names that are in a file, in any of the forms in which text is stored.
  private static func names(in path: String) throws -> [String] {
    let bytes = String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
    let text = bytes.lowercased()
    return planted.filter { name in
      let base64 = (0..<3).map { shift in
        let encoded = Data(repeating: 0, count: shift) + Data(name.utf8)
        // Without the characters that depend on the neighbours.
        return encoded.base64EncodedString().dropFirst(shift == 0 ? 0 : shift + 1).prefix(12)
      }
      let wide = name.lowercased().map { "\($0)\u{0}" }.joined().dropLast()
      let hexadecimal = name.utf8.map(\.hexadecimal).joined()
      return text.contains(name.lowercased()) || text.contains(wide)
        || text.contains(hexadecimal) || base64.contains { bytes.contains($0) }
    }
  }

  @Test func `no planted name is in a copy`() async throws {
    let folder = try TemporaryFolder()
    try await Self.record(folder("run.db"))
    // All of them are in the original, so that they can be found.
    #expect(try Self.names(in: folder("run.db")).count > 35)
    let (_, result) = try Self.copy(folder("run.db"), to: folder("bug.db"))
    #expect(try Self.names(in: folder("bug.db")) == [])
    let tasks = "SELECT count(DISTINCT key) FROM tasks"
    let log = try Connection(path: folder("run.db"), mode: .readOnly)
    #expect(try Int64(result.keys) == log.integer(tasks))
    #expect(result.exceptions >= 1)
    #expect(result.removed.tracebacks > 0)
    #expect(result.removed.commandLines == 1)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == [
        "bug.db", "run.db",
      ])
  }

  @Test func `a copy is the original under other names`() async throws {
    let folder = try TemporaryFolder()
    try await Self.record(folder("run.db"))
    let (pseudonyms, _) = try Self.copy(folder("run.db"), to: folder("bug.db"))
    let original = try Connection(path: folder("run.db"), mode: .readOnly)
    let copy = try Connection(path: folder("bug.db"), mode: .readOnly)
    #expect(try copy.integer("PRAGMA freelist_count") == 0)
    let ids = try [original, copy].flatMap { try Self.rows($0, "SELECT uuid FROM run") }
      .compactMap { $0[0] }
    #expect(ids.count == 2 && ids[0] != ids[1] && ids.allSatisfy { UUID(uuidString: $0) != nil })
    #expect(ids[0].prefix(18) == ids[1].prefix(18))
    for (sql, names) in Self.queries {
      let rows = try Self.rows(original, sql).map { row in
        row.enumerated().map { index, text in
          index < names ? text.map { pseudonyms.name($0) } : text
        }
      }
      #expect(!rows.isEmpty, "\(sql)")
      let copies = try Self.rows(copy, sql)
      #expect(copies.count == rows.count, "\(sql)")
      // Only keys, prefixes and groups sort as before.
      let isInOrder = !sql.contains("FROM labels")
      func inOrder(_ rows: [[String?]]) -> [[String?]] {
        isInOrder ? rows : rows.sorted { "\($0)" < "\($1)" }
      }
      for (row, own) in zip(inOrder(rows), inOrder(copies)) { #expect(own == row, "\(sql)") }
    }
    #expect(try LogCheck(path: folder("bug.db")).run().findings.isEmpty)
    #expect(try LogCheck(path: folder("run.db")).run().findings.isEmpty)
  }

  /// Queries, and the number of their first columns that are names.
  private static let queries = [
    (
      "SELECT key, prefix, key_group, worker, server_id, seq, time_ns, hook, start, finish, source_seq, source, task_run, life, args IS NULL, snapshot IS NULL FROM events ORDER BY seq",
      5
    ),
    (
      "SELECT key, prefix, worker, state, nbytes, transitions, dispatch_count, done, failures FROM tasks ORDER BY key",
      3
    ),
    (
      "SELECT prefix, tasks, done, failed, retried, nbytes, compute FROM prefixes ORDER BY prefix",
      1
    ),
    (
      "SELECT prefix, source, state, count, seconds, p50, p95, max FROM prefix_states ORDER BY prefix, source, state",
      1
    ),
    ("SELECT key, prefix, cause_key, seq, cause_seq FROM failures ORDER BY seq", 3),
    ("SELECT key, worker, seq, retries, dependents FROM errors ORDER BY seq", 2),
    ("SELECT key, prefix, worker, action, start, stop, seq FROM task_durations ORDER BY seq", 3),
    ("SELECT key, dependency, run FROM dependencies ORDER BY key, dependency", 2),
    ("SELECT key, worker, phase, seconds FROM critical_path", 2),
    ("SELECT worker, name, life, nthreads, utilization FROM workers ORDER BY worker, life", 1),
    ("SELECT name, value, seq FROM labels ORDER BY seq, (SELECT 1)", 2),
    ("SELECT tasks, failed, events, started, ended, \"end\", engine, mode FROM runs", 0),
    (
      "SELECT run, source_kind, text, events, redacted, truncated FROM event_total JOIN text ON id = hook ORDER BY run, source_kind, text",
      0
    ),
  ]

  private static func rows(_ connection: Connection, _ sql: String) throws -> [[String?]] {
    let select = try connection.prepare(sql)
    var rows: [[String?]] = []
    while try select.step() {
      rows.append((0..<select.columnCount).map { select.optionalText($0) })
    }
    return rows
  }

  @Test func `a plugin reports of a copy what it reported live`() async throws {
    let folder = try TemporaryFolder()
    try await Self.record(folder("run.db"), verify: [Counter.self])
    _ = try Self.copy(folder("run.db"), to: folder("bug.db"))
    var reports: [[String]] = []
    for name in ["run.db", "bug.db"] {
      let reader = try LogReader(path: folder(name))
      var options = ReplayOptions()
      options.verifies = true
      let replayer = Replayer(reader: reader, run: try reader.runs()[0], options: options)
      replayer.add(PluginFactory(name: "Counter", summary: "", type: Counter.self))
      let result = try await replayer.replay()
      let verification = try #require(result.verifications.first)
      #expect(verification.first == nil, "\(name): \(verification)")
      #expect(verification.noted > 10)
      reports.append(result.reports.map { "\($0.report)" })
    }
    #expect(reports[0] == reports[1])
  }

  @Test func `names stay only on request`() async throws {
    let folder = try TemporaryFolder()
    try await Self.record(folder("run.db"))
    _ = try Self.copy(folder("run.db"), to: folder("bug.db"), keeping: [.keys])
    let original = try Connection(path: folder("run.db"), mode: .readOnly)
    let keys = try Connection(path: folder("bug.db"), mode: .readOnly)
    for sql in [
      "SELECT key, prefix FROM tasks ORDER BY key", "SELECT DISTINCT key_group FROM events",
    ] {
      #expect(try Self.rows(keys, sql) == Self.rows(original, sql))
    }
    let exceptions = "SELECT DISTINCT exception FROM errors ORDER BY seq"
    #expect(try Self.rows(keys, exceptions) != Self.rows(original, exceptions))
    _ = try Self.copy(folder("run.db"), to: folder("other.db"), keeping: [.exceptions])
    let other = try Connection(path: folder("other.db"), mode: .readOnly)
    #expect(try Self.rows(other, exceptions) == Self.rows(original, exceptions))
    #expect(
      try Self.rows(other, "SELECT key FROM tasks") != Self.rows(original, "SELECT key FROM tasks"))
  }

  @Test func `events that are recorded while a copy is made are not in it`() throws {
    let folder = try TemporaryFolder()
    let writer = try LogWriter(path: folder("run.db"))
    let (run, source) = try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: RunID.make(), engine: "dask", engineVersion: "1", recorderVersion: "1", mode: "full",
          started: 1))
      return (
        run, try writer.add(Source(kind: .scheduler, id: "s", address: "tcp://s:1"), run: run)
      )
    }
    func append(_ numbers: ClosedRange<Int64>) throws {
      try writer.transaction {
        for number in numbers {
          try writer.append(
            Event(
              .transition, time: number, key: Key("task-\(number)"), start: .released,
              finish: .waiting), source: source, sourceSeq: number)
        }
      }
    }
    try append(1...5000)
    let reader = try LogReader(path: folder("run.db"))
    var isGrown = false
    let result = try LogAnonymization.copy(
      reader.runs().map { ($0, reader) }, to: folder("bug.db")
    ) { seen in
      // Each event is read twice, so that this is in the second pass.
      guard seen > 5000, !isGrown else { return }
      isGrown = true
      #expect(throws: Never.self) { try append(5001...5100) }
    }
    #expect(isGrown)
    #expect(run == 1)
    #expect(result.events == 5000)
    let copy = try Connection(path: folder("bug.db"), mode: .readOnly)
    #expect(try copy.integer("SELECT count(DISTINCT text) FROM key") == 5000)
    writer.close()
  }

  @Test func `no text in an event of a user is in a copy`() throws {
    let folder = try TemporaryFolder()
    let names = Self.planted[..<8]
    let json = """
      {"topic":"all","msg":{"tasks":{"$tuple":[{"file":"/home/\(names[0])/\(names[1]).csv"}]},\
      "key":{"$tuple":["report",["\(names[2])"]]},"cause":{"$tuple":[{"\(names[3])":1}]},\
      "exception":{"\(names[4])":3,"\(names[5])2":["x"]},\
      "keys":{"$shared":["\(names[6])",["a"]]},"reason":"\(names[7])-5559876543"}}
      """
    let writer = try LogWriter(path: folder("run.db"))
    try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: RunID.make(), engine: "dask", engineVersion: "10.1.2.3", recorderVersion: "1",
          mode: "full", started: 1))
      let source = try writer.add(
        Source(kind: .scheduler, id: "s", address: "tcp://s:1"), run: run)
      let args = Args(recorded: try JSONReader.value(json, opensShared: false))
      try writer.append(
        Event(.logEvent, time: 1, stimulusID: "x-5559876543", args: args), source: source,
        sourceSeq: 1)
    }
    writer.close()
    let digits = "5559876543"
    func text(_ path: String) throws -> String {
      let log = try Connection(path: path, mode: .readOnly)
      let columns = ["args", "(SELECT group_concat(text) FROM text)", "run.engine_version"]
      return try Self.rows(log, "SELECT \(columns.joined(separator: ", ")) FROM events, run")
        .flatMap { $0 }.compactMap { $0 }.joined(separator: " ")
    }
    let original = try text(folder("run.db"))
    #expect(names.allSatisfy(original.contains))
    #expect(original.contains(digits) && original.contains("10.1.2.3"))
    _ = try Self.copy(folder("run.db"), to: folder("bug.db"))
    #expect(try Self.names(in: folder("bug.db")) == [])
    let copy = try text(folder("bug.db"))
    #expect(!copy.isEmpty && !copy.contains(digits) && !copy.contains("10.1.2.3"), "\(copy)")
  }

  @Test func `a copy removes no file that it has not made`() async throws {
    let folder = try TemporaryFolder()
    try await Self.record(folder("run.db"))
    let taken = ["bug.db.unfinished", "bug.db.unfinished-wal", "bug.db.2.unfinished-journal"]
    for name in taken { try folder.write(name, name) }
    #expect(symlink(folder("nowhere"), folder("bug.db.3.unfinished")) == 0)
    let names = folder.names
    _ = try Self.copy(folder("run.db"), to: folder("bug.db"))
    #expect(folder.names == (names + ["bug.db"]).sorted())
    for name in taken { #expect(try String(contentsOfFile: folder(name), encoding: .utf8) == name) }
  }

  @Test func `a copy replaces no file`() async throws {
    let folder = try TemporaryFolder()
    try await Self.record(folder("run.db"))
    try folder.write("bug.db", "precious")
    #expect(throws: LogError.self) { try Self.copy(folder("run.db"), to: folder("bug.db")) }
    #expect(try String(contentsOfFile: folder("bug.db"), encoding: .utf8) == "precious")
    #expect(throws: LogError.self) {
      try Self.copy(folder("run.db"), to: folder("no folder/bug.db"))
    }
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == [
        "bug.db", "run.db",
      ])
  }
}
