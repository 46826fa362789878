import TaskLogKit
import Testing

@testable import Replaying

/// How a replay ends before the run does, and its speed.
@Suite struct StoppingTests {
  @Test func `a plugin that wants no more events is not called again, and reports`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record()
    let whole = try await log.replay((Calls.self, [:]))
    let result = try await log.replay((FirstError.self, [:]), (Calls.self, [:]))
    #expect(result.lines("Calls") == whole.lines("Calls"))
    let said = result.lines("FirstError")
    #expect(said.count == 1)
    #expect(said[0].contains("erred"))
    #expect(result.failureCount == 0)
    #expect(result.end == .complete)
    #expect(result.events == whole.events)
  }

  @Test func `a replay ends when no plugin wants more events`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record()
    let result = try await log.replay((FirstError.self, [:]))
    let whole = try await log.replay((Calls.self, [:]))
    #expect(result.end == .done)
    #expect(result.events < whole.events)
    #expect(result.lines("FirstError").count == 1)
  }

  @Test func `a live plugin that wants no more events is not called again`() async throws {
    let log = try TemporaryLog()
    let cluster = try await LocalCluster(
      workers: 1, recorder: Recorder(log: log.path), plugins: [FirstError()])
    let futures = cluster.client.map("fail", Array(0..<5)) { (number: Int) -> Int in
      throw Wrong(description: "\(number)")
    }
    for future in futures { _ = try? await future.result() }
    await cluster.close()
    let live = await cluster.scheduler.reports().first { $0.name == "FirstError" }
    let replayed = try await log.replay((FirstError.self, [:]))
    #expect(TemporaryLog.lines(live?.report).count == 1)
    #expect(live?.report == replayed.reports.first?.report)
  }

  @Test func `each worker's instance stops separately`() async throws {
    let log = try TemporaryLog()
    let live = try await log.record(workers: 3)
    let result = try await log.replay((StopsOnWorker.self, [:]))
    #expect(result.reports.count == live.workers.count)
    #expect(result.reports.allSatisfy { $0.report["transitions"]?.int == 3 })
    #expect(result.end == .done)
  }

  @Test func `fail-fast ends at the first failure`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record()
    var options = ReplayOptions()
    options.failsFast = true
    let result = try await log.replay(options: options, (ThirdFails.self, [:]), (Calls.self, [:]))
    #expect(result.failureCount == 1)
    #expect(result.end == .failed)
    #expect(result.failures.first?.event?.hasPrefix("transition of '") == true)
    #expect(result.lines("Calls").count == 3)
  }

  @Test func `a cancelled replay ends and reports`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record()
    var options = ReplayOptions()
    // Without the end of its task this would take years.
    options.speed = 1e-9
    let path = log.path
    let task = Task { [options] in
      let reader = try LogReader(path: path)
      let replayer = Replayer(
        reader: reader, run: try reader.runs(matching: "latest")[0], options: options)
      replayer.add(PluginFactory(name: "Calls", summary: "", type: Calls.self))
      return try await replayer.replay()
    }
    task.cancel()
    let result = try await task.value
    #expect(result.end == .cancelled)
    #expect(result.reports.map(\.plugin) == ["Calls"])
  }

  @Test func `events are due at their recorded times`() {
    var pacer = Pacer(speed: 10)
    #expect([1_000, 2_000, 1_500, 12_000].map { pacer.due($0) } == [0, 100, 50, 1_100])
    // A time before the first one, and one that is absurd.
    #expect(pacer.due(-5) == 0)
    #expect(pacer.due(.max) > 0)
    var before = Pacer(speed: 1e-300)
    #expect([.min, .max, .min].map { before.due($0) } == [0, 0, 0])
  }

  @Test func `a replay by recorded times makes the same calls`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record(tasks: 10)
    let fast = try await log.replay((Calls.self, [:]))
    var options = ReplayOptions()
    options.speed = 1000
    let paced = try await log.replay(options: options, (Calls.self, [:]))
    #expect(paced.lines("Calls") == fast.lines("Calls"))
    #expect(paced.events == fast.events)
  }
}

/// Searches for the first task that errs.
private final class FirstError: SchedulerPlugin {
  private var lines: [String] = []

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) throws {
    guard finish == .erred else { return }
    lines.append("\(key) \(finish)")
    throw StopReplay()
  }

  func report() -> Value { .list(lines.map(Value.string)) }
}

private final class StopsOnWorker: WorkerPlugin {
  private var transitions = 0

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) throws {
    transitions += 1
    if transitions == 3 { throw StopReplay() }
  }
}

private final class ThirdFails: SchedulerPlugin {
  private var transitions = 0

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) throws {
    transitions += 1
    if transitions == 3 { throw Wrong(description: "three is enough") }
  }
}
