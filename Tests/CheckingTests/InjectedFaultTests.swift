import EventLog
import Foundation
import LogFormat
import LogMaintenance
import TaskLogPlugin
import TestSupport
import Testing

/// Faults that are injected into a healthy log, one at a time, and the findings of a check.
@Suite struct InjectedFaultTests {
  struct Fault: CustomTestStringConvertible, Sendable {
    var name: String
    var kind: Finding.Kind
    var inject: @Sendable (CheckedLog) throws -> Void

    init(
      _ name: String, _ kind: Finding.Kind,
      _ inject: @escaping @Sendable (CheckedLog) throws -> Void
    ) {
      self.name = name
      self.kind = kind
      self.inject = inject
    }

    init(_ name: String, _ kind: Finding.Kind, sql: String) {
      self.init(name, kind) { try $0.execute(sql) }
    }

    var testDescription: String { name }
  }

  private static let transition = "(SELECT id FROM text WHERE text = 'transition')"

  static let faults: [Fault] = [
    Fault("an event is gone", .holeInSource, sql: "DELETE FROM event WHERE seq = 20"),
    Fault(
      "numbers of the file are gone", .holeInSeq,
      sql: "UPDATE event SET seq = seq + 100 WHERE seq = (SELECT max(seq) FROM event)"),
    Fault(
      "a gap counts an event that is there", .wrongGap,
      sql: "INSERT INTO gap (source, source_seq, count, time, reason) VALUES (1, 3, 1, 1, 'lost')"),
    Fault(
      "a gap of no events", .wrongGap,
      sql: "INSERT INTO gap (source, source_seq, count, time, reason) VALUES (6, 20, 0, 1, 'lost')"
    ),
    Fault(
      "two gaps count the same", .wrongGap,
      sql: "INSERT INTO gap (source, source_seq, count, time, reason) VALUES (6, 9, 1, 1, 'lost')"),
    Fault(
      "a gap beyond a hole", .holeInSource,
      sql: "INSERT INTO gap (source, source_seq, count, time, reason) VALUES (6, 20, 2, 1, 'lost')"
    ),
    Fault(
      "the next number is in use", .wrongNextSeq,
      sql: "UPDATE meta SET value = 3 WHERE name = 'next_seq'"),
    Fault("there is no next number", .wrongNextSeq, sql: "DELETE FROM meta"),
    Fault(
      "args are cut", .unreadableArgs,
      sql: "UPDATE event SET args = substr(args, 1, 7) WHERE seq = 17 OR length(args) > 20"),
    Fault(
      "args are no object", .unreadableArgs, sql: "UPDATE event SET args = '[1]' WHERE seq = 9"),
    Fault(
      "a snapshot is cut", .unreadableSnapshot,
      sql: "UPDATE event SET snapshot = '{' WHERE snapshot IS NOT NULL"),
    Fault("bytes are gone", .missingBlob, sql: "DELETE FROM blob"),
    Fault("bytes are others", .wrongBlob, sql: "UPDATE blob SET bytes = x'00'"),
    Fault(
      "a key is gone", .unknownReference, sql: "DELETE FROM key WHERE text = 'load-1'"),
    Fault(
      "a text is gone", .unknownReference, sql: "DELETE FROM text WHERE text = 'waiting'"),
    Fault(
      "a hook is gone", .unknownReference, sql: "DELETE FROM text WHERE text = 'addWorker'"),
    Fault(
      "a prefix is gone", .unknownReference, sql: "DELETE FROM text WHERE text = 'load'"),
    Fault("a source is gone", .unknownReference, sql: "DELETE FROM source WHERE id = 2"),
    Fault("a run is gone", .unknownReference, sql: "DELETE FROM run WHERE id = 1"),
    Fault(
      "a gap of an unknown source", .unknownReference,
      sql: "INSERT INTO gap (source, source_seq, count, time, reason) VALUES (99, 1, 1, 1, 'lost')"
    ),
    Fault(
      "a key cannot be decoded", .unreadableKey,
      sql: "UPDATE key SET typed = '{\"' WHERE typed != ''"),
    Fault(
      "a change that cannot be", .impossibleTransition,
      sql: """
        UPDATE event SET finish = (SELECT id FROM text WHERE text = 'waiting')
        WHERE start = (SELECT id FROM text WHERE text = 'processing')
          AND finish = (SELECT id FROM text WHERE text = 'memory') AND source = 1
        """),
    Fault(
      "a change from where the task was not", .brokenChain,
      sql: """
        UPDATE event SET start = (SELECT id FROM text WHERE text = 'waiting')
        WHERE start = (SELECT id FROM text WHERE text = 'processing')
          AND finish = (SELECT id FROM text WHERE text = 'memory') AND source = 1
        """),
    Fault(
      "a change of nothing", .incompleteTransition,
      sql: "UPDATE event SET key = NULL WHERE hook = \(transition) AND source = 2"),
    Fault(
      "a change to nothing", .incompleteTransition,
      sql: "UPDATE event SET finish = NULL WHERE hook = \(transition) AND source = 2"),
    Fault(
      "a time before 1970", .wrongTime, sql: "UPDATE event SET time = -1 WHERE seq = 10"),
    Fault(
      "a run that ends before it starts", .wrongTime,
      sql: "UPDATE run SET ended = started - 1 WHERE id = 1"),
    Fault(
      "an end without a time", .wrongEnd, sql: "UPDATE run SET ended = NULL WHERE id = 1"),
    Fault("a time without an end", .wrongEnd, sql: "UPDATE run SET end = NULL WHERE id = 1"),
    Fault(
      "a death that is not recorded", .diedUnnoticed,
      sql: "UPDATE run SET end = NULL, ended = NULL WHERE id = 1"),
    Fault(
      "a run that has other events than it says", .wrongTotals,
      sql: "UPDATE run SET events = events + 1 WHERE id = 2"),
    Fault(
      "a run whose events are elsewhere", .wrongTotals,
      sql: "UPDATE run SET last_seq = last_seq - 1 WHERE id = 1"),
    Fault(
      "a run of workers alone", .noScheduler,
      sql: "UPDATE source SET kind = 'worker' WHERE id = 4"),
    Fault("a known gap", .knownGap, sql: "SELECT 1"),
    Fault(
      "events that were pruned", .prunedEvents, sql: "UPDATE gap SET reason = 'pruned'"),
    Fault(
      "events in an earlier file", .earlierFile,
      sql: "UPDATE gap SET reason = 'in an earlier file: run.db'"),
    Fault(
      "events that a filter has left out", .filtered,
      sql: """
        UPDATE run SET metadata = json_set(metadata, '$.limits', json('{"excludeHooks":["close"]}'))
        WHERE id = 1
        """),
    Fault(
      "a run that others may hold the rest of", .partialRun,
      sql: """
        UPDATE run SET metadata = json_set(metadata, '$.partial', json('true')) WHERE id = 2;
        DELETE FROM event WHERE seq = (SELECT last_seq - 1 FROM run WHERE id = 2)
        """),
    Fault("a view is gone", .missingObject, sql: "DROP VIEW stories"),
    Fault("an index is gone", .missingObject, sql: "DROP INDEX event_key"),
    Fault(
      "a view is another", .changedObject,
      sql: "DROP VIEW gaps; CREATE VIEW gaps AS SELECT 1 AS run"),
    Fault(
      "a view cannot be asked", .brokenView,
      sql: "DROP VIEW gaps; CREATE VIEW gaps AS SELECT * FROM nowhere"),
    Fault(
      "an index does not agree with its table", .damagedPage,
      sql: """
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET rootpage =
          (SELECT rootpage FROM sqlite_schema WHERE name = 'gap_source') WHERE name = 'event_key';
        """),
    Fault(
      "a trigger", .foreignSchema,
      sql: "CREATE TRIGGER mine AFTER INSERT ON event BEGIN SELECT 1; END"),
    Fault("a table of another program", .otherObject, sql: "CREATE TABLE other (a)"),
    Fault(
      "a hook from the future", .unknownHook,
      sql: "UPDATE text SET text = 'transmogrify' WHERE text = 'start'"),
    Fault(
      "a state from the future", .unknownState,
      sql: "UPDATE text SET text = 'paused' WHERE text = 'queued' OR text = 'executing'"),
    Fault("a file from the future", .newerVersion, sql: "PRAGMA user_version = 99"),
    Fault("a file for everybody", .readableByOthers) { chmod($0.path, 0o644) },
    Fault("a page of zeroes", .damagedPage) { log in
      try log.damage { bytes in
        for place in try log.rootPage(of: "event", in: bytes) { bytes[place] = 0 }
      }
    },
    Fault("a page of events cannot be read", .unreadable) { log in
      try log.damage { bytes in
        for place in try log.rootPage(of: "event", in: bytes) { bytes[place] = 0xFF }
      }
    },
    Fault("a file that is cut", .damagedPage) { log in
      try log.damage { $0.removeLast(3 * 8192) }
    },
    Fault("a spool that was left behind", .undrainedSpool) { log in
      try log.execute("UPDATE run SET end = NULL, ended = NULL WHERE id = 1")
      try log.makeSpool("01942f00-0000-7000-8000-000000000001")
    },
    Fault("a spool of another log", .strangeSpool) { log in
      try log.makeSpool("01942f00-0000-7000-8000-00000000000f", files: ["lock", "control"])
    },
    Fault("a log that has less than its recorder had written into it", .lostCommits) { log in
      try log.makeSpool("01942f00-0000-7000-8000-000000000001")
      try log.makeSpoolHeader("01942f00-0000-7000-8000-000000000001", committed: 1 << 20)
    },
    Fault("a folder that a killed recorder did not remove", .emptySpool) { log in
      try log.makeSpool("01942f00-0000-7000-8000-000000000001")
    },
    Fault("a folder that a killed recorder did not use", .emptySpool) { log in
      try log.makeSpool("01942f00-0000-7000-8000-00000000000f")
    },
    Fault(
      "a worker that ships its events, and has no end", .incompleteWorker,
      sql: """
        UPDATE run SET metadata = json_set(metadata, '$.workers', json('true')) WHERE id = 1;
        DELETE FROM event WHERE hook = (SELECT id FROM text WHERE text = 'teardown')
        """),
  ]

