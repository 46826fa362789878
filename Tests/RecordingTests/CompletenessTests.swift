import Synchronization
import TaskLogKit
import TestSupport
import Testing

/// One call of a transition hook, as a plugin sees it.
private struct Call: Equatable, Sendable, CustomStringConvertible {
  var key: Key
  var start: State
  var finish: State
  var stimulusID: String
  var args: Args.Content

  var description: String { "\(key) \(start) → \(finish) \(stimulusID) \(Args(args).json)" }
}

/// Where the plugins of a test record what they see, by source.
private final class Notes: Sendable {
  private let calls = Mutex<[String: [Call]]>([:])

  func add(_ call: Call, _ source: String) {
    calls.withLock { $0[source, default: []].append(call) }
  }

  var all: [String: [Call]] { calls.withLock { $0 } }
}

private final class SchedulerWitness: SchedulerPlugin {
  private let notes: Notes

  init(notes: Notes) { self.notes = notes }
  convenience init() { self.init(notes: Notes()) }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    let call = Call(
      key: key, start: start, finish: finish, stimulusID: stimulusID, args: args.content)
    notes.add(call, "scheduler null")
  }
}

private final class WorkerWitness: WorkerPlugin {
  private let notes: Notes
  private var worker: Worker?

  init(notes: Notes) { self.notes = notes }
  convenience init() { self.init(notes: Notes()) }

  func setup(worker: Worker) { self.worker = worker }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    let call = Call(
      key: key, start: start, finish: finish, stimulusID: stimulusID, args: args.content)
    notes.add(call, "worker \(worker?.name ?? .null)")
  }
}

private struct Refusal: Error {}

@Suite struct CompletenessTests {
  /// A job with dependencies across workers, errors that propagate, retries and released futures.
  private func job(_ client: Client) async throws {
    let numbers = client.map("number", Array(0..<200)) { number in
      if number % 17 == 3 { throw Refusal() }
      return number
    }
    let even = client.submit("even", all: Array(numbers[4..<20])) { $0.reduce(0, +) }
    let pair = client.submit("pair", numbers[0], numbers[1]) { "\($0) \($1)" }
    let failing = client.submit("failing", numbers[3], retries: 2) { $0 }
    let retried = client.submit("retried", retries: 2) { () -> Int in throw Refusal() }
    #expect(try await even.result() == (4..<20).reduce(0, +))
    #expect(try await pair.result() == "0 1")
    await #expect(throws: TaskError.self) { try await failing.result() }
    await #expect(throws: TaskError.self) { try await retried.result() }
    for number in numbers { try? await number.wait() }
  }

  @Test(arguments: [1, 3])
  func `every transition of every task is in the log once, args included`(
    workers: Int
  ) async throws {
    let log = try TemporaryLog()
    let notes = Notes()
    let cluster = try await LocalCluster(
      workers: workers, threadsPerWorker: 2, recorder: Recorder(log: log.path),
      plugins: [SchedulerWitness(notes: notes)])
    await cluster.client.registerPlugin { WorkerWitness(notes: notes) }
    try await job(cluster.client)
    await cluster.close()

    let recorded = try log.events()
    let seen = notes.all
    #expect(seen.count == workers + 1)
    #expect(Set(recorded.keys) == Set(seen.keys))
    for (source, calls) in seen {
      let events = recorded[source] ?? []
      #expect(events.map(\.sourceSeq) == Array(1...Int64(events.count)))
      let transitions = events.map(\.event).filter { $0.hook == .transition }
      try #require(transitions.count == calls.count, "\(source)")
      for (event, call) in zip(transitions, calls) {
        let found = try Call(
          key: #require(event.key), start: #require(event.start), finish: #require(event.finish),
          stimulusID: #require(event.stimulusID), args: event.args.content)
        #expect(found == call)
      }
    }
  }

  @Test func `a recorder that is finished leaves one file and a closed run`() async throws {
    let log = try TemporaryLog()
    let recorder = try Recorder(log: log.path)
    let cluster = try await LocalCluster(workers: 1, recorder: recorder)
    _ = try await cluster.client.submit("one") { 1 }.result()
    await cluster.close()
    #expect(try log.names == ["test.db"])
    let run = try LogReader(path: log.path).runs(matching: recorder.runID)[0]
    #expect(run.end == .closed)
    #expect(run.ended != nil)
  }

  @Test func `a live run can be read, and counts as running`() async throws {
    let log = try TemporaryLog()
    let recorder = try Recorder(log: log.path)
    let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
    channel.record(Event(.start, time: 1))
    let reader = try LogReader(path: log.path)
    var run = try reader.runs(matching: "latest")[0]
    try await eventually("an event in the log") { try reader.totals(of: run).events > 0 }
    run = try reader.runs(matching: "latest")[0]
    #expect(run.end == .running)
    recorder.close()
    #expect(try reader.runs(matching: "latest")[0].end == .closed)
  }

  @Test func `events that do not fit into the spool are a gap with their exact number`() throws {
    let log = try TemporaryLog()
    var options = Recorder.Options()
    options.segmentSize = 4096
    options.spoolLimit = 8192
    let recorder = try Recorder(log: log.path, options: options)
    // Nothing is drained before everything has been recorded.
    let other = try Connection(path: log.path, mode: .readWrite)
    try other.execute("BEGIN IMMEDIATE")
    let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
    for time in 0..<1000 { channel.record(Event(.start, time: Int64(time))) }
    try other.execute("ROLLBACK")
    recorder.close()
    let reader = try LogReader(path: log.path)
    let totals = try reader.totals(of: reader.runs()[0])
    #expect(totals.events + totals.missing == 1000)
    #expect(totals.missing >= 100)
    let last = try #require(try log.events()["scheduler null"]?.last)
    #expect(last.sourceSeq == totals.events)
  }

  @Test func `several recorders write into one log at the same time`() throws {
    let log = try TemporaryLog()
    let recorders = try (0..<3).map { _ in try Recorder(log: log.path) }
    for recorder in recorders {
      let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
      for time in 0..<500 {
        channel.record(
          Event(
            .transition, time: Int64(time), key: Key("k", time), start: .released,
            finish: .waiting, stimulusID: "s"))
      }
    }
    for recorder in recorders { recorder.close() }
    let reader = try LogReader(path: log.path)
    let runs = try reader.runs()
    #expect(runs.count == 3)
    for run in runs { #expect(try reader.totals(of: run).events == 500) }
    #expect(try log.names == ["test.db"])
  }

  @Test func `a run whose recorder ended without closing it has died`() throws {
    let log = try TemporaryLog()
    // A writer without a recorder's lock is what a killed process leaves.
    let writer = try LogWriter(path: log.path)
    let header = RunHeader(
      id: RunID.make(), engine: "tasklog", engineVersion: "0", recorderVersion: "0", mode: "full",
      started: 5)
    try writer.transaction {
      let run = try writer.add(header)
      let source = try writer.add(Source(kind: .scheduler, id: "s", address: "a"), run: run)
      try writer.append(Event(.start, time: 7), source: source, sourceSeq: 1)
    }
    let before = try LogReader(path: log.path).runs()[0]
    #expect(before.end == .died)
    #expect(before.ended == 7)
    // The next recorder records that.
    try Recorder(log: log.path).close()
    let after = try LogReader(path: log.path).runs()
    #expect(after.map(\.end) == [.died, .closed])
    #expect(after[0].ended == 7)
  }
}
