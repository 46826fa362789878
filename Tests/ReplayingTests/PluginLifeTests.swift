import Synchronization
import TaskLogKit
import Testing

@Suite struct PluginLifeTests {
  @Test func `a plugin that throws is reported and does not disturb the others`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record()
    let alone = try await log.replay((Counter.self, [:]))
    let result = try await log.replay((Thrower.self, [:]), (Counter.self, [:]))
    #expect(result.reports.last?.report == alone.reports.last?.report)
    let transitions = try #require(result.reports.first?.report["transitions"]?.int)
    // One more for `start`.
    #expect(Int64(result.failureCount) == transitions + 1)
    let first = try #require(result.failures.first)
    #expect(first.plugin == "Thrower")
    #expect(first.hook == "start")
    #expect(first.seq == nil)
    #expect(first.error == "not today")
    #expect(result.failures.dropFirst().allSatisfy { $0.hook == "transition" && $0.seq != nil })
  }

  @Test func `a plugin that always throws does not fill the memory`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record()
    let result = try await log.replay((Thrower.self, [:]))
    #expect(result.failureCount > result.failures.count)
    #expect(result.failures.count == 100)
  }

  @Test func `a worker plugin that throws is reported with its worker`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record(workers: 2)
    let result = try await log.replay((WorkerThrower.self, [:]))
    #expect(Set(result.failures.map(\.worker)).count == 2)
    #expect(result.failures.contains { $0.hook == "setup" && $0.seq == nil })
    #expect(result.failures.contains { $0.hook == "teardown" && $0.seq != nil })
  }

  @Test func `asynchronous hooks are called, each once, in their order`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record(workers: 2)
    let result = try await log.replay((Life.self, [:]), (WorkerLife.self, [:]))
    #expect(result.lines("Life") == ["start", "first", "beforeClose", "close"])
    let workers = result.reports.filter { $0.plugin == "WorkerLife" }
    #expect(workers.count == 2)
    for report in workers {
      #expect(TemporaryLog.lines(report.report) == ["setup", "first", "teardown"])
    }
  }

  @Test func `a plugin that refuses its options ends the replay before it begins`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record(tasks: 5)
    await #expect(throws: PluginError.self) {
      try await log.replay((Counter.self, ["speed": "fast"]))
    }
  }

  @Test func `a run that died is replayed to its last event, and nothing is closed`() async throws {
    let log = try TemporaryLog()
    let writer = try LogWriter(path: log.path)
    try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: RunID.make(), engine: "tasklog", engineVersion: "0", recorderVersion: "0",
          mode: "full", started: 1))
      let source = try writer.add(
        Source(kind: .scheduler, id: "Scheduler-1", address: "inproc://x"), run: run)
      try writer.append(Event(.start, time: 1), source: source, sourceSeq: 1)
      for (number, step) in [(State.released, State.waiting), (.waiting, .released)].enumerated() {
        try writer.append(
          Event(
            .transition, time: 2, key: "a", start: step.0, finish: step.1, stimulusID: "s"),
          source: source, sourceSeq: Int64(number + 2))
      }
      try writer.append(
        Event(.transition, time: 3, key: "a", start: .released, finish: .forgotten),
        source: source, sourceSeq: 4)
    }
    let reader = try LogReader(path: log.path)
    #expect(try reader.runs(matching: "latest").map(\.end) == [.died])
    let result = try await log.replay((Life.self, [:]), (LateLooker.self, [:]))
    #expect(result.events == 4)
    #expect(result.lines("Life") == ["start", "first"])
    // The forgotten task is removed after the plugins were called, as it is live.
    #expect(result.lines("LateLooker") == ["0 tasks, 3 transitions"])
  }
}

private final class Thrower: SchedulerPlugin {
  private var transitions = 0

  func start(scheduler: Scheduler) async throws { throw Wrong(description: "not today") }
  func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args
  ) throws {
    transitions += 1
    throw Wrong(description: "not today")
  }
}

private final class WorkerThrower: WorkerPlugin {
  func setup(worker: Worker) async throws { throw Wrong(description: "not today") }
  func teardown(worker: Worker) async throws { throw Wrong(description: "not today") }
}

private final class Life: SchedulerPlugin {
  private var lines: [String] = []

  func start(scheduler: Scheduler) async {
    // Away and back again, as a hook that opens a file would.
    await Task.yield()
    lines.append("start")
  }
  func beforeClose() async {
    await Task.yield()
    lines.append("beforeClose")
  }
  func close() async {
    await Task.yield()
    lines.append("close")
  }
  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    if lines.last == "start" { lines.append("first") }
  }
  func report() -> Value { .list(lines.map(Value.string)) }
}

private final class WorkerLife: WorkerPlugin {
  private var lines: [String] = []

  func setup(worker: Worker) async {
    await Task.yield()
    lines.append("setup")
  }
  func teardown(worker: Worker) async {
    await Task.yield()
    lines.append("teardown")
  }
  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    if lines.last == "setup" { lines.append("first") }
  }
  func report() -> Value { .list(lines.map(Value.string)) }
}

/// Reads the state when everything is over.
private final class LateLooker: SchedulerPlugin {
  private var scheduler: Scheduler?

  func start(scheduler: Scheduler) async { self.scheduler = scheduler }
  func report() -> Value {
    guard let state = scheduler?.state else { return .null }
    return .list([.string("\(state.tasks.count) tasks, \(state.transitionCounter) transitions")])
  }
}