  @Test(arguments: faults) func `an injected fault is found and named`(_ fault: Fault) throws {
    let log = try CheckedLog()
    try fault.inject(log)
    let findings = try LogCheck(path: log.path).run().findings
    #expect(findings.contains { $0.kind == fault.kind }, "found: \(findings)")
  }

  @Test func `the only finding in a healthy log is its known gap`() throws {
    let log = try CheckedLog()
    let findings = try LogCheck(path: log.path).run().findings
    #expect(findings.map(\.kind) == [.knownGap])
  }

  @Test func `an event that no log of a run contains is missing in all of them together`() throws {
    let logs = try [20, 21].map { seq in
      let log = try CheckedLog()
      try log.execute(
        """
        UPDATE run SET metadata = json_set(metadata, '$.partial', json('true'));
        DELETE FROM event WHERE source = (SELECT source FROM event WHERE seq = 19)
          AND source_seq IN (3, \(seq - 16));
        """)
      return log
    }
    var parts = PartialRunAudit()
    for log in logs {
      try parts.add(LogReader(path: log.path))
      #expect(try !LogCheck(path: log.path).run().findings.contains { $0.kind == .holeInSource })
    }
    let first = try #require(
      parts.findings.first { $0.finding.detail.contains("are in none of the logs") })
    #expect(first.finding.kind == .inNoLog)
    #expect(first.finding.count == 1)
    #expect(first.logs == logs.map(\.path))
  }

  @Test func `every kind of finding is injected`() {
    // Events missing in all of several logs: see the tests of several recorders.
    let injected = Set(Self.faults.map(\.kind)).union([.inNoLog])
    #expect(Finding.Kind.allCases.filter { !injected.contains($0) } == [])
  }
}

