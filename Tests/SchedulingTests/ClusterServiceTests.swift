import ClusterService
import CoreMetrics
import InMemoryLogging
import Logging
import MetricsTestKit
import Scheduling
import ServiceLifecycle
import ServiceLifecycleTestKit
import TaskLogPlugin
import Testing

private final class Faulty: SchedulerPlugin {
  func addWorker(scheduler: Scheduler, worker: String) throws { throw Broken() }
}

/// A cluster as a server runs it.
@Suite struct ClusterServiceTests {
  @Test func `shutdown waits for the running tasks, and closes the cluster`() async throws {
    let cluster = try await LocalCluster(workers: 1)
    let gate = Gate()
    let future = cluster.client.submit("slow") {
      gate.wait()
      return 5
    }
    let done = Counter()
    try await testGracefulShutdown { trigger in
      async let running: Void = ClusterService(cluster, patience: .seconds(60)).run()
      trigger.triggerGracefulShutdown()
      gate.open()
      try await future.wait()
      done.add()
      try await running
    }
    #expect(done.value == 1)
    expect(await cluster.workers, is: [])
  }

  @Test func `shutdown does not wait for ever`() async throws {
    let cluster = try await LocalCluster(workers: 1)
    let gate = Gate()
    let future = cluster.client.submit("endless") { gate.wait() }
    try await testGracefulShutdown { trigger in
      async let running: Void = ClusterService(cluster, patience: .zero).run()
      trigger.triggerGracefulShutdown()
      try await running
    }
    do {
      try await future.wait()
      Issue.record("nothing was thrown")
    } catch ClusterError.closed {
    }
    gate.open()
  }

  @Test func `a logger receives messages about workers and faulty plugins`() async throws {
    let handler = InMemoryLogHandler()
    let logger = Logger(label: "test", factory: { _ in handler })
    let cluster = try await LocalCluster(workers: 2, logger: logger, plugins: [Faulty()])
    let workers = await cluster.workers
    try await cluster.killWorker(workers[0])
    await cluster.close()
    let entries = handler.entries.map { "\($0.level) \($0.message)" }
    #expect(entries.filter { $0 == "info worker joins" }.count == 2)
    #expect(entries.contains("warning worker is lost"))
    #expect(entries.contains { $0.hasPrefix("error plugin 'Faulty' on the scheduler failed in") })
    #expect(entries.last == "info scheduler closes")
  }

  @Test func `a metrics backend receives the number of tasks in each state`() async throws {
    // The factory of the process can be set only once.
    let metrics = TestMetrics()
    MetricsSystem.bootstrap(metrics)
    let cluster = try await LocalCluster(workers: 1, plugins: [TaskMetrics()])
    let futures = cluster.client.map("m", Array(0..<3)) { $0 }
    _ = try await cluster.client.gather(futures)
    func last(_ state: String) throws -> Double? {
      try metrics.expectRecorder("tasklog_tasks", [("state", state)]).lastValue
    }
    #expect(try last("memory") == 3)
    #expect(try last("processing") == 0)
    #expect(try last("released") == 0)
    withExtendedLifetime(futures) {}
    await cluster.close()
    #expect(try last("memory") == 0)
  }
}
