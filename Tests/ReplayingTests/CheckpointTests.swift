import Foundation
import TaskLogKit
import TestSupport
import Testing

/// Counts events, reads the state in each transition, and can save its counts.
private final class Tally: SchedulerPlugin, Checkpointing {
  private var lines: [String] = []
  private var scheduler: Scheduler?
  private let refuses: Bool

  init() { refuses = false }
  init(options: [String: String]) { refuses = options["refuses"] != nil }

  func start(scheduler: Scheduler) { self.scheduler = scheduler }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    let state = scheduler?.state
    lines.append(
      "\(key) \(start) \(finish) \(state.map(Dump.cluster) ?? "") "
        + Dump.task(scheduler?.tasks[key]))
  }

  func report() -> Value { .list(lines.map(Value.string)) }
  func checkpoint() -> Value { .list(lines.map(Value.string)) }
  func restore(_ checkpoint: Value) throws {
    if refuses { throw Wrong(description: "will not have it") }
    lines = (checkpoint.elements ?? []).compactMap(\.string)
  }
}

/// The same on workers; ends early at its limit.
private final class WorkerTally: WorkerPlugin, Checkpointing {
  private var lines: [String] = []
  private var worker: Worker?
  private let limit: Int

  init() { limit = .max }
  init(options: [String: String]) { limit = options["limit"].flatMap { Int($0) } ?? .max }

  func setup(worker: Worker) { self.worker = worker }

  func transition(
    key: Key, start: State, finish: State, stimulusID: String, args: Args
  ) throws {
    if lines.count >= limit { throw StopReplay() }
    lines.append("\(key) \(start) \(finish) \(Dump.task(worker?.tasks[key]))")
  }

  func report() -> Value { .list(lines.map(Value.string)) }
  func checkpoint() -> Value { .list(lines.map(Value.string)) }
  func restore(_ checkpoint: Value) {
    lines = (checkpoint.elements ?? []).compactMap(\.string)
  }
}

private final class Forgetful: SchedulerPlugin {}

@Suite struct CheckpointTests {
  private let log: TemporaryLog
  private let cache: String

