import Synchronization
import TaskLogKit
import TestSupport
import TestTraits
import Testing

@testable import Replaying

/// A replay of a run that is still being recorded.
@Suite(.exclusive(.commands)) struct FollowTests {
  /// Far longer than any of them waits: a test that others slow down has not failed.
  fileprivate static let limit: TimeLimitTrait = .timeLimit(.minutes(Int(10 * Patience.factor)))

  @Test(FollowTests.limit)
  func `a live run is followed to its end, including workers that join`() async throws {
    let log = try TemporaryLog()
    let recorder = try Recorder(log: log.path)
    let cluster = try await LocalCluster(workers: 1, recorder: recorder)
    let path = log.path
    let seen = Mutex<Int64>(0)
    let isOver = Mutex(false)
    let follower = Task {
      // A failed follower reports why at the end.
      defer { isOver.withLock { $0 = true } }
      var options = ReplayOptions()
      options.follows = true
      let reader = try LogReader(path: path)
      let replayer = Replayer(
        reader: reader, run: try reader.runs(matching: "latest")[0], options: options)
      for type in [SchedulerProbe.self, WorkerProbe.self] as [any Plugin.Type] {
        replayer.add(PluginFactory(name: String(describing: type), summary: "", type: type))
      }
      return try await replayer.replay { count in seen.withLock { $0 = count } }
    }
    let first = cluster.client.map("first", Array(0..<20)) { $0 * 2 }
    for future in first { _ = try await future.result() }
    #expect(recorder.flush(timeoutSeconds: 30))
    // It continues while the run does.
    try await eventually("the follower to come to the first tasks") {
      seen.withLock { $0 } >= 50 || isOver.withLock { $0 }
    }
    try await cluster.addWorker()
    let second = cluster.client.map("second", Array(0..<20)) { $0 * 3 }
    for future in second { _ = try await future.result() }
    await cluster.close()

    let followed = try await follower.value
    let replayed = try await log.replay((SchedulerProbe.self, [:]), (WorkerProbe.self, [:]))
    #expect(followed.end == .complete)
    #expect(followed.events == replayed.events)
    #expect(followed.reports.map(\.worker) == replayed.reports.map(\.worker))
    #expect(followed.reports.map(\.report) == replayed.reports.map(\.report))
    #expect(replayed.reports.count == 3)
  }

  @Test(FollowTests.limit)
  func `an effect waits for a cause that reaches the log after it`() async throws {
    let log = try LateLog()
    let order = Order()
    // A late arrival on a busy machine is waited for as well.
    let follower = log.follow(order, patience: .seconds(3600))
    // The batch of the worker arrives once the follower has seen the others.
    try await eventually("the follower to begin") { order.hasBegun.withLock { $0 } }
    try log.end()
    let result = try await follower.value
    #expect(result.events == 3)
    #expect(result.outOfOrder == 0)
    #expect(
      order.lines.withLock { $0 } == [
        "transition of 'a' from waiting to processing",
        "transition of 'a' from executing to memory",
        "transition of 'a' from processing to memory",
      ])
  }

  @Test(FollowTests.limit)
  func `an effect whose cause arrives after the waiting time is counted`() async throws {
    let log = try LateLog()
    let order = Order()
    let follower = log.follow(order, patience: .zero)
    try await eventually("events to be emitted") {
      order.lines.withLock { $0.count } >= 2
    }
    try log.end()
    let result = try await follower.value
    #expect(result.events == 3)
    #expect(result.outOfOrder == 1)
    #expect(
      order.lines.withLock { $0 }.last == "transition of 'a' from executing to memory")
  }
}

/// A live run in which the scheduler has recorded a task's end and the worker has not.
private final class LateLog {
  private let log: TemporaryLog
  private let writer: LogWriter
  private let lock: RecorderLock
  private let run: Int64
  private let worker: Int64

  init() throws {
    log = try TemporaryLog()
    writer = try LogWriter(path: log.path)
    let id = RunID.make()
    lock = try RecorderLock(log: log.path, run: id)
    let writer = writer
    let (run, scheduler, worker) = try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: id, engine: "dask", engineVersion: "0", recorderVersion: "0", mode: "full",
          started: 1))
      return (
        run, try writer.add(Source(kind: .scheduler, id: "S", address: "tcp://s"), run: run),
        try writer.add(Source(kind: .worker, id: "W", address: "tcp://w"), run: run)
      )
    }
    try writer.transaction {
      try writer.append(
        Self.step(.waiting, .processing, run: 1), source: scheduler, sourceSeq: 1)
      try writer.append(Self.step(.processing, .memory), source: scheduler, sourceSeq: 2)
    }
    self.run = run
    self.worker = worker
  }

  private static func step(_ start: State, _ finish: State, run: Int64? = nil) -> Event {
    Event(
      .transition, time: 1, key: "a", start: start, finish: finish, stimulusID: "done",
      taskRunID: run)
  }

  func follow(_ order: Order, patience: Duration) -> Task<Replayer.Result, any Error> {
    let path = log.path
    return Task {
      var options = ReplayOptions()
      options.follows = true
      options.patience = patience
      let reader = try LogReader(path: path)
      let replayer = Replayer(
        reader: reader, run: try reader.runs(matching: "latest")[0], options: options)
      replayer.add(OrderedOutside(order))
      return try await replayer.replay()
    }
  }

  /// The worker's batch arrives, and the run ends.
  func end() throws {
    try writer.transaction {
      try writer.append(
        Self.step(.executing, .memory, run: 1), source: worker, sourceSeq: 1)
    }
    try writer.transaction { try writer.end(run: run, .closed, at: 2) }
    withExtendedLifetime(lock) {}
  }
}

final class Order: Sendable {
  let lines = Mutex<[String]>([])
  let hasBegun = Mutex(false)
}

/// Stands for an external program; records the order of all events.
private final class OrderedOutside: ExternalPlugin {
  let name = "ordered"
  let needsAll = true
  private let order: Order

  init(_ order: Order) { self.order = order }

  func begin(_ run: RunInfo, sources: [SourceInfo]) { order.hasBegun.withLock { $0 = true } }
  func join(_ source: SourceInfo) {}
  func process(_ recorded: RecordedEvent, isSelected: Bool) -> Bool {
    order.lines.withLock { $0.append(recorded.event.summaryText) }
    return true
  }
  func flush() {}
  func finish() -> ExternalResult { ExternalResult() }
}