/// A copy of the committed sample log, with bytes that are stored once, to be damaged.
final class CheckedLog {
  private let folder: TemporaryFolder
  var path: String { folder("test.db") }

  init() throws {
    folder = try TemporaryFolder()
    let sample = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("CommandTests/Logs/sample.db")
    try FileManager.default.copyItem(atPath: sample.path, toPath: path)
    chmod(path, 0o600)
    let writer = try LogWriter(path: path)
    try writer.transaction {
      try writer.append(
        Event(
          .logEvent, time: 1_769_860_860_000_000_000,
          args: Args(named: [.init("data", .bytes(Array(repeating: 7, count: 300)))])),
        source: 4, sourceSeq: 13)
    }
    writer.close()
  }

  func execute(_ sql: String) throws {
    try Connection(path: path, mode: .readWrite).execute(sql)
  }

  /// The bytes of the first page of a table.
  func rootPage(of table: String, in bytes: [UInt8]) throws -> Range<Int> {
    let found = try Connection(path: path, mode: .readOnly)
      .integer("SELECT rootpage FROM sqlite_schema WHERE name = '\(table)'")
    let size = Int(bytes[16]) << 8 | Int(bytes[17])
    let page = Int(try #require(found))
    return (page - 1) * size..<page * size
  }

  func damage(_ change: (inout [UInt8]) throws -> Void) throws {
    var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    try change(&bytes)
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  func makeSpool(_ run: String, files: [String] = ["lock"]) throws {
    let spool = path + ".spool/" + run
    try FileManager.default.createDirectory(atPath: spool, withIntermediateDirectories: true)
    for name in files { try Data().write(to: URL(fileURLWithPath: spool + "/" + name)) }
  }

  func makeSpoolHeader(_ run: String, committed: UInt64) throws {
    let identity = try LogReader(path: path).logIdentity()
    var words = [UInt64](repeating: 0, count: SpoolHeader.size / 8)
    words[0] = SpoolHeader.magic
    words[SpoolHeader.Offset.log / 8] = max(1, identity)
    words[SpoolHeader.Offset.nextLog / 8] = max(1, identity)
    words[SpoolHeader.Offset.committed / 8] = committed
    let file = path + ".spool/\(run)/\(SpoolHeader.control)"
    try words.withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: file)) }
  }
}
