import Foundation
import TaskLogKit
import TestSupport
import TestTraits
import Testing

@testable import EventLog
@testable import LogFormat
@testable import LogMaintenance
@testable import Recording

/// Pruned events are removed from the disk and leave gaps, and nothing else changes.
@Suite(.exclusive(.services)) struct PruningTests {
  private static func record(_ recorder: Recorder, _ events: Int, _ name: String) {
    let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
    let blob = Value.bytes((0..<400).map { UInt8(truncatingIfNeeded: $0) } + Array(name.utf8))
    for number in 0..<events {
      channel.record(
        Event(
          .logEvent, time: Int64(number + 1), key: Key("\(name)-\(number / 4)"),
          stimulusID: "\(name)-stimulus-\(number / 10)",
          args: Args(named: [.init("both", .string("text")), .init("blob", blob)])))
    }
  }

  private static func recorded(_ log: TemporaryLog, _ events: Int, _ name: String) throws {
    let recorder = try Recorder(log: log.path)
    record(recorder, events, name)
    recorder.close()
  }

  private static func prune(
    _ log: TemporaryLog, _ runs: [Int64], keepingFailures: Bool = false
  ) throws -> Int64 {
    let pruning = try LogPruning(path: log.path)
    defer { pruning.close() }
    let infos = try LogReader(path: log.path).runs().filter { runs.contains($0.number) }
    let removed = try pruning.prune(infos, keepingFailures: keepingFailures).reduce(0, +)
    #expect(try pruning.reclaimSpace() == 0)
    return removed
  }

  private static func facts(_ log: TemporaryLog) throws -> [String: SQLiteValue] {
    let facts = try LogReader(path: log.path).fileFacts()
    return Dictionary(uniqueKeysWithValues: facts.map { ($0.name, $0.value) })
  }

  @Test func `the space is freed, gaps remain, other runs are unchanged`() throws {
    let (log, alone) = (try TemporaryLog(), try TemporaryLog())
    try Self.recorded(log, 20_000, "first")
    try Self.recorded(log, 20_000, "second")
    try Self.recorded(log, 2_000, "third")
    try Self.recorded(alone, 2_000, "third")
    let before = try log.events().mapValues { $0.map { "\($0.seq) \($0.event.args.json)" } }
    let size = LogPruning.bytes(of: log.path)
    #expect(try Self.prune(log, [1, 2]) == 40_000)
    let after = LogPruning.bytes(of: log.path)
    #expect(after * 5 < size)
    // As large as a log that never contained the others.
    #expect(after < LogPruning.bytes(of: alone.path) + (256 << 10))
    let facts = try Self.facts(log)
    #expect(facts["free_bytes"] == .integer(0))
    #expect(facts["keys"] == .integer(500))
    #expect(facts["blobs"] == .integer(1))
    #expect(try log.events().mapValues { $0.map { "\($0.seq) \($0.event.args.json)" } } == before)
    let reader = try LogReader(path: log.path)
    let runs = try reader.runs()
    #expect(try runs.map { try reader.pruned(of: $0) } == [20_000, 20_000, 0])
    #expect(runs.map(\.firstSeq) == [nil, nil, 40_001])
    let result = try LogCheck(path: log.path).run()
    #expect(result.findings.map(\.kind) == [.prunedEvents, .prunedEvents])
    // One gap for each source, however many steps it took.
    let connection = try Connection(path: log.path, mode: .readOnly)
    #expect(try connection.integer("SELECT count(*) FROM gap") == 2)
    // Numbers are never reused.
    try Self.recorded(log, 1, "fourth")
    #expect(try log.events().values.first?.first?.seq == 42_001)
  }

  @Test func `a live run continues, and readers see a consistent state`() throws {
    let log = try TemporaryLog()
    try Self.recorded(log, 5_000, "old")
    let recorder = try Recorder(log: log.path)
    Self.record(recorder, 2_000, "old")
    #expect(recorder.flush(timeoutSeconds: 60))
    // Has names and their numbers cached from before.
    let reader = try LogReader(path: log.path)
    let cursor = try reader.events(of: try reader.runs()[1], order: .arrival)
    while try cursor.nextEvent() != nil {}
    #expect(try Self.prune(log, [1, 2]) == 5_000)
    // Names used before, and new ones.
    let worker = recorder.channel(for: Source(kind: .worker, id: "w", address: "b"))
    for number in 0..<3_000 {
      worker.record(
        Event(
          .logEvent, time: 1, key: Key(number < 1500 ? "old-\(number)" : "new-\(number)"),
          stimulusID: "new-\(number)"))
    }
    #expect(recorder.flush(timeoutSeconds: 60))
    let behind = try reader.events(of: try reader.runs()[1], order: .arrival)
    var seen: [String?] = []
    while let event = try behind.nextEvent() {
      if event.event.worker == nil, event.event.args.isEmpty { seen.append(event.event.key?.text) }
    }
    recorder.close()
    let events = try log.events()
    #expect(events["scheduler null"]?.count == 2_000)
    let keys = try #require(events["worker null"]).map { $0.event.key?.text }
    #expect(keys == (0..<3_000).map { $0 < 1500 ? "old-\($0)" : "new-\($0)" })
    #expect(seen == keys)
    #expect(try LogCheck(path: log.path).run().findings.map(\.kind) == [.prunedEvents])
  }

  @Test func `pruning continues while others record and read`() throws {
    let log = try TemporaryLog()
    for number in 0..<4 { try Self.recorded(log, 6_000, "run-\(number)") }
    let recorder = try Recorder(log: log.path)
    onThreads(3) { number in
      do {
        switch number {
        case 0:
          for part in 0..<6 {
            let channel = recorder.channel(
              for: Source(kind: part == 0 ? .scheduler : .worker, id: "\(part)", address: "a"))
            // The names of pruned runs, among others.
            for event in 0..<2_000 {
              channel.record(Event(.logEvent, time: 1, key: Key("run-\(part)-\(event)")))
            }
            usleep(20_000)
          }
        case 1: #expect(try Self.prune(log, [1, 2, 3, 4]) == 24_000)
        default:
          for _ in 0..<5 {
            let reader = try LogReader(path: log.path)
            let cursor = try reader.events(of: try reader.runs()[4], order: .arrival)
            while let event = try cursor.nextEvent() {
              #expect(event.event.key?.text.hasPrefix("run-") == true)
            }
          }
        }
      } catch {
        Issue.record(error)
      }
    }
    recorder.close()
    #expect(
      try LogCheck(path: log.path).run().findings.map(\.kind) == [
        .prunedEvents, .prunedEvents, .prunedEvents, .prunedEvents,
      ])
    let reader = try LogReader(path: log.path)
    #expect(try reader.totals(of: try reader.runs()[4]).events == 12_000)
  }

  private struct Broken: Error {}

  @Test func `the stories of failed tasks and of their dependencies stay`() async throws {
    let log = try TemporaryLog()
    let cluster = try await LocalCluster(workers: 2, recorder: Recorder(log: log.path))
    let client = cluster.client
    let good = client.map("good", Array(1...30)) { $0 }
    let needed = client.submit("needed") { 1 }
    let failing = client.submit("failing", needed) { _ -> Int in throw Broken() }
    let harmed = client.submit("harmed", failing) { $0 }
    #expect(try await client.submit("sum", all: good) { $0.count }.result() == 30)
    await #expect(throws: (any Error).self) { _ = try await harmed.result() }
    await cluster.close()
    let reader = try LogReader(path: log.path)
    let run = try reader.runs()[0]
    let story = try Self.keys(log)
    let before = try reader.eventCount(of: run)
    let removed = try Self.prune(log, [1], keepingFailures: true)
    #expect(removed > 100)
    let left = try Self.keys(log)
    let names = Set(left.keys.map { $0.prefix { $0 != "-" } })
    #expect(names == ["needed", "failing", "harmed"])
    for key in left.keys { #expect(left[key] == story[key]) }
    #expect(try !LogCheck(path: log.path).run().hasErrors)
    #expect(try LogReader(path: log.path).pruned(of: run) == removed)
    #expect(try LogReader(path: log.path).eventCount(of: run) == before - removed)
    // Pruning again with the stories removes nothing; without them it removes the rest.
    #expect(try Self.prune(log, [1], keepingFailures: true) == 0)
    #expect(try Self.prune(log, [1]) == before - removed)
  }

  private static func keys(_ log: TemporaryLog) throws -> [String: [Int64]] {
    var keys: [String: [Int64]] = [:]
    for event in try log.events().values.joined() {
      if let key = event.event.key { keys[key.text, default: []].append(event.seq) }
    }
    return keys.mapValues { $0.sorted() }
  }

  // MARK: - Rules

  private func candidate(
    _ number: Int64, ended: Int64, bytes: Int64 = 10, end: RunEnd = .closed
  ) -> RetentionPolicy.Candidate {
    .init(
      path: "log",
      run: RunInfo(
        number: number, id: "run-\(number)", engine: "", engineVersion: "", recorderVersion: "",
        mode: "", started: number, ended: end == .running ? nil : ended, end: end, metadata: .null),
      events: 5, bytes: bytes)
  }

  private func chosen(_ rules: RetentionPolicy, _ candidates: [RetentionPolicy.Candidate])
    -> [String]
  {
    rules.choose(candidates, bytes: candidates.reduce(0) { $0 + $1.bytes })
      .map { "\($0.candidate.run.number) \($0.reason.rawValue)" }
  }

  @Test func `rules select the oldest runs, and never what is being recorded`() {
    let candidates = [
      candidate(1, ended: 0, end: .running), candidate(2, ended: 30), candidate(3, ended: 20),
      candidate(4, ended: 50, end: .died), candidate(5, ended: 60),
    ]
    var rules = RetentionPolicy()
    #expect(chosen(rules, candidates) == [])
    rules.endedBefore = 30
    #expect(chosen(rules, candidates) == ["3 older-than"])
    rules.endedBefore = .max
    #expect(chosen(rules, candidates).count == 4)
    rules.endedBefore = nil
    rules.keptRuns = 2
    #expect(chosen(rules, candidates) == ["2 keep-runs", "3 keep-runs"])
    rules.keptRuns = 0
    #expect(chosen(rules, candidates).count == 4)
    rules.keptRuns = nil
    rules.maximumBytes = 25
    #expect(chosen(rules, candidates) == ["2 max-size", "3 max-size", "4 max-size"])
    rules.maximumBytes = 50
    #expect(chosen(rules, candidates) == [])
    rules.keptRuns = 4
    rules.maximumBytes = 45
    #expect(chosen(rules, candidates) == ["2 max-size"])
  }
}
