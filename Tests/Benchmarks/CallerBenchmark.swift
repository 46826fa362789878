import EventLog
import Glibc
import Recording
import Synchronization
import TaskLogPlugin
import TestSupport

/// The cost of a hook call for its caller, event by event: recorded, not recorded, and recorded in
/// the ways that people write themselves.
struct CallerBenchmark {
  /// Events of each producer at full speed.
  var events: Int

  func run() throws {
    say("caller's cost of an event, in nanoseconds, with the two looks at the clock around it")
    say("(paced: 20,000 events a second from each producer)")
    say(Self.head)
    let insert = try Kind.all.map { kind in
      try measure(kind, "no recorder") { _ in Nobody() }
      try measure(kind, "mutex and array") { _ in LockedArray() }
      let insert = try measure(kind, "direct sqlite3 insert") { try DirectInsert($0) }
      let folder = try TemporaryFolder()
      let recorded = try recorded(kind, "tasklog", folder, producers: 1)
      if kind.hasArgs {
        try self.recorded(kind, "tasklog, redacting", folder, producers: 1, redacting: ["pass*"])
      }
      for producers in [2, 4] { try self.recorded(kind, "tasklog", folder, producers: producers) }
      for producers in [1, 4] {
        try self.recorded(kind, "tasklog, paced", folder, producers: producers, isPaced: true)
      }
      return (kind, Double(recorded.median) / Double(insert.median))
    }
    for (kind, ratio) in insert {
      say("\(kind.name): median as a share of the direct insert's: \(rounded(ratio, 1000))")
    }
    say()
  }

  @discardableResult
  private func measure(
    _ kind: Kind, _ name: String, _ channel: (String) throws -> any EventChannel
  ) throws -> Samples {
    let folder = try TemporaryFolder()
    let samples = feed([try channel(folder.log)], kind, isPaced: false)
    say(Self.row("\(kind.name), \(name)", "1", samples.columns))
    return samples
  }

  @discardableResult
  private func recorded(
    _ kind: Kind, _ name: String, _ folder: TemporaryFolder, producers: Int,
    redacting names: [String] = [], isPaced: Bool = false
  ) throws -> Samples {
    var options = Recorder.Options()
    options.redactedArgs = names
    let recorder = try Recorder(log: folder.log, options: options)
    let channels = (0..<producers).map { number in
      recorder.channel(
        for: Source(kind: number == 0 ? .scheduler : .worker, id: "\(number)", address: "bench"))
    }
    let samples = feed(channels, kind, isPaced: isPaced)
    recorder.close()
    for suffix in ["", "-wal", "-shm"] { unlink(folder.log + suffix) }
    say(Self.row("\(kind.name), \(name)", "\(producers)", samples.columns))
    return samples
  }

  func feed(
    _ channels: [any EventChannel], _ kind: Kind, isPaced: Bool
  ) -> Samples {
    let count = isPaced ? max(1000, events / 50) : events
    let all = Mutex(Samples())
    onThreads(channels.count) { number in
      let events = kind.events(producer: number)
      let channel = channels[number]
      var samples = Samples(capacity: count)
      var next = now()
      for place in 0..<count {
        if isPaced {
          next += 50_000
          while now() < next {}
        }
        let start = now()
        channel.record(events[place % events.count])
        samples.add(now() - start)
      }
      all.withLock { $0.add(samples) }
    }
    return all.withLock { $0.sorted() }
  }

  static var head: String { row("", "producers", ["mean", "p50", "p99", "p99.9", "max"]) }

  static func row(_ name: String, _ producers: String, _ columns: [String]) -> String {
    func right(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(1, width - text.count)) + text
    }
    let space = String(repeating: " ", count: max(1, 48 - name.count))
    return name + space + right(producers, 9) + columns.map { right($0, 10) }.joined()
  }
}

/// What is recorded.
struct Kind: Sendable {
  var name: String
  var hasArgs: Bool
  var event: @Sendable (Key, Int64) -> Event

