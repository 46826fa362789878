import TaskLogKit
import Testing

@Suite struct LiveAndReplayTests {
  @Test func `a plugin that reads the state from the start sees the scheduler as live`()
    async throws
  {
    let log = try TemporaryLog()
    let live = try await log.record()
    let result = try await log.replay((SchedulerProbe.self, [:]))
    let replayed = result.lines("SchedulerProbe")
    #expect(live.scheduler.count > 100)
    expectEqual(replayed, live.scheduler)
    #expect(result.failureCount == 0)
    #expect(result.damaged == 0)
    #expect(result.outOfOrder == 0)
  }

  @Test func `a plugin that reads the state from the start sees the workers as live`()
    async throws
  {
    let log = try TemporaryLog()
    let live = try await log.record()
    let result = try await log.replay((WorkerProbe.self, [:]))
    #expect(live.workers.count == 3)
    for (address, lines) in live.workers {
      #expect(lines.count > 10)
      expectEqual(result.lines("WorkerProbe", worker: address), lines)
    }
  }

  @Test(arguments: [2, 17, 60, 131])
  func `a plugin that first reads the state in the middle sees the same as one from the start`(
    from: Int
  ) async throws {
    let log = try TemporaryLog()
    let live = try await log.record()
    let options = ["from": String(from)]
    let result = try await log.replay((SchedulerProbe.self, options), (WorkerProbe.self, options))
    // The first line live is that of `start`, which is not counted.
    expectEqual(result.lines("SchedulerProbe"), Array(live.scheduler.dropFirst(from)))
    for (address, lines) in live.workers {
      expectEqual(result.lines("WorkerProbe", worker: address), Array(lines.dropFirst(from)))
    }
  }

  @Test func `two replays give the same report`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record()
    let first = try await log.replay((SchedulerProbe.self, [:]), (WorkerProbe.self, [:]))
    let second = try await log.replay((SchedulerProbe.self, [:]), (WorkerProbe.self, [:]))
    #expect(first.reports.map(\.report) == second.reports.map(\.report))
    #expect(first.events == second.events)
  }

  @Test func `reports of worker plugins are in the order of the live run`() async throws {
    let log = try TemporaryLog()
    let live = try await log.record(workers: 5)
    let result = try await log.replay((ErrorLogger.self, [:]))
    #expect(result.reports.map(\.worker) == live.errors.map(\.worker))
    #expect(result.reports.map(\.report) == live.errors.map(\.report))
    #expect(live.errors.contains { !($0.report.elements ?? []).isEmpty })
  }

  @Test func `each run of a log is replayed separately`() async throws {
    let log = try TemporaryLog()
    let first = try await log.record(tasks: 10, workers: 1)
    let second = try await log.record(tasks: 25, workers: 2)
    let one = try await log.replay(run: "#1", (SchedulerProbe.self, [:]))
    let two = try await log.replay(run: "#2", (SchedulerProbe.self, [:]))
    expectEqual(one.lines("SchedulerProbe"), first.scheduler)
    expectEqual(two.lines("SchedulerProbe"), second.scheduler)
  }

  /// Reports the first line that differs, not all of them.
  private func expectEqual(
    _ found: [String], _ wanted: [String], _ location: SourceLocation = #_sourceLocation
  ) {
    #expect(found.count == wanted.count, sourceLocation: location)
    if let index = zip(found, wanted).enumerated().first(where: { $1.0 != $1.1 })?.offset {
      Issue.record(
        "line \(index):\n  found  \(found[index])\n  wanted \(wanted[index])",
        sourceLocation: location)
    }
  }
}
