import EventLog
import Explaining
import Foundation
import LogAnalysis
import Recording
import Synchronization
import TaskLogPlugin
import TestSupport
import Testing

@testable import Scheduling

/// The situations whose kind does not depend on durations, on a real cluster with threads and a clock.
@Suite struct LocalClusterSituationTests {
  private struct Broken: Error {}

  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder("log.db")
  }

  /// Warnings that are true of a cluster in this process: other tests use its threads, too.
  private static let machine: Set<Advice.Kind> = [.schedulerBusy, .workerBusy]

  /// The kinds of warnings about a cluster that runs until its end, besides those.
  private func warnings(
    workers: Int = 2, _ body: (LocalCluster) async throws -> Void
  ) async throws -> [Advice.Kind] {
    let cluster = try await LocalCluster(workers: workers, recorder: Recorder(log: path))
    try await body(cluster)
    await cluster.close()
    let reader = try LogReader(path: path)
    return try reader.advice(of: #require(try reader.runs(matching: "latest").first))
      .filter { $0.severity == .warning }.map(\.kind).filter { !Self.machine.contains($0) }
  }

  @Test func `a tree of tasks is worth no warning`() async throws {
    let kinds = try await warnings { cluster in
      let parts = cluster.client.map("part", Array(0..<40)) { $0 }
      _ = try await cluster.client.submit("sum", all: parts) { $0.reduce(0, +) }.result()
    }
    #expect(kinds == [])
  }

  @Test func `a task that fails for good is a failed task`() async throws {
    let kinds = try await warnings { cluster in
      let bad = cluster.client.submit("bad") { () throws -> Int in throw Broken() }
      await #expect(throws: TaskError.self) { try await bad.result() }
    }
    #expect(kinds == [.failedTasks])
  }

  @Test func `a prefix that fails first and is retried is named`() async throws {
    let seen = Mutex<Set<Int>>([])
    let kinds = try await warnings { cluster in
      let loads = cluster.client.map("load", Array(0..<4), retries: 1) { number throws -> Int in
        if seen.withLock({ $0.insert(number).inserted }) { throw Broken() }
        return number
      }
      _ = try await cluster.client.gather(loads)
    }
    #expect(kinds == [.alwaysRetried])
  }

  @Test func `a retry that hides an error is named`() async throws {
    let seen = Mutex<Set<Int>>([])
    let kinds = try await warnings { cluster in
      let loads = cluster.client.map("load", Array(0..<8), retries: 1) { number throws -> Int in
        if number == 3, seen.withLock({ $0.insert(number).inserted }) { throw Broken() }
        return number
      }
      _ = try await cluster.client.gather(loads)
    }
    #expect(kinds == [.hiddenErrors])
  }

  @Test func `a result that is lost with a worker and computed again is blamed on the loss`()
    async throws
  {
    let kinds = try await warnings { cluster in
      let one = try #require(await cluster.workers.first)
      let part = cluster.client.submit("part", workers: [one], allowOtherWorkers: true) { 1 }
      _ = try await part.result()
      try await cluster.killWorker(one)
      _ = try await part.result()
    }
    #expect(kinds == [.lostWorkers])
  }

  @Test func `what a run that hangs waits for is read while it does`() async throws {
    let cluster = try await LocalCluster(workers: 2, recorder: Recorder(log: path))
    let workers = await cluster.workers
    let gate = DispatchSemaphore(value: 0)
    let client = cluster.client
    let holder = client.submit("holder", key: "holder", workers: [workers[0]]) { () -> Int in
      gate.wait()
      return 1
    }
    let after = client.submit("after", holder, key: "after") { $0 }
    let next = client.submit("next", key: "next", workers: [workers[0]]) { 2 }
    let gpu = client.submit("gpu", key: "gpu", resources: ["GPU": 1]) { 3 }
    let away = client.submit("away", key: "away", workers: ["inproc://elsewhere"]) { 4 }
    func causes() throws -> [StuckCause] {
      let reader = try LogReader(path: path)
      return try reader.stuckCauses(of: #require(try reader.runs(matching: "latest").first))
    }
    let expected = ["away restrictions", "gpu resources", "holder running", "next no-thread"]
    var told: [StuckCause] = []
    // Suspended: the cluster needs the threads of the process.
    let isTold = await eventually {
      told = (try? causes()) ?? []
      return told.map { "\($0.key) \($0.kind.rawValue)" } == expected
    }
    gate.signal()
    _ = try await (after.result(), next.result())
    withExtendedLifetime((gpu, away)) {}
    await cluster.close()
    #expect(isTold, "\(told.map { "\($0.key) \($0.kind.rawValue)" })")
    #expect(told.map(\.chain) == [["away"], ["gpu"], ["after", "holder"], ["next"]])
  }
}
