import LogMaintenance
import TaskLogKit
import Testing

@testable import Recording

/// Filtered events are not recorded, they are counted, and they are not a gap.
@Suite struct FilterTests {
  /// Records on a scheduler and a worker; returns the content of the log.
  private func recorded(
    _ filter: Recorder.Filter, events: [Event], encoded: Bool = false, count: Int = 1,
    redacting names: [String] = []
  ) throws -> TemporaryLog {
    let log = try TemporaryLog()
    var options = Recorder.Options()
    options.filter = filter
    options.redactedArgs = names
    let recorder = try Recorder(log: log.path, options: options)
    let sources = [
      Source(kind: .scheduler, id: "s", address: "tcp://s"),
      Source(kind: .worker, id: "w", address: "tcp://w", name: 7),
    ]
    for source in sources {
      if encoded {
        let channel = try #require(recorder.encodedChannel(for: source))
        for _ in 0..<count {
          for event in events {
            var writer = MessagePackWriter()
            writer.write(event, number: 0, sourceSeq: 0)
            // An event's fields from the time on, as another language sends them.
            var reader = MessagePackReader(writer.bytes)
            _ = try (reader.arrayCount(), reader.integer(), reader.integer(), reader.integer())
            let bytes = [0x9A] + Array(reader.rest)
            _ = bytes.withUnsafeBytes { channel.put($0) }
          }
        }
      } else {
        let channel = recorder.channel(for: source)
        for _ in 0..<count { for event in events { channel.record(event) } }
      }
    }
    recorder.close()
    return log
  }

  private static let events: [Event] = [
    Event(.attach, time: 1),
    Event(.addWorker, time: 2, worker: "tcp://w"),
    Event(.transition, time: 3, key: "load-1", start: .released, finish: .waiting),
    Event(.transition, time: 4, key: Key("sum", 1), start: .released, finish: .waiting),
    Event(.stimulus, time: 5, key: "load-1"),
    Event(.other("future"), time: 6, key: "sum"),
  ]

  /// A line for each event except the marks with counts: source, time.
  private func times(_ log: TemporaryLog) throws -> [String: [Int64]] {
    try log.events().mapValues { $0.filter { $0.event.hook != .excluded }.map(\.event.time) }
  }

  @Test(arguments: [false, true])
  func `hooks are selected by their names in either spelling`(encoded: Bool) throws {
    var filter = Recorder.Filter()
    filter.includeHooks = ["add_*", "Transition"]
    let log = try recorded(filter, events: Self.events, encoded: encoded)
    #expect(try times(log).values.allSatisfy { $0 == [1, 2, 3, 4] })
    filter = Recorder.Filter()
    filter.excludeHooks = ["stimulus", "transition"]
    let other = try recorded(filter, events: Self.events, encoded: encoded)
    #expect(try times(other).values.allSatisfy { $0 == [1, 2, 6] })
  }

  @Test(arguments: [false, true])
  func `keys are selected by their text, and events without a key stay`(encoded: Bool) throws {
    var filter = Recorder.Filter()
    filter.includeKeys = ["load-*", "('sum', ?)"]
    filter.excludeKeys = ["*-1"]
    let log = try recorded(filter, events: Self.events, encoded: encoded)
    #expect(try times(log).values.allSatisfy { $0 == [1, 2, 4] })
  }

  @Test(arguments: ["worker", "tcp://w", "w", "7"])
  func `sources are selected by kind, address, id and name`(pattern: String) throws {
    var filter = Recorder.Filter()
    filter.excludeSources = [pattern]
    let log = try recorded(filter, events: Self.events)
    #expect(try times(log) == ["scheduler null": [1, 2, 3, 4, 5, 6], "worker 7": [1]])
    filter.includeSources = filter.excludeSources
    filter.excludeSources = []
    let other = try recorded(filter, events: Self.events)
    #expect(try times(other) == ["scheduler null": [1], "worker 7": [1, 2, 3, 4, 5, 6]])
  }

  @Test(arguments: [false, true])
  func `all filtered events are counted, and are not a gap`(encoded: Bool) throws {
    var filter = Recorder.Filter()
    filter.excludeHooks = ["stimulus"]
    filter.excludeKeys = ["load-*"]
    let log = try recorded(
      filter, events: Self.events, encoded: encoded, count: 1500, redacting: ["*"])
    let reader = try LogReader(path: log.path)
    let run = try reader.runs(matching: "latest")[0]
    #expect(run.limits.isFiltered)
    // These counts are recorded even if everything is filtered.
    #expect(run.limits.filterText == "excludeHooks stimulus; excludeKeys load-*")
    let excluded = try reader.excluded(of: run).map { "\($0.source) \($0.hook) \($0.events)" }
    #expect(
      excluded == [
        "scheduler stimulus 1500", "scheduler transition 1500", "worker stimulus 1500",
        "worker transition 1500",
      ])
    // Recorded continuously, not only at the end.
    let marks = try log.events()["scheduler null"]?.filter { $0.event.hook == .excluded }
    #expect(try #require(marks).count > 2)
    #expect(try reader.missing(of: run) == 0)
    let result = try LogCheck(path: log.path).run()
    let findings = result.findings.filter { $0.kind != .unknownHook }
    #expect(findings.map(\.kind) == [.filtered])
    #expect(findings.first?.count == 6000)
    let kinds = try reader.eventKinds(of: run).filter { $0.excluded > 0 }
    #expect(kinds.reduce(0) { $0 + $1.excluded } == 6000)
  }

  @Test func `a filter for an unknown hook is an error`() throws {
    let log = try TemporaryLog()
    var options = Recorder.Options()
    options.filter.excludeHooks = ["transtion"]
    let error = #expect(throws: RecordingError.self) {
      _ = try Recorder(log: log.path, options: options)
    }
    #expect(error?.description.hasPrefix("'transtion' matches no hook; the hooks are") == true)
    #expect(try log.names == [])
  }

  @Test func `a filtered run is replayed, and the replay reports the filter`() async throws {
    let log = try TemporaryLog()
    var options = Recorder.Options()
    options.filter.excludeKeys = ["*square*"]
    let cluster = try await LocalCluster(
      workers: 1, recorder: Recorder(log: log.path, options: options))
    let squares = cluster.client.map("square", Array(1...20)) { $0 * $0 }
    #expect(try await cluster.client.submit("total", all: squares) { $0.count }.result() == 20)
    await cluster.close()
    #expect(try !LogCheck(path: log.path).run().hasErrors)
    let reader = try LogReader(path: log.path)
    let run = try reader.runs(matching: "latest")[0]
    let replayer = Replayer(reader: reader, run: run)
    replayer.add(Looker.self)
    let result = try await replayer.replay()
    #expect(result.excluded > 60)
    #expect(result.missing == 0)
    #expect(result.unknown.contains(.excludedEvents))
  }
}

/// Reads the state at every transition.
private final class Looker: SchedulerPlugin {
  private var scheduler: Scheduler?
  private var seen = 0

  func start(scheduler: Scheduler) async { self.scheduler = scheduler }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    seen += scheduler?.tasks.count ?? 0
  }
}
