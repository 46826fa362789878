import EventLog
import LogAnalysis
import LogFormat
import Recording
import TaskLogPlugin
import Testing

@testable import Scheduling

/// A situation of our engine for each kind of advice that it can be worth: exactly that is said of it.
///
/// The engine has no kind of advice about what it does not do or measure: it keeps results in memory without
/// a limit (`spilling`, `paused-workers`, `memory-near-limit`), passes tasks and results within one process
/// (`deserializing`, `large-arguments`, `clock-offsets`), measures neither its event loop nor the phases of
/// graphs (`scheduler-busy`, `large-graph`), and has no GIL (`held-gil`) and no locks between tasks
/// (`lock-waits`).
@Suite struct AdviceSituationTests {
  private static func keys(_ prefix: String, _ count: Int) -> [Key] {
    TimedCluster.keys(prefix, count)
  }

  /// Severity, kind and subject of each piece of advice about a run that has come to its end.
  private func advice(_ cluster: TimedCluster) async throws -> [Advice] {
    try cluster.run()
    let reader = try await cluster.log()
    return try reader.advice(of: #require(try reader.runs(matching: "latest").first))
  }

  private func told(_ cluster: TimedCluster) async throws -> [String] {
    try await advice(cluster).map { "\($0.severity.rawValue) \($0.kind.rawValue)" }
  }

  // MARK: - Ordinary work

  @Test func `equal tasks on all threads are worth no advice`() async throws {
    let cluster = try TimedCluster(threads: 2)
    try cluster.submit(Self.keys("nap", 80), .init(seconds: 0.5))
    expect(try await told(cluster), is: [])
  }

  @Test func `a map and its sum are worth no advice`() async throws {
    let cluster = try TimedCluster(threads: 2)
    let parts = try cluster.submit(Self.keys("part", 40), .init(seconds: 0.5))
    try cluster.submit(["sum"], needing: parts, .init(seconds: 0.2))
    expect(try await told(cluster), is: [])
  }

  @Test func `many short jobs, almost one after the other, are worth no advice`() async throws {
    let cluster = try TimedCluster(threads: 2)
    for number in 0..<20 {
      cluster.at(Double(number)) {
        try cluster.submit(Self.keys("job\(number)", 8), .init(seconds: 0.48))
      }
    }
    expect(try await told(cluster), is: [])
  }

  // MARK: - Work that failed or was repeated

  @Test func `a task that fails for good is a failed task`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(Self.keys("load", 10), .init(seconds: 1))
    try cluster.submit(["bad"], .init(seconds: 2, failures: .max))
    let advice = try await advice(cluster)
    #expect(advice.map(\.kind) == [.failedTasks])
    #expect(advice.first?.cost == 2_000_000_000)
  }

