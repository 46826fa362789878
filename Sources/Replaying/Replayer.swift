import EventLog
import TaskLogPlugin

/// Sends one run of a log through plugins.
public final class Replayer {
  /// A hook that threw.
  public struct Failure: Sendable {
    public var plugin: String
    /// The worker that the plugin was on; nothing on the scheduler.
    public var worker: String?
    /// The number of the event in the log; nothing for `start` and `setup`, which are no events.
    public var seq: Int64?
    public var hook: String
    public var error: String
  }

  /// What a plugin had to say at the end.
  public struct Report: Sendable {
    public var plugin: String
    /// The worker that the plugin was on; nothing on the scheduler.
    public var worker: String?
    public var report: Value
  }

  public struct Result: Sendable {
    public var events: Int64
    /// By plugin in the order of adding, then by worker in the order of joining.
    public var reports: [Report]
    /// The first of the hooks that threw.
    public var failures: [Failure]
    /// How many hooks threw in all.
    public var failureCount: Int
    /// Events that the run is known to have had but the log has not.
    public var missing: Int64
    /// Events that pointed at something that is not in the log.
    public var damaged: Int
    /// Events that had to come before their cause, because the log contradicts itself.
    public var outOfOrder: Int
  }

  private let reader: LogReader
  private let run: RunInfo
  private var factories: [(factory: PluginFactory, options: [String: String])] = []

  public init(reader: LogReader, run: RunInfo) {
    self.reader = reader
    self.run = run
  }

  public func add(_ factory: PluginFactory, options: [String: String] = [:]) {
    factories.append((factory, options))
  }

  /// Reads the whole run.
  ///
  /// - Parameter progress: called now and then with the number of events so far.
  /// - Throws: `LogError`, or what a plugin's initializer throws.
  public nonisolated(nonsending) func replay(
    progress: ((Int64) -> Void)? = nil
  ) async throws -> Result {
    var failures = FailureList()
    var replays: [Int64: SourceReplay] = [:]
    for info in try reader.sources(of: run) {
      replays[info.number] = try SourceReplay(info, reader: reader, factories: factories)
    }
    for replay in ordered(replays) where replay.isScheduler {
      await replay.begin(&failures)
    }
    // Where no plugin is, nothing has to be looked up.
    let wanted = Set(replays.filter { !$0.value.isIdle }.keys)
    let cursor = try reader.events(of: run, order: .causal, wanted: wanted)
    var nextProgress: Int64 = 1 << 16
    var source: Int64 = .min
    var replay: SourceReplay?
    while let recorded = try cursor.nextEvent() {
      if let progress, cursor.count >= nextProgress {
        progress(cursor.count)
        nextProgress = cursor.count + 1 << 16
      }
      // Events of one source often lie together.
      if recorded.source != source {
        source = recorded.source
        replay = replays[source]
      }
      if let replay, try !replay.take(recorded, &failures) {
        try await replay.takeAwaiting(recorded, &failures)
      }
    }
    let reports = reports(ordered(replays))
    for replay in replays.values { if let failure = replay.failure { throw failure } }
    return Result(
      events: cursor.count, reports: reports, failures: failures.first,
      failureCount: failures.count, missing: try reader.missing(of: run),
      damaged: cursor.damagedCount,
      outOfOrder: cursor.forcedCount)
  }

  private func ordered(_ replays: [Int64: SourceReplay]) -> [SourceReplay] {
    replays.keys.sorted().compactMap { replays[$0] }
  }

  private func reports(_ replays: [SourceReplay]) -> [Report] {
    factories.indices.flatMap { index in
      replays.compactMap { replay in replay.report(of: index) }
    }
  }
}

/// Hooks that threw: a plugin that throws at each of many events must not fill the memory.
struct FailureList {
  private static let limit = 100
  private(set) var first: [Replayer.Failure] = []
  private(set) var count = 0

  mutating func append(_ failure: Replayer.Failure) {
    count += 1
    if first.count < Self.limit { first.append(failure) }
  }
}
