import TaskLogKit
import Testing

/// What cannot be known from a log is reported as unknown, and not made up.
@Suite struct UnknownFactsTests {
  @Test func `in a log of our own engine everything is known`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record(tasks: 5, workers: 1)
    let result = try await log.replay((Asker.self, [:]), (WorkerAsker.self, [:]))
    #expect(result.unknown.isEmpty)
    #expect(result.reports.allSatisfy { $0.report["unknown"]?.elements == [] })
  }

  @Test func `public hooks of Dask do not contain replicas or clients' wishes`()
    async throws
  {
    let log = try TemporaryLog()
    try log.write(mode: "hooks", metadata: .object(["stimuli": false]))
    let result = try await log.replay((Asker.self, [:]), (WorkerAsker.self, [:]))
    #expect(
      result.reports.first?.report["unknown"]
        == ["replicas", "wants", "longRunning", "restrictions"])
    #expect(result.reports.last?.report["unknown"] == ["spans", "requests"])
    #expect(
      result.unknown == [.replicas, .wants, .longRunning, .restrictions, .requests, .spans])
  }

  @Test func `nothing is reported if no plugin has read the state`() async throws {
    let log = try TemporaryLog()
    try log.write(mode: "hooks")
    let result = try await log.replay((Counter.self, [:]))
    #expect(result.unknown.isEmpty)
  }

  @Test func `missing events make everything uncertain`() async throws {
    let log = try TemporaryLog()
    try log.write(mode: "full", missing: 3)
    let result = try await log.replay((Asker.self, [:]), (WorkerAsker.self, [:]))
    #expect(result.reports.first?.report["unknown"] == ["missingEvents"])
    #expect(result.reports.last?.report["unknown"] == ["spans"])
    #expect(result.missing == 3)
  }
}

private final class Asker: SchedulerPlugin {
  private var scheduler: Scheduler?

  func start(scheduler: Scheduler) { self.scheduler = scheduler }
  func report() -> Value {
    let unknown = scheduler?.state.unknown ?? []
    return .object(["unknown": .list(unknown.map { .string($0.rawValue) })])
  }
}

private final class WorkerAsker: WorkerPlugin {
  private var worker: Worker?

  func setup(worker: Worker) { self.worker = worker }
  func report() -> Value {
    let unknown = worker?.state.unknown ?? []
    return .object(["unknown": .list(unknown.map { .string($0.rawValue) })])
  }
}

extension TemporaryLog {
  /// A log of Dask with a scheduler and a worker.
  fileprivate func write(
    mode: String, metadata: Value = .dict([]), missing: Int64 = 0
  ) throws {
    let writer = try LogWriter(path: path)
    try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: RunID.make(), engine: "dask", engineVersion: "0", recorderVersion: "0", mode: mode,
          started: 1, metadata: metadata))
      let scheduler = try writer.add(
        Source(kind: .scheduler, id: "S", address: "tcp://s"), run: run)
      let worker = try writer.add(Source(kind: .worker, id: "W", address: "tcp://w"), run: run)
      try writer.append(Event(.start, time: 1), source: scheduler, sourceSeq: 1)
      try writer.append(Event(.setup, time: 1), source: worker, sourceSeq: 1)
      if missing > 0 {
        try writer.addGap(
          source: scheduler, sourceSeq: 2, count: missing, time: 2, reason: "test")
      }
    }
  }
}