  @Test func `what dies with a worker and is run again is blamed on its loss`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(Self.keys("part", 20), .init(seconds: 1))
    cluster.at(3.5) {
      let dying = try #require(cluster.addresses.first)
      try cluster.kill(dying)
      try cluster.join()
    }
    let advice = try await advice(cluster)
    #expect(advice.map(\.kind) == [.lostWorkers])
    // Half a second of one of the two: the other had not begun.
    let lost = "3 results computed again, 2 tasks interrupted, 3.5 s of work lost."
    #expect(advice.first?.finding.hasSuffix(lost) == true, "\(advice.first?.finding ?? "")")
  }

  @Test func `a prefix that fails first and is retried is named`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(Self.keys("load", 8), .init(seconds: 0.5, failures: 1), retries: 2)
    let advice = try await advice(cluster)
    #expect(advice.map(\.kind) == [.alwaysRetried])
    #expect(advice.first?.subject == "load")
  }

  @Test func `a retry that hides an error is named`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(["load-100"], .init(seconds: 0.5, failures: 1), retries: 2)
    try cluster.submit(Self.keys("load", 20), .init(seconds: 0.5), retries: 2)
    let advice = try await advice(cluster)
    #expect(advice.map(\.kind) == [.hiddenErrors])
    #expect(advice.first?.subject == "load")
  }

  // MARK: - How work was divided

  @Test func `tasks that are shorter than their way are small`() async throws {
    let cluster = try TimedCluster(threads: 2)
    cluster.schedulerSeconds = 0.002
    try cluster.submit(Self.keys("inc", 2000), .init(seconds: 0.001))
    expect(try await told(cluster), is: ["warning small-tasks"])
  }

  @Test func `one task for many threads is too few`() async throws {
    let cluster = try TimedCluster(threads: 4)
    try cluster.submit(["whole"], .init(seconds: 10))
    expect(try await told(cluster), is: ["warning few-tasks"])
  }

  @Test func `one task that is much longer than its like is a straggler`() async throws {
    let cluster = try TimedCluster(threads: 2)
    try cluster.submit(Self.keys("part", 12), .init(seconds: 0.5))
    try cluster.submit(["part-100"], .init(seconds: 6))
    let advice = try await advice(cluster)
    #expect(advice.map(\.kind) == [.straggler])
    #expect(advice.first?.subject == "part")
  }

  @Test func `several that are much longer than their like are a skewed prefix`() async throws {
    let cluster = try TimedCluster(threads: 3)
    try cluster.submit(Self.keys("part", 30), .init(seconds: 0.5))
    try cluster.submit((100..<104).map { Key("part-\($0)") }, .init(seconds: 6))
    let advice = try await advice(cluster)
    #expect(advice.map(\.kind) == [.skewedPrefix])
    #expect(advice.first?.subject == "part")
  }

  @Test func `work that may run on one worker only leaves the other idle`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(
      Self.keys("part", 30), .init(seconds: 0.5), on: Array(cluster.addresses.prefix(1)))
    expect(try await told(cluster), is: ["warning imbalance"])
  }

  @Test func `work that needs a resource of one worker leaves the other idle`() async throws {
    let cluster = try TimedCluster(workers: 1)
    try cluster.join(resources: [Resource("GPU", 1)])
    try cluster.submit(
      Self.keys("train", 20), .init(seconds: 1), resources: [Resource("GPU", 1)])
    expect(try await told(cluster), is: ["warning imbalance"])
  }

  @Test func `tasks that are stolen for longer than they compute are blamed on stealing`()
    async throws
  {
    let cluster = try TimedCluster()
    let one = Array(cluster.addresses.prefix(1))
    let made = try cluster.submit(
      Self.keys("make", 30), .init(seconds: 0.1, bytes: 20_000_000), on: one)
    // Twenty times slower than the engine supposes.
    cluster.bandwidth = 5e6
    cluster.after(made) {
      for (number, input) in made.enumerated() {
        try cluster.submit([Key("use-\(number)")], needing: [input], .init(seconds: 1))
      }
    }
    expect(try await told(cluster), is: ["warning stealing", "note imbalance"])
  }

  // MARK: - Data

  @Test func `threads that wait for inputs of other workers are blamed on transfers`() async throws
  {
    let cluster = try TimedCluster()
    let (one, other) = (cluster.addresses[0], cluster.addresses[1])
    let made = try cluster.submit(
      Self.keys("make", 8), .init(seconds: 0.2, bytes: 120_000_000), on: [one])
    let also = try cluster.submit(
      Self.keys("create", 8), .init(seconds: 0.2, bytes: 100_000_000), on: [other])
    cluster.after(made + also) {
      for (number, input) in made.enumerated() {
        try cluster.submit(
          [Key("use-\(number)")], needing: [input], .init(seconds: 0.1), on: [other])
      }
      for (number, input) in also.enumerated() {
        try cluster.submit(
          [Key("take-\(number)")], needing: [input], .init(seconds: 0.1), on: [one])
      }
    }
    let advice = try await advice(cluster)
    #expect(advice.map { "\($0.severity.rawValue) \($0.kind.rawValue)" } == ["warning transfers"])
    let edge = "from tasks of prefix 'make' to those of 'use' (55 %)"
    #expect(advice.first?.finding.contains(edge) == true, "\(advice.first?.finding ?? "")")
  }

  @Test func `a result of more than a gibibyte is large`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(Self.keys("part", 10), .init(seconds: 1))
    try cluster.submit(["table-1"], .init(seconds: 1, bytes: 2 << 30))
    expect(try await told(cluster), is: ["note large-result"])
  }

  @Test func `results that no task needs any more are held`() async throws {
    let cluster = try TimedCluster()
    let parts = try cluster.submit(Self.keys("part", 8), .init(seconds: 0.2, bytes: 500_000_000))
    for (number, part) in parts.enumerated() {
      try cluster.submit([Key("len-\(number)")], needing: [part], .init(seconds: 0.1))
    }
    try cluster.submit(Self.keys("nap", 20), .init(seconds: 1))
    let advice = try await advice(cluster)
    #expect(advice.map { "\($0.severity.rawValue) \($0.kind.rawValue)" } == ["note held-results"])
    #expect(advice.first?.subject == "part")
  }

  // MARK: - Scheduler, clients and workers

  @Test func `tasks that have a thread and begin late are blamed on the worker`() async throws {
    let cluster = try TimedCluster()
    cluster.startSeconds = 0.5
    try cluster.submit(Self.keys("fetch", 20), .init(seconds: 0.5))
    expect(try await told(cluster), is: ["warning worker-busy"])
  }

  @Test func `a client that thinks between its tasks leaves the cluster idle`() async throws {
    let cluster = try TimedCluster()
    let first = try cluster.submit(Self.keys("first", 8), .init(seconds: 1))
    cluster.after(first) {
      cluster.at(14) { try cluster.submit(Self.keys("second", 8), .init(seconds: 1)) }
    }
    expect(try await told(cluster), is: ["note idle-cluster"])
  }

  @Test func `a client that waits for the tasks of another is named`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(Self.keys("long", 20), .init(seconds: 1))
    cluster.at(0.5) {
      try cluster.connect("other")
      try cluster.submit(Self.keys("short", 2), .init(seconds: 1), client: "other")
    }
    let advice = try await advice(cluster)
    #expect(advice.map(\.kind) == [.waitingClients])
    #expect(advice.first?.subject == "other")
  }

  @Test func `a worker that joins long after the first task is late`() async throws {
    let cluster = try TimedCluster(workers: 1)
    try cluster.submit(Self.keys("nap", 40), .init(seconds: 0.5))
    cluster.at(8) { try cluster.join() }
    expect(try await told(cluster), is: ["note late-workers"])
  }

  @Test func `a worker that leaves while tasks wait is missed`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(Self.keys("nap", 40), .init(seconds: 0.5))
    cluster.at(2.2) { try cluster.retire(cluster.addresses[0]) }
    expect(try await told(cluster), is: ["note leaving-workers"])
  }

  // MARK: - What makes all of this uncertain

  @Test func `events that found no room in the spool are a gap`() async throws {
    var options = Recorder.Options()
    options.segmentSize = 4096
    options.spoolLimit = 8192
    options.problem = { _ in }
    let cluster = try TimedCluster(recording: options)
    try cluster.run(until: 0.1)
    // Nothing is written meanwhile.
    let other = try Connection(path: cluster.path, mode: .readWrite)
    try other.execute("BEGIN IMMEDIATE")
    try cluster.submit(Self.keys("nap", 40), .init(seconds: 0.5))
    try cluster.run()
    try other.execute("ROLLBACK")
    let advice = try await advice(cluster)
    #expect(advice.first?.kind == .gaps)
    #expect(advice.filter { $0.severity == .warning }.map(\.kind) == [.gaps])
  }
}
