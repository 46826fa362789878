import TaskLogPlugin
import TestSupport
import Testing

@testable import Scheduling

/// Lets a number of tasks pass once all of them have arrived.
private final class Barrier: Sendable {
  private let missing: Lock<Int>

  init(_ count: Int) {
    missing = Lock(count)
  }

  /// - Throws: `Broken` if the others do not arrive.
  func pass() throws {
    missing.withLock { $0 -= 1 }
    let deadline = ContinuousClock.now + .seconds(60)
    while missing.withLock({ $0 > 0 }) {
      if ContinuousClock.now > deadline { throw Broken() }
    }
  }
}

/// Reads what the scheduler knows, within a plugin's isolation.
private final class Looker: SchedulerPlugin {
  var scheduler: Scheduler?
  nonisolated(nonsending) func start(scheduler: Scheduler) async throws {
    self.scheduler = scheduler
  }
}

@Suite struct LocalClusterTests {
  @Test func `tasks take no input, one, several of different types, or all of an array`()
    async throws
  {
    try await withCluster { cluster in
      let client = cluster.client
      let six = client.submit("six") { 6 }
      let text = client.submit("text", six) { "\($0)" }
      let both = client.submit("both", six, text, six) { "\($0)-\($1)-\($2 + 1)" }
      let sum = client.submit("sum", all: [six, six, client.submit("one") { 1 }]) {
        $0.reduce(0, +)
      }
      expect(try await both.result(), is: "6-6-7")
      expect(try await sum.result(), is: 13)
    }
  }

  @Test func `a map over groups of futures takes keys and annotations, also when it is async`()
    async throws
  {
    try await withCluster(workers: 2) { cluster in
      let numbers = cluster.client.map("number", [1, 2, 3]) { $0 }
      let groups = [[numbers[0], numbers[1]], [numbers[2]]]
      let sums = cluster.client.map(
        "sum", all: groups, keys: ["s-0", "s-1"], annotations: ["kind": "sum"]
      ) { $0.reduce(0, +) }
      let later = cluster.client.map("later", all: groups) { values in
        await Task.yield()
        return values.count
      }
      expect(try await cluster.client.gather(sums), is: [3, 3])
      expect(try await cluster.client.gather(later), is: [2, 1])
      #expect(sums.map(\.key) == ["s-0", "s-1"])
    }
  }

  @Test func `gather keeps the order of the futures`() async throws {
    try await withCluster { cluster in
      let squares = cluster.client.map("square", Array(0..<200)) { $0 * $0 }
      let reversed = try await cluster.client.gather(squares.reversed())
      #expect(reversed == (0..<200).reversed().map { $0 * $0 })
    }
  }

  @Test func `an error names the failed task, the reason and its origin`() async throws {
    try await withCluster { cluster in
      let client = cluster.client
      let bad = client.submit("bad") { () throws -> Int in throw Broken() }
      let later = client.submit("later", bad) { $0 + 1 }
      let error = try #require(
        await #expect(throws: TaskError.self) { try await later.result() })
      #expect(error.key == later.key)
      #expect(error.blame == bad.key)
      #expect(error.exceptionText == "broken on purpose")
      #expect(error.tracebackText.contains("LocalClusterTests.swift"))
      await #expect(throws: TaskError.self) { try await client.gather([later, bad]) }
      // A graph that is submitted afterwards fails as well.
      let latest = client.submit("latest", later) { $0 }
      let other = try #require(
        await #expect(throws: TaskError.self) { try await latest.wait() })
      #expect(other.blame == bad.key)
    }
  }

  @Test func `a task is retried as often as requested`() async throws {
    try await withCluster { cluster in
      let left = Lock(2)
      let flaky = cluster.client.submit("flaky", retries: 2) { () throws -> String in
        let fails = left.withLock { left in
          left -= 1
          return left >= 0
        }
        if fails { throw Broken() }
        return "done"
      }
      expect(try await flaky.result(), is: "done")
    }
  }

  @Test func `a future of the wrong type is an error, not a crash`() async throws {
    try await withCluster { cluster in
      let number = cluster.client.submit("x", key: "x") { 1 }
      try await number.wait()
      let text = cluster.client.submit("x", key: "x") { "one" }
      await #expect(throws: ClusterError.self) { try await text.result() }
    }
  }

