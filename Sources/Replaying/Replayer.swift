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
    /// The event in words: "transition of 'a' from waiting to processing".
    public var event: String?
    public var error: String

    public init(
      plugin: String, worker: String?, seq: Int64?, hook: String, event: String? = nil,
      error: String
    ) {
      self.plugin = plugin
      self.worker = worker
      self.seq = seq
      self.hook = hook
      self.event = event
      self.error = error
    }
  }

  /// What a plugin had to say at the end.
  public struct Report: Sendable {
    public var plugin: String
    /// The worker that the plugin was on; nothing on the scheduler.
    public var worker: String?
    public var report: Value

    public init(plugin: String, worker: String?, report: Value) {
      self.plugin = plugin
      self.worker = worker
      self.report = report
    }
  }

  public struct Result: Sendable {
    /// How many events of the run have been passed.
    public var events: Int64
    /// How many of them were passed by an earlier replay, whose checkpoint this one began with.
    public var before: Int64
    /// How many of them are in the chosen part.
    public var chosen: Int64
    /// By plugin in the order of adding, then by worker in the order of joining; plugins outside
    /// come last.
    public var reports: [Report]
    /// The first of the hooks that threw.
    public var failures: [Failure]
    /// How many hooks threw in all.
    public var failureCount: Int
    /// How what was noted live compares, for each plugin that something was noted of.
    public var verifications: [Verification]
    /// What else the user has to be told, a line each.
    public var notices: [String]
    /// What the user has asked plugins outside for, a line each.
    public var lines: [String]
    /// Why it has ended before the run did.
    public var end: End
    /// What plugins could not see in the states that they looked at, because the log does not tell.
    public var unknown: [UnavailableState]
    /// Events that did not fit the states that plugins looked at; 0 for a log that is whole.
    public var mismatchCount: Int
    /// How often a state that plugins in Python looked at had to be set to what is recorded; 0 for a
    /// log that is whole.
    public var drift: Int64
    /// Events that the run is known to have had but the log has not.
    public var missing: Int64
    /// Those of them that were taken out of the log to make room.
    public var pruned: Int64
    /// Events that a filter of the recorder has left out.
    public var excluded: Int64
    /// Events that pointed at something that is not in the log.
    public var damaged: Int
    /// Events that had to come before their cause, because the log contradicts itself.
    public var outOfOrder: Int
  }

  /// Why a replay has ended.
  public enum End: Sendable {
    /// There was nothing more to replay.
    case complete
    /// No plugin wanted more.
    case done
    /// A hook failed, and the first failure was to end it.
    case failed
    /// The task that it ran in was cancelled.
    case cancelled
  }

  /// Shows which Swift plugin is being called with what; nobody need look at it.
  public var call = ActiveCall()

  private let reader: LogReader
  private let run: RunInfo
  private let options: ReplayOptions
  private var factories: [(factory: PluginFactory, options: [String: String])] = []
  private var outside: [any ExternalPlugin] = []

  public init(reader: LogReader, run: RunInfo, options: ReplayOptions = ReplayOptions()) {
    self.reader = reader
    self.run = run
    self.options = options
  }

  /// Adds a kind of Swift plugin: one of the scheduler's, or one for each worker.
  public func add(_ factory: PluginFactory, options: [String: String] = [:]) {
    factories.append((factory, options))
  }

  /// Adds a class of plugins, by the name that Swift has for it.
  public func add(_ type: any Plugin.Type, options: [String: String] = [:]) {
    add(PluginFactory(type), options: options)
  }

  /// Adds a plugin that lives in a program of its own.
  public func add(_ outside: any ExternalPlugin) {
    self.outside.append(outside)
  }

  /// Reads the run, all of it or up to where nobody wants more of it.
  ///
  /// When it is cancelled, by default with the task that it runs in, it ends as if the log did.
  ///
  /// - Parameters:
  ///   - progress: called now and then with the number of events so far.
  ///   - isCancelled: asked now and then.
  /// - Throws: `LogError`, or what a plugin's initializer throws, or a plugin outside.
  public nonisolated(nonsending) func replay(
    progress: ((Int64) -> Void)? = nil, isCancelled: @escaping () -> Bool = { Task.isCancelled }
  ) async throws -> Result {
    let pass = try ReplayPass(
      reader: reader, run: run, options: options, factories: factories, outside: outside,
      call: call, isCancelled: isCancelled)
    return try await pass.replay(progress: progress)
  }
}
