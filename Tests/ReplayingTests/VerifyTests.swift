import TaskLogKit
import Testing

@testable import Replaying

/// Live reports of plugins are recorded, and compared in a replay.
@Suite struct VerifyTests {
  @Test(arguments: [0, 1, 7])
  func `a replay reports what was recorded live, on the scheduler and on each worker`(
    every: Int
  ) async throws {
    let log = try TemporaryLog()
    try await log.record(verify: [Counter.self, KeyCounter.self, WorkerCounter.self], every: every)
    let result = try await log.verify(Counter.self, KeyCounter.self, WorkerCounter.self)
    #expect(result.verifications.count == 4)
    #expect(result.verifications.map(\.plugin).sorted().first == "Counter")
    #expect(result.verifications.filter { $0.worker != nil }.count == 2)
    for verification in result.verifications {
      #expect(verification.noted > (every == 0 ? 0 : 3))
      #expect(verification.first == nil, "\(verification)")
    }
    if every == 0 { #expect(result.verifications.allSatisfy { $0.noted == 1 }) }
  }

  @Test func `recorded reports do not change the reports of a run`() async throws {
    let log = try TemporaryLog()
    let reports = try await log.record(verify: [Counter.self, WorkerCounter.self], every: 1)
    #expect(reports.isEmpty)
    let result = try await log.verify(Counter.self)
    #expect(result.reports.first?.report["counter"]?.int == 21)
  }

  @Test func `with a report for each event the first different event is named`() async throws {
    let log = try TemporaryLog()
    try await log.record(verify: [Counter.self], every: 1)
    let seq = try log.forge()
    let result = try await log.verify(Counter.self)
    let verification = try #require(result.verifications.first)
    let first = try #require(verification.first)
    #expect(first.events == 1)
    #expect(first.lastEventSeq == seq)
    #expect(first.lastEvent?.hasPrefix("transition of '") == true)
    #expect(first.place == "counter")
    let live = try #require(Int(first.live))
    #expect(Int(first.replayed) == live - 1)
    #expect(verification.differing > 1)
    #expect(verification.noted > verification.differing)
  }

  @Test func `with fewer recorded reports the interval is named`() async throws {
    let log = try TemporaryLog()
    try await log.record(verify: [Counter.self], every: 10)
    let seq = try log.forge()
    let first = try #require(try await log.verify(Counter.self).verifications.first?.first)
    let equal = try #require(first.equalSeq)
    #expect((equal..<first.seq).contains(seq))
    #expect(first.events >= 10)
  }

  @Test func `a plugin without recorded reports is not mentioned`() async throws {
    let log = try TemporaryLog()
    try await log.record(verify: [Counter.self], every: 10)
    #expect(try await log.verify(KeyCounter.self).verifications.isEmpty)
  }

  @Test func `redacted values are equal to any value`() {
    func differs(_ live: Value, _ replayed: Value) -> String? {
      FirstDivergence(live: live, replayed: replayed)?.place
    }
    #expect(
      differs(.object(["a": 1, "b": .opaque("redacted")]), .object(["a": 1, "b": 7])) == nil)
    #expect(
      differs(.object(["a": .object(["x": [1, 2]])]), .object(["a": .object(["x": [1, 3]])]))
        == "a.x.1")
    #expect(differs(.object(["a": 1]), .object(["b": 1])) == "")
    #expect(differs([1], [1.0]) == "0")
    #expect(differs(.double(.nan), .double(.nan)) == nil)
    #expect(differs([0.0], [-0.0]) == "0")
  }

  @Test func `a verified plugin that throws or acts does not change the run`() async throws {
    let log = try TemporaryLog()
    try await log.record(verify: [Meddler.self], every: 1)
    let result = try await log.verify(Meddler.self)
    #expect(result.verifications.first?.noted ?? 0 > 3)
    #expect(result.verifications.first?.first == nil)
    let reader = try LogReader(path: log.path)
    var filter = EventFilter()
    filter.args = [ArgCondition(name: "topic", comparison: .equal, value: "meddling")]
    #expect(try reader.count(matching: filter) == 0)
  }
}

/// A plugin with a dictionary that changes all the time.
private final class KeyCounter: SchedulerPlugin {
  private var scheduler: Scheduler?
  private var steps: [String: Int] = [:]
  private var bytes: [String: Int64] = [:]
  private var closed = false

  func start(scheduler: Scheduler) { self.scheduler = scheduler }
  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    steps[finish.name, default: 0] += 1
    bytes[key.text] = scheduler?.tasks[key]?.nbytes
  }
  func restart(scheduler: Scheduler) { steps = [:] }
  func close() { closed = true }
}

private final class WorkerCounter: WorkerPlugin {
  private var worker: Worker?
  private var steps: [String: Int] = [:]
  private var known = 0
  private var isDown = false

  func setup(worker: Worker) { self.worker = worker }
  func teardown(worker: Worker) { isDown = true }
  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    steps["\(start) \(finish)", default: 0] += 1
    known = worker?.tasks.count ?? -1
  }
}

private final class Meddler: SchedulerPlugin {
  private var scheduler: Scheduler?
  private var calls = 0

  func start(scheduler: Scheduler) { self.scheduler = scheduler }
  func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args
  ) throws {
    calls += 1
    scheduler?.logEvent(topic: "meddling", message: .int(Int64(calls)))
    scheduler?.release(keys: [key], client: "nobody")
    if calls.isMultiple(of: 5) { throw Wrong(description: "five") }
  }
}

extension TemporaryLog {
  /// Records a run with a restart, and returns what plugins reported.
  @discardableResult
  fileprivate func record(
    verify: [any Plugin.Type], every: Int
  ) async throws -> [(name: String, report: Value)] {
    var options = Recorder.Options()
    options.problem = { _ in }
    let cluster = try await LocalCluster(
      workers: 2,
      recorder: Recorder(log: path, options: options, verify: verify, every: every))
    let futures = cluster.client.map("work", Array(0..<20)) { $0 + 1 }
    let total = cluster.client.submit("total", all: futures) { $0.reduce(0, +) }
    _ = try await total.result()
    let bad = cluster.client.submit("bad") { () -> Int in throw Wrong(description: "bad") }
    _ = try? await bad.result()
    // `total` and `work` are held until here.
    withExtendedLifetime((futures, total)) {}
    await cluster.close()
    return await cluster.scheduler.reports()
  }

  fileprivate func verify(_ types: any Plugin.Type...) async throws -> Replayer.Result {
    let reader = try LogReader(path: path)
    var options = ReplayOptions()
    options.verifies = true
    let replayer = Replayer(
      reader: reader, run: try reader.runs(matching: "latest")[0], options: options)
    for type in types {
      replayer.add(PluginFactory(name: String(describing: type), summary: "", type: type))
    }
    return try await replayer.replay()
  }

  /// Replaces one processing → memory in the middle by another transition, and returns its number.
  fileprivate func forge() throws -> Int64 {
    let seqs = try scheduler().events
      .filter { $0.event.start == .processing && $0.event.finish == .memory }.map(\.seq)
    let seq = seqs[seqs.count / 2]
    let connection = try Connection(path: path, mode: .readWrite)
    try connection.execute("UPDATE event SET start = finish WHERE seq = \(seq)")
    return seq
  }
}