  init() async throws {
    log = try TemporaryLog()
    _ = try await log.record()
    cache = URL(fileURLWithPath: log.path).deletingLastPathComponent().path + "/cache"
    try FileManager.default.createDirectory(
      atPath: cache, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  }

  private typealias Plugins = [(type: any Plugin.Type, options: [String: String])]

  private static let tallies: Plugins = [
    (Tally.self, [:]), (WorkerTally.self, [:]), (Counter.self, [:]), (ErrorLogger.self, [:]),
  ]

  private func replay(
    _ plugins: Plugins = tallies, path: String? = nil, saves: Bool = true,
    _ change: (inout ReplayOptions) -> Void = { _ in }
  ) async throws -> Replayer.Result {
    let reader = try LogReader(path: path ?? log.path)
    var options = ReplayOptions()
    if saves { options.checkpoints = CheckpointOptions(folder: cache, every: 1) }
    change(&options)
    let replayer = Replayer(
      reader: reader, run: try #require(try reader.runs().last), options: options)
    for (type, options) in plugins { replayer.add(type, options: options) }
    return try await replayer.replay()
  }

  private var files: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: cache).sorted() }
  }

  private func sql(_ text: String, _ path: String? = nil) throws {
    try #require(try Child.run(["sqlite3", path ?? log.path, text]).code == 0)
  }

  /// The log as it was when it had this many events.
  private func shorter(_ events: Int64) throws -> String {
    let path = cache + "-\(events).db"
    try FileManager.default.copyItem(atPath: log.path, toPath: path)
    try sql(
      """
      DELETE FROM event WHERE seq > \(events);
      UPDATE run SET last_seq = \(events), events = \(events), end = NULL, ended = NULL
      """, path)
    return path
  }

  private func expectEqual(
    _ found: Replayer.Result, _ wanted: Replayer.Result,
    _ location: SourceLocation = #_sourceLocation
  ) {
    #expect(
      found.reports.map(\.report) == wanted.reports.map(\.report), sourceLocation: location)
    #expect(found.reports.map(\.worker) == wanted.reports.map(\.worker), sourceLocation: location)
    #expect(found.events == wanted.events, sourceLocation: location)
  }

  @Test(arguments: [5, 40, 41, 77, 130, 200])
  func `a log that has grown is replayed from the last checkpoint, with the same result`(
    events: Int64
  ) async throws {
    let whole = try await replay(saves: false)
    _ = try await replay(path: try shorter(events))
    #expect(try files.count == 1)
    let content = try Data(contentsOf: URL(fileURLWithPath: log.path))
    let resumed = try await replay()
    #expect(resumed.before == events)
    #expect(resumed.notices == [])
    expectEqual(resumed, whole)
    let again = try await replay()
    #expect(again.before == whole.events)
    expectEqual(again, whole)
    // Readers do not write to the log.
    #expect(try Data(contentsOf: URL(fileURLWithPath: log.path)) == content)
  }

  @Test func `a single plugin is resumed, and one that has ended stays so`() async throws {
    for plugins: Plugins in [
      [(Counter.self, [:])], [(ErrorLogger.self, ["limit": "1"])], [(WorkerTally.self, [:])],
      [(WorkerTally.self, ["limit": "6"]), (Tally.self, [:])],
    ] {
      let whole = try await replay(plugins, saves: false)
      let path = try shorter(90)
      _ = try await replay(plugins, path: path)
      let resumed = try await replay(plugins)
      #expect(resumed.before == 90)
      expectEqual(resumed, whole)
      try FileManager.default.removeItem(atPath: path)
    }
  }

  @Test func `other plugins, options or runs have separate checkpoints`() async throws {
    _ = try await replay([(Counter.self, [:])])
    #expect(try await replay([(Counter.self, ["prefix": "sum"])]).before == 0)
    #expect(try await replay([(Counter.self, [:]), (ErrorLogger.self, [:])]).before == 0)
    #expect(try files.count == 3)
    _ = try await log.record(tasks: 10, workers: 1)
    #expect(try await replay([(Counter.self, [:])]).before == 0)
    #expect(try files.count == 4)
  }

  @Test func `a checkpoint is private to its user, and older ones are thinned out`()
    async throws
  {
    for events in [20, 40, 60, 80, 100, 120] as [Int64] {
      _ = try await replay(path: shorter(events))
    }
    #expect(try files.map { $0.split(separator: "-").last } == ["100", "120", "40", "80"])
    for name in try files {
      let attributes = try FileManager.default.attributesOfItem(atPath: "\(cache)/\(name)")
      #expect(attributes[.posixPermissions] as? Int == 0o600)
    }
  }

  @Test func `a damaged checkpoint is reported and not used`() async throws {
    let whole = try await replay()
    for damage in 0..<3 {
      let name = try #require(try files.last)
      let url = URL(fileURLWithPath: "\(cache)/\(name)")
      var bytes = try Data(contentsOf: url)
      switch damage {
      case 0: bytes[bytes.count / 2] ^= 1
      case 1: bytes.removeLast(10)
      default: bytes = Data()
      }
      try bytes.write(to: url)
      let result = try await replay()
      #expect(result.before == 0)
      #expect(result.notices.count == 1)
      #expect(result.notices[0].hasSuffix("\(name) is damaged, and is not used"))
      expectEqual(result, whole)
      #expect(try await replay().before == whole.events)
    }
  }

  @Test func `a checkpoint that was copied to another name is not used`() async throws {
    let whole = try await replay()
    _ = try await replay(path: shorter(60))
    let names = try files
    let early = try #require(names.first { $0.hasSuffix("-60") })
    let late = try #require(names.first { !$0.hasSuffix("-60") })
    let manager = FileManager.default
    func copy(to name: String) throws {
      try? manager.removeItem(atPath: "\(cache)/\(name)")
      try manager.copyItem(atPath: "\(cache)/\(early)", toPath: "\(cache)/\(name)")
    }
    // Another number of the same run.
    try copy(to: late)
    let result = try await replay()
    #expect(result.notices.count == 1 && result.notices[0].contains(late), "\(result.notices)")
    expectEqual(result, whole)
    // The same number of the same plugins on another run, whose events are the same: a copy of the log
    // that other events were recorded into.
    let other = cache + "-other.db"
    try manager.copyItem(atPath: log.path, toPath: other)
    try sql("INSERT OR REPLACE INTO meta VALUES ('log_id', 77)", other)
    try manager.removeItem(atPath: cache)
    try manager.createDirectory(
      atPath: cache, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    _ = try await replay(path: other)
    let foreign = try #require(try files.first)
    _ = try await replay()
    let own = try #require(try files.first { $0 != foreign })
    try manager.removeItem(atPath: "\(cache)/\(own)")
    try manager.moveItem(atPath: "\(cache)/\(foreign)", toPath: "\(cache)/\(own)")
    let again = try await replay()
    #expect(again.before == 0 && again.notices.count == 1, "\(again.notices)")
    expectEqual(again, whole)
  }

  @Test func `what a killed replay was saving is removed by the next one`() async throws {
    _ = try await replay()
    let names = try files
    for name in names { try Data([1]).write(to: URL(fileURLWithPath: "\(cache)/\(name)1.new")) }
    try FileManager.default.removeItem(atPath: "\(cache)/\(try #require(names.last))")
    _ = try await replay()
    #expect(try files == names)
  }

  @Test func `a plugin that cannot restore its checkpoint begins at the beginning`() async throws {
    let plugins: Plugins = [(Tally.self, ["refuses": ""])]
    let whole = try await replay(plugins)
    let result = try await replay(plugins)
    #expect(result.before == 0)
    #expect(result.notices.count == 1 && result.notices[0].hasSuffix("will not have it"))
    expectEqual(result, whole)
  }

  @Test func `after pruning, or any other change before it, a checkpoint is not used`() async throws
  {
    _ = try await replay()
    try sql(
      """
      INSERT INTO gap (source, source_seq, count, time, reason)
        SELECT source, min(source_seq), 10, 0, 'pruned' FROM event WHERE source_seq <= 10
        GROUP BY source;
      DELETE FROM event WHERE source_seq <= 10;
      """)
    let pruned = try await replay()
    #expect(pruned.before == 0)
    #expect(pruned.notices == [])
    expectEqual(pruned, try await replay(saves: false))
  }

  @Test func `a late event that is a cause of an earlier one invalidates later checkpoints`()
    async throws
  {
    // The end of a task on its worker is missing when the first replays run.
    let path = cache + "-late.db"
    try FileManager.default.copyItem(atPath: log.path, toPath: path)
    try sql(
      """
      CREATE TEMP TABLE late AS
        SELECT done.* FROM event AS done JOIN source ON source.id = done.source AND kind = 'worker'
        JOIN text ON text.id = done.start AND text.text = 'executing'
        JOIN event AS memory ON memory.key = done.key AND memory.stimulus = done.stimulus
          AND memory.seq > done.seq
        JOIN text AS finish ON finish.id = memory.finish AND finish.text IN ('memory', 'erred')
        ORDER BY done.seq LIMIT 1 OFFSET 20;
      -- Whatever follows on that worker is later still.
      CREATE TEMP TABLE tail AS SELECT event.* FROM event JOIN late ON event.source = late.source
        AND event.source_seq >= late.source_seq ORDER BY event.seq;
      CREATE TABLE moved AS SELECT * FROM tail;
      DELETE FROM event WHERE seq IN (SELECT seq FROM tail);
      UPDATE run SET end = NULL, ended = NULL;
      """, path)
    let first = try await replay(path: path)
    #expect(first.before == 0)
    _ = try await replay(path: path)
    try sql(
      """
      INSERT INTO event SELECT 100000 + seq, source, source_seq, time, hook, key, start, finish,
        stimulus, worker, task_run, args, snapshot FROM moved ORDER BY seq;
      UPDATE run SET last_seq = (SELECT max(seq) FROM event);
      """, path)
    let whole = try await replay(path: path, saves: false)
    let resumed = try await replay(path: path)
    #expect(resumed.before == 0)
    expectEqual(resumed, whole)
  }

  @Test func `failures are reported each time, and are not passed over`() async throws {
    let plugins: Plugins = [(Counter.self, [:]), (Thrower.self, [:])]
    let first = try await replay(plugins)
    #expect(first.failureCount > 0)
    #expect(try files == [])
    #expect(try await replay(plugins).failureCount == first.failureCount)
  }

  private final class Thrower: SchedulerPlugin, Checkpointing {
    func addWorker(scheduler: Scheduler, worker: String) throws { throw Wrong(description: worker) }
    func checkpoint() -> Value { .null }
    func restore(_ checkpoint: Value) {}
  }

  @Test func `a part, a speed, or a plugin that cannot save has no checkpoints`() async throws {
    _ = try await replay { $0.from = .seq(20) }
    _ = try await replay { $0.keys = ["square-*"] }
    _ = try await replay { $0.speed = 100_000 }
    _ = try await replay([(Counter.self, [:]), (Forgetful.self, [:])])
    #expect(try files == [])
    _ = try await replay { $0.checkpoints?.every = 1_000_000 }
    #expect(try files == [])
  }

  @Test func `an unwritable cache is reported, and the replay continues`() async throws {
    let result = try await replay { $0.checkpoints?.folder = "/nowhere/at/all" }
    #expect(result.notices.count == 1)
    #expect(result.notices[0].hasPrefix("no checkpoints are kept: /nowhere/at/all/"))
    expectEqual(result, try await replay(saves: false))
  }
}