  @Test func `a future of another cluster is an error, and is not awaited for ever`() async throws {
    try await withCluster { one in
      try await withCluster { other in
        let stranger = one.client.submit("x") { 1 }
        let future = other.client.submit("y", stranger) { $0 }
        let error = try #require(
          await #expect(throws: TaskError.self) { try await future.result() })
        #expect(error.blame == stranger.key)
      }
    }
  }

  @Test func `a task is forgotten when its last future is gone`() async throws {
    try await withCluster { cluster in
      await cluster.scheduler.addPlugin(Looker())
      var future: Future<Int>? = cluster.client.submit("x") { 1 }
      expect(try await future?.result(), is: 1)
      future = nil
      let isEmpty = await eventually {
        await cluster.scheduler.withPlugin(Looker.self) { $0.scheduler?.tasks.isEmpty == true }
          == true
      }
      #expect(isEmpty)
    }
  }

  @Test func `tasks run in parallel, on each worker and on each thread`() async throws {
    for (workers, threads) in [(2, 1), (1, 2)] {
      try await withCluster(workers: workers, threads: threads) { cluster in
        let barrier = Barrier(2)
        let futures = cluster.client.map("meet", [1, 2]) { number in
          try barrier.pass()
          return number
        }
        expect(try await cluster.client.gather(futures), is: [1, 2])
      }
    }
  }

  @Test func `20,000 tiny tasks have the right results`() async throws {
    try await withCluster(threads: 2) { cluster in
      let futures = cluster.client.map("tiny", Array(0..<20_000)) { $0 + 1 }
      expect(try await cluster.client.gather(futures), is: Array(1...20_000))
    }
  }

  @Test func `a key that is released and wanted again repeatedly keeps its results`() async throws {
    try await withCluster { cluster in
      for round in 0..<300 {
        let input = cluster.client.submit("a", key: "a") { round }
        let future = cluster.client.submit("b", input, key: "b") { $0 * 2 }
        if round % 3 == 0 { continue }
        expect(try await future.result(), is: round * 2)
      }
    }
  }

  @Test func `closing fails pending tasks and does not wait for running ones`() async throws {
    let cluster = try await LocalCluster(workers: 1)
    let isOver = Lock(false)
    let endless = cluster.client.submit("endless") { () -> Int in
      while !isOver.withLock({ $0 }) {}
      return 1
    }
    let waiting = cluster.client.submit("waiting", endless) { $0 }
    let result = Task { try await waiting.result() }
    await cluster.close()
    await #expect(throws: ClusterError.self) { try await result.value }
    isOver.withLock { $0 = true }
    // Afterwards every call fails immediately, for finished tasks and for new ones.
    let late = cluster.client.submit("late") { 1 }
    await #expect(throws: ClusterError.self) { try await late.result() }
    await cluster.close()
  }

  @Test func `the result of a finished task is not available after the cluster is closed`()
    async throws
  {
    let cluster = try await LocalCluster(workers: 1)
    let future = cluster.client.submit("x") { 1 }
    try await future.wait()
    async let once: Void = cluster.close()
    async let twice: Void = cluster.close()
    _ = await (once, twice)
    await #expect(throws: ClusterError.self) { try await future.result() }
  }

  @Test func `a cluster that was closed is deallocated`() async throws {
    weak var scheduler: SchedulerServer?
    weak var client: Client?
    weak var cluster: LocalCluster?
    do {
      let local = try await LocalCluster(workers: 2)
      await local.scheduler.addPlugin(Looker())
      (scheduler, client, cluster) = (local.scheduler, local.client, local)
      expect(try await local.client.submit("x") { 1 }.result(), is: 1)
      await local.close()
    }
    let isGone = await eventually { scheduler == nil && client == nil && cluster == nil }
    #expect(isGone)
  }

  @Test func `keys of several clusters do not collide`() async throws {
    try await withCluster { one in
      try await withCluster { other in
        let (a, b) = (one.client.submit("x") { 1 }, other.client.submit("x") { 2 })
        #expect(a.key != b.key)
        expect(try await a.result(), is: 1)
        expect(try await b.result(), is: 2)
      }
    }
  }
}
