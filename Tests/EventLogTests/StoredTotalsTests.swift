import Foundation
import TestTraits
import Testing

@testable import EventLog
@testable import LogAnalysis
@testable import LogFormat
@testable import LogMaintenance
@testable import TaskLogPlugin

/// The stored totals of a run equal those of its events, whatever has written the log.
@Suite struct StoredTotalsTests {
  private let folder: TemporaryFolder
  private var path: String { folder("log.db") }

  init() throws { folder = try TemporaryFolder() }

  private static let tables = [
    "SELECT run, tasks, failed FROM run_total ORDER BY run",
    "SELECT source, events FROM source_total WHERE events > 0 ORDER BY source",
    "SELECT * FROM event_total ORDER BY run, source_kind, hook",
    "SELECT hook, seq FROM hook_event ORDER BY hook, seq",
    "SELECT name, value FROM meta WHERE name NOT IN ('next_seq', 'intern_generation') ORDER BY name",
  ]

  /// The stored totals of a log, which equal a rebuild from its events.
  @discardableResult
  private func totals(_ path: String? = nil) throws -> [[[SQLiteValue]]] {
    let path = path ?? self.path
    #expect(try !LogCheck(path: path).run().findings.contains { $0.kind == .wrongTotals })
    let stored = try Self.tables.map { try sql($0, on: path) }
    let copy = folder("rebuilt.db")
    try? FileManager.default.removeItem(atPath: copy)
    _ = try sql("VACUUM INTO '\(copy)'", on: path)
    let connection = try Connection(path: copy, mode: .readWrite)
    try connection.transaction { try StoredTotals.rebuild(connection) }
    let rebuilt = try Self.tables.map { try sql($0, on: copy) }
    for (stored, rebuilt) in zip(stored, rebuilt) { #expect(stored == rebuilt) }
    return stored
  }

  private static let hooks: [Hook] = [
    .transition, .transition, .transition, .transition, .transition, .stimulus, .heartbeat,
    .logEvent, .excluded, .report, .updateGraph, .other("label"), .other("telepathy"),
  ]

  private static func event(_ random: inout SplitMix64) -> Event {
    let hook = hooks[random.below(hooks.count)]
    var event = Event(hook, time: 1)
    if hook == .transition || random.once(in: 3) {
      event.key =
        random.once(in: 9) ? Key("tuple", random.below(4)) : Key("key-\(random.below(40))")
    }
    if hook == .transition || random.once(in: 9) {
      let states: [State] = [.erred, .processing, .memory, .waiting, .other("levitating")]
      event.start = states[random.below(states.count)]
      event.finish = states[random.below(states.count)]
    }
    if hook == .heartbeat {
      event.args = Args(named: [.init("metrics", .object(["cpu": .int(Int64(random.below(9)))]))])
    } else if random.once(in: 3) {
      event.args = Args(named: [
        .init("a", random.once(in: 3) ? .opaque("redacted") : .string("$opaque\":\"redacted\"")),
        .init(
          "b",
          random.once(in: 3)
            ? .tagged("$capped", .object(["bytes": .int(9), "head": "x"])) : .opaque("capped!")),
        .init("c", random.once(in: 9) ? .opaque("capped") : .string(#""$opaque":"capped""#)),
      ])
    }
    if random.once(in: 20) {
      let bytes = [UInt8](repeating: UInt8(random.below(5)), count: 300 + random.below(3))
      event.args = Args(named: [.init("data", .bytes(bytes))])
    }
    if random.once(in: 5) {
      event.snapshot = .other(.object(["task": random.once(in: 3) ? .opaque("redacted") : .int(1)]))
    }
    return event
  }

  private struct Refused: Error {}

  /// Writes runs of the same keys with several writers, and rolls some transactions back.
  private func write(_ seed: UInt64, to path: String, runs: Int = 3) throws {
    var random = SplitMix64(seed: seed)
    for _ in 0..<runs {
      var writer = try LogWriter(path: path)
      let (run, sources) = try writer.transaction {
        let run = try writer.add(.test())
        var sources = [try writer.add(.scheduler, run: run)]
        for number in 1...2 {
          sources.append(
            try writer.add(
              Source(kind: .worker, id: "Worker-\(number)", address: "w:\(number)"), run: run))
        }
        return (run, sources)
      }
      var sourceSeqs: [Int64: Int64] = [:]
      for _ in 0..<12 {
        let before = sourceSeqs
        do {
          try writer.transaction {
            for _ in 0..<random.below(90) {
              let source = sources[random.below(sources.count)]
              sourceSeqs[source, default: 0] += 1
              try writer.append(
                Self.event(&random), source: source, sourceSeq: sourceSeqs[source] ?? 0)
            }
            if random.once(in: 4) { throw Refused() }
          }
        } catch is Refused {
          sourceSeqs = before
        }
        if random.once(in: 4) {
          writer.close()
          writer = try LogWriter(path: path)
        }
      }
      try writer.transaction { try writer.end(run: run, .closed, at: 9_000) }
      writer.close()
    }
  }

  @Test(arguments: 1...8)
  func `after appends and rollbacks, stored totals equal those of the events`(
    seed: UInt64
  ) throws {
    try write(seed, to: path)
    let stored = try totals()
    #expect(stored[0].count == 3 && stored[1].count == 9 && stored[2].count > 30)
    #expect(stored[3].count > 20)
    #expect(stored[4].count == 4 && stored[4].allSatisfy { $0[1] != 0 })
    let sums = stored[2]
    for column in 3...7 { #expect(sums.contains { $0[column] != 0 }, "column \(column)") }
    #expect(stored[0].contains { $0[2] != 0 && $0[1] != $0[2] })
  }

  @Test func `two writers of one run count each task once`() throws {
    let log = try LogUnderTest(path)
    let other = try LogWriter(path: path)
    let worker = try log.addWorker(1)
    try log.append([.transition("a", .released, .waiting), .transition("b", .released, .waiting)])
    try other.transaction {
      for (place, key) in ["a", "c", "b"].enumerated() {
        try other.append(
          .transition(Key(key), .waiting, .ready), source: worker, sourceSeq: Int64(place + 1))
      }
    }
    try log.append([
      .transition("c", .processing, .erred), .transition("a", .processing, .erred),
      .transition("a", .processing, .erred),
    ])
    other.close()
    try log.close()
    #expect(try totals()[0] == [[1, 3, 2]])
  }

  @Test func `a merged log has the totals of its events`() throws {
    try write(21, to: folder("one.db"))
    try write(22, to: folder("two.db"))
    let merge = try LogMerge(into: path)
    for name in ["one.db", "two.db", "one.db"] {
      _ = try merge.add(LogReader(path: folder(name)))
    }
    merge.close()
    #expect(try totals()[0].count == 6)
  }

  @Test func `pruned events are subtracted from the totals, step by step`() throws {
    try write(31, to: path)
    let before = try totals()
    let pruning = try LogPruning(path: path)
    let runs = try LogReader(path: path).runs()
    _ = try pruning.prune([runs[0]], keepingFailures: false)
    var steps = 0
    _ = try pruning.prune([runs[1]], keepingFailures: true) { _ in steps += 1 }
    _ = try pruning.reclaimSpace()
    pruning.close()
    let after = try totals()
    #expect(steps > 0 && after[0][0] == [1, 0, 0] && after[0][2] == before[0][2])
    #expect(after[2].count < before[2].count)
  }

  @Test func `a salvaged log has the totals of the salvaged events`() throws {
    try write(41, to: path)
    _ = try LogSalvage.salvage(path, into: folder("saved.db"))
    #expect(try totals(folder("saved.db")) == totals())
  }

  @Test func `a salvage reports how many of the last events of which source are lost`() throws {
    try write(42, to: path, runs: 1)
    try sql("DELETE FROM event WHERE source = 2 AND source_seq > 5", on: path)
    let lost = try sql(
      "SELECT source_total.events - 5 FROM source_total WHERE source = 2", on: path)
    #expect(lost != [[0]])
    _ = try LogSalvage.salvage(path, into: folder("saved.db"))
    #expect(
      try sql("SELECT source_seq, count, reason FROM gap WHERE source = 2", on: folder("saved.db"))
        == [[6, lost[0][0], .text(LogSalvage.reason)]])
    #expect(try sql("SELECT count(*) FROM gap WHERE source != 2", on: folder("saved.db")) == [[0]])
    try totals(folder("saved.db"))
  }

  @Test func `a migration fills the totals of an older log`() throws {
    let frozen = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("CommandTests/Frozen/v1-dask.db")
    try FileManager.default.copyItem(atPath: frozen.path, toPath: path)
    func shown() throws -> String {
      let reader = try LogReader(path: path)
      let run = try reader.latest()
      return "\(try reader.totals(of: run)) \(try reader.eventKinds(of: run))"
        + " \(try query("SELECT run, tasks, failed, labels FROM runs", path).rows)"
        + " \(try query("SELECT * FROM event_kinds", path).rows)"
    }
    // While it is in the older format, everything is counted.
    let counted = try shown()
    try LogMigration.migrate(path)
    #expect(try totals()[0] == [[1, 9, 2]])
    #expect(try shown() == counted)
  }

  @Test func `readers use stored totals, and count if there are none`() throws {
    try write(51, to: path, runs: 1)
    let reader = try LogReader(path: path)
    let run = try reader.latest()
    let (tasks, kinds) = (try reader.totals(of: run).tasks, try reader.eventKinds(of: run))
    let view = try query("SELECT tasks, failed FROM runs", path).rows
    let kindsOfView = try query("SELECT * FROM event_kinds", path).rows
    try sql("UPDATE run_total SET tasks = tasks + 100, failed = failed + 100", on: path)
    try sql("UPDATE event_total SET args_bytes = args_bytes + 1000", on: path)
    #expect(try reader.totals(of: run).tasks == tasks + 100)
    #expect(try reader.eventKinds(of: run).map(\.argsBytes) == kinds.map { $0.argsBytes + 1000 })
    #expect(try query("SELECT tasks, failed FROM runs", path).rows != view)
    try sql("DELETE FROM run_total", on: path)
    #expect(try reader.totals(of: run).tasks == tasks)
    let counted = try reader.eventKinds(of: run)
    #expect(counted.map(\.argsBytes) == kinds.map(\.argsBytes))
    #expect(counted.map(\.hook) == kinds.map(\.hook))
    #expect(try query("SELECT tasks, failed FROM runs", path).rows == view)
    #expect(try query("SELECT * FROM event_kinds", path).rows == kindsOfView)
  }

  @Test(arguments: [
    "UPDATE run_total SET tasks = tasks + 1", "UPDATE run_total SET failed = 0",
    "DELETE FROM run_total", "UPDATE source_total SET events = events - 1 WHERE source = 2",
    "DELETE FROM source_total WHERE source = 3", "UPDATE event_total SET events = 1",
    "UPDATE event_total SET args_bytes = args_bytes + 1", "UPDATE event_total SET redacted = 99",
    "DELETE FROM event_total WHERE hook = (SELECT id FROM text WHERE text = 'transition')",
    "INSERT INTO event_total (run, source_kind, hook, events) VALUES (7, 'worker', 1, 5)",
    "DELETE FROM hook_event WHERE seq = (SELECT max(seq) FROM hook_event)",
    "UPDATE hook_event SET seq = seq + 10000 WHERE seq = (SELECT max(seq) FROM hook_event)",
    "UPDATE event SET key = NULL WHERE key = 1",
    "UPDATE meta SET value = value + 1 WHERE name = 'keys'",
    "UPDATE meta SET value = value + 1 WHERE name = 'texts'",
    "DELETE FROM meta WHERE name = 'blobs'",
    "UPDATE meta SET value = 0 WHERE name = 'blob_bytes'",
    """
    DELETE FROM event WHERE source = 2 AND source_seq = (
      SELECT max(source_seq) FROM event WHERE source = 2)
    """,
  ])
  func `a check finds totals that differ from the events`(change: String) throws {
    try write(61, to: path, runs: 1)
    try totals()
    try sql(change, on: path)
    let findings = try LogCheck(path: path).run().findings
    #expect(findings.contains { $0.kind == .wrongTotals }, "\(findings)")
  }

  @Test func `labels are those of the start, with later changes`() throws {
    let writer = try LogWriter(path: path)
    try writer.transaction {
      for labels in [["pipeline": "etl", "branch": "main", "old": "x"], [:]] as [[String: String]] {
        var header = RunHeader.test()
        header.metadata = .object([
          "labels": .dict(
            labels.sorted { $0.key < $1.key }.map { .init(.string($0.key), .string($0.value)) })
        ])
        _ = try writer.add(header)
      }
      let source = try writer.add(.scheduler, run: 1)
      let changes: [(String, Value)] = [
        ("branch", "topic"), ("owner", "alice"), ("branch", "release"), ("old", .null),
      ]
      for (place, (name, value)) in changes.enumerated() {
        try writer.append(
          Event(
            .other("label"), time: 1,
            args: Args(named: [.init("name", .string(name)), .init("value", value)])),
          source: source, sourceSeq: Int64(place + 1))
      }
    }
    writer.close()
    #expect(
      try query("SELECT run, name, value, seq FROM labels", path).rows == [
        [1, "branch", "release", 3], [1, "owner", "alice", 2], [1, "pipeline", "etl", 0],
      ])
    #expect(
      try query("SELECT run, labels FROM runs", path).rows == [
        [1, #"{"branch":"release","owner":"alice","pipeline":"etl"}"#], [2, "{}"],
      ])
  }

  @Test func `a view missing in a log is available to its reader, the log is unchanged`() throws {
    try write(71, to: path, runs: 1)
    let wanted = try query("SELECT * FROM state_intervals", path).rows
    #expect(!wanted.isEmpty)
    try sql("DROP VIEW stays", on: path)
    try sql("DROP VIEW state_intervals", on: path)
    let before = try Files.read(path)
    #expect(try query("SELECT * FROM stays", path).rows == wanted)
    #expect(try query("SELECT * FROM state_intervals", path).rows == wanted)
    #expect(try Files.read(path) == before)
  }
}