  /// A thousand of them, made before the measurement starts.
  func events(producer: Int) -> [Event] {
    (0..<1000).map { event(Key("work-5f3c9a1e-\(producer)", $0), Int64($0)) }
  }

  static let all = [
    Kind(name: "no args", hasArgs: false) { key, time in
      Event(
        .transition, time: time, key: key, start: .waiting, finish: .processing,
        stimulusID: "update-graph-5f3c9a1e", worker: "inproc://bench/1", taskRunID: 1)
    },
    Kind(name: "200 bytes of values", hasArgs: true) { key, time in
      let text = String(repeating: "x", count: 40)
      let tree = Value.dict([
        .init("first", .list([.string(text), 1, 2.5, true])),
        .init("second", .dict([.init("name", .string(text)), .init("more", .string(text))])),
        .init("third", .tuple([.string(text), .null])),
      ])
      return Event(
        .logEvent, time: time, key: key, stimulusID: "log",
        args: Args(named: [.init("message", tree)]))
    },
    Kind(name: "finished task", hasArgs: true) { key, time in
      let span = StartStop(action: "compute", start: 1.75e9, stop: 1.75e9 + 0.001)
      let facts = RunReport(
        worker: "inproc://bench/1", nbytes: 1024, type: "Swift.Int", typeName: "Int",
        thread: 140_012_345_678, startStops: [span])
      return Event(
        .transition, time: time, key: key, start: .processing, finish: .memory,
        stimulusID: "task-finished-5f3c9a1e", worker: facts.worker, taskRunID: 1, args: .run(facts),
        snapshot: .task(TaskSnapshot(nbytes: 1024, typeName: "Int", startStops: [span])))
    },
  ]
}

/// Durations of single calls in nanoseconds.
struct Samples {
  private var values: [Int64] = []

  init(capacity: Int = 0) { values.reserveCapacity(capacity) }

  mutating func add(_ nanoseconds: Int64) { values.append(nanoseconds) }
  mutating func add(_ others: Samples) { values += others.values }

  consuming func sorted() -> Samples {
    values.sort()
    return self
  }

  private func part(_ share: Double) -> Int64 {
    values.isEmpty ? 0 : values[min(values.count - 1, Int(Double(values.count) * share))]
  }

  var median: Int64 { part(0.5) }

  var columns: [String] {
    let mean = values.reduce(0, +) / Int64(max(1, values.count))
    return [mean, part(0.5), part(0.99), part(0.999), values.last ?? 0].map { "\($0)" }
  }
}

/// Accepts events and does nothing, without being optimized away.
final class Nobody: EventChannel {
  func record(_ event: Event) {}
}

/// A typical plugin: a list under a lock, lost with the process.
private final class LockedArray: EventChannel {
  private let events = Mutex<[Event]>([])

  func record(_ event: Event) { events.withLock { $0.append(event) } }
}

/// A plugin that inserts into its own table, with a commit every thousand rows.
private final class DirectInsert: EventChannel, @unchecked Sendable {
  // Used by one thread.
  private let database: BareSQLite
  private let statement: OpaquePointer
  private var count = 0

  init(_ path: String) throws {
    database = try BareSQLite(path: path)
    try database.execute(
      """
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      CREATE TABLE event (time INTEGER, hook TEXT, key TEXT, start TEXT, finish TEXT,
        stimulus TEXT, worker TEXT, args TEXT);
      CREATE INDEX event_key ON event (key);
      BEGIN
      """)
    statement = try database.prepare("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
  }

  deinit { finish(statement) }

  func record(_ event: Event) {
    bind(statement, 1, event.time)
    bind(statement, 2, event.hook.name)
    bind(statement, 3, event.key?.text)
    bind(statement, 4, event.start?.name)
    bind(statement, 5, event.finish?.name)
    bind(statement, 6, event.stimulusID)
    bind(statement, 7, event.worker)
    bind(statement, 8, event.args.isEmpty ? nil : event.args.json)
    run(statement)
    count += 1
    if count % 1000 == 0 { try? database.execute("COMMIT; BEGIN") }
  }
}
