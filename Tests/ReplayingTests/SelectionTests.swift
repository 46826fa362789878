import TaskLogKit
import Testing

/// Which part of a run plugins are called with.
@Suite struct SelectionTests {
  @Test(arguments: [3, 40, 200])
  func `from an event on a plugin sees the same as one that started earlier`(
    from: Int
  ) async throws {
    let log = try TemporaryLog()
    _ = try await log.record()
    let whole = try await log.replay((SchedulerProbe.self, [:]))
    let seq = try log.scheduler().seqs[from]
    var options = ReplayOptions()
    options.from = .seq(seq)
    let part = try await log.replay(options: options, (SchedulerProbe.self, [:]))
    let lines = part.lines("SchedulerProbe")
    // The first line is that of `start`, with the state as it was before.
    #expect(lines.first?.contains("transitions=0") == false || from < 10)
    #expect(lines.count > 10)
    #expect(lines.dropFirst().elementsEqual(whole.lines("SchedulerProbe").suffix(lines.count - 1)))
    #expect(part.events == whole.events)
    #expect(part.chosen < part.events)
  }

  @Test func `up to an event a plugin sees what one of the whole run has seen by then`()
    async throws
  {
    let log = try TemporaryLog()
    _ = try await log.record()
    let whole = try await log.replay((SchedulerProbe.self, [:]))
    var options = ReplayOptions()
    options.to = .seq(try log.scheduler().seqs[100])
    let part = try await log.replay(options: options, (SchedulerProbe.self, [:]))
    let lines = part.lines("SchedulerProbe")
    #expect(lines.count > 10 && lines.count < whole.lines("SchedulerProbe").count)
    #expect(whole.lines("SchedulerProbe").starts(with: lines))
    #expect(lines.allSatisfy { !$0.hasPrefix("close") })
  }

  @Test func `a range of times selects the events of each source within it`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record()
    let events = try log.scheduler().events
    let (from, to) = (events[30].event.time, events[120].event.time)
    var options = ReplayOptions()
    (options.from, options.to) = (.time(from), .time(to))
    let part = try await log.replay(options: options, (Calls.self, [:]))
    let wanted = events.filter {
      (from...to).contains($0.event.time) && $0.event.hook == .transition
    }
    #expect(part.lines("Calls") == wanted.map(\.event.summaryText))
    #expect(!wanted.isEmpty)
  }

  @Test func `with a pattern of keys the state still contains all keys`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record()
    let whole = try await log.replay((SchedulerProbe.self, [:]))
    var options = ReplayOptions()
    options.keys = ["total*"]
    let part = try await log.replay(options: options, (SchedulerProbe.self, [:]))
    let lines = part.lines("SchedulerProbe")
    #expect(lines.contains { $0.hasPrefix("total-") })
    #expect(!lines.contains { $0.hasPrefix("square-") || $0.hasPrefix("sum-") })
    // Events without a single key stay.
    #expect(lines.contains { $0.hasPrefix("updateGraph") })
    let all = Set(whole.lines("SchedulerProbe"))
    #expect(lines.allSatisfy(all.contains))
  }

  @Test func `only plugins on chosen sources are called`() async throws {
    let log = try TemporaryLog()
    let live = try await log.record()
    let address = try #require(live.workers.keys.min())
    var options = ReplayOptions()
    options.sources = [.address(address)]
    let one = try await log.replay(options: options, (WorkerProbe.self, [:]), (Counter.self, [:]))
    #expect(one.reports.map(\.worker) == [address])
    #expect(one.lines("WorkerProbe", worker: address) == live.workers[address])
    options.sources = [.kind(.scheduler)]
    let scheduler = try await log.replay(
      options: options, (WorkerProbe.self, [:]), (Counter.self, [:]))
    #expect(scheduler.reports.map(\.plugin) == ["Counter"])
    options.sources = [.kind(.worker)]
    let workers = try await log.replay(options: options, (WorkerProbe.self, [:]))
    #expect(workers.reports.count == live.workers.count)
  }

  @Test func `a part without events starts a plugin and calls no hook`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record(tasks: 5)
    var options = ReplayOptions()
    options.from = .seq(1_000_000)
    let result = try await log.replay(options: options, (Calls.self, [:]), (WorkerProbe.self, [:]))
    #expect(result.reports.map(\.plugin) == ["Calls"])
    #expect(result.lines("Calls") == [])
    #expect(result.chosen == 0)
  }
}

/// Records the transitions that it is called with.
final class Calls: SchedulerPlugin {
  private var lines: [String] = []

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    lines.append("transition of '\(key)' from \(start) to \(finish)")
  }

  func report() -> Value { .list(lines.map(Value.string)) }
}

extension TemporaryLog {
  /// The events of the scheduler in the latest run.
  func scheduler() throws -> (events: [RecordedEvent], seqs: [Int64]) {
    let reader = try LogReader(path: path)
    guard let run = try reader.runs(matching: "latest").first,
      let source = try reader.sources(of: run).first(where: { $0.source.kind == .scheduler })
    else { throw LogError.noRuns(path: path) }
    let cursor = try reader.events(of: source)
    var events: [RecordedEvent] = []
    while let event = try cursor.nextEvent() { events.append(event) }
    return (events, events.map(\.seq))
  }
}
