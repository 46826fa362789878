import TaskLogPlugin
import TestSupport
import Testing

@testable import Scheduling

/// Workers that come and go while a cluster runs.
@Suite struct ClusterWorkersTests {
  @Test func `a worker that is added later runs the tasks that wait for one`() async throws {
    try await withCluster(workers: 1) { cluster in
      let only = await cluster.workers
      try await cluster.removeWorker(only[0])
      let future = cluster.client.submit("x") { 1 }
      let address = try await cluster.addWorker()
      expect(try await future.result(), is: 1)
      expect(await cluster.workers, is: [address])
      await #expect(throws: ClusterError.self) { try await cluster.killWorker(only[0]) }
    }
  }

  @Test func `results of a killed worker are computed again`() async throws {
    try await withCluster(workers: 2) { cluster in
      let runs = Lock(0)
      let futures = cluster.client.map("square", Array(0..<40)) { number in
        runs.withLock { $0 += 1 }
        return number * number
      }
      _ = try await cluster.client.gather(futures)
      let workers = await cluster.workers
      try await cluster.killWorker(workers[0])
      expect(try await cluster.client.gather(futures), is: (0..<40).map { $0 * $0 })
      #expect(runs.withLock { $0 } > 40)
    }
  }

  @Test func `a task that kills its workers errs in the end`() async throws {
    try await withCluster(workers: 2, allowedFailures: 1) { cluster in
      let isOver = Lock(false)
      let future = cluster.client.submit("deadly") { () -> Int in
        while !isOver.withLock({ $0 }) {}
        return 1
      }
      for _ in 0..<2 {
        var victim: String?
        _ = await eventually {
          victim = await cluster.worker(running: future.key)
          return victim != nil
        }
        try await cluster.killWorker(try #require(victim))
      }
      let error = try #require(
        await #expect(throws: TaskError.self) { try await future.result() })
      #expect(error.exceptionText.hasPrefix("KilledWorker"))
      isOver.withLock { $0 = true }
    }
  }

  @Test func `results of a retired worker are moved, not computed again`() async throws {
    try await withCluster(workers: 2) { cluster in
      let runs = Lock(0)
      let futures = cluster.client.map("square", Array(0..<40)) { number in
        runs.withLock { $0 += 1 }
        return number * number
      }
      _ = try await cluster.client.gather(futures)
      let workers = await cluster.workers
      expect(await cluster.retireWorkers([workers[0]]), is: [workers[0]])
      expect(await cluster.workers, is: [workers[1]])
      // There is no worker that could receive the last one's results.
      expect(await cluster.retireWorkers([workers[1]]), is: [])
      expect(try await cluster.client.gather(futures), is: (0..<40).map { $0 * $0 })
      #expect(runs.withLock { $0 } == 40)
    }
  }

  @Test func `after a restart futures are cancelled and new tasks run on new workers`()
    async throws
  {
    try await withCluster(workers: 2) { cluster in
      let old = cluster.client.submit("old") { 1 }
      expect(try await old.result(), is: 1)
      let before = await cluster.workers
      try await cluster.restart()
      await #expect(throws: ClusterError.self) { try await old.result() }
      expect(try await cluster.client.submit("new") { 2 }.result(), is: 2)
      let after = await cluster.workers
      #expect(after.count == 2)
      #expect(Set(after).isDisjoint(with: before))
    }
  }
}

extension LocalCluster {
  /// The worker that a task is assigned to.
  func worker(running key: Key) async -> String? {
    await scheduler.processingOn(key)
  }
}
