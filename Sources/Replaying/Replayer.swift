import EventLog
import TaskLogPlugin

/// Replays one run of a log through plugins.
public final class Replayer {
  /// A hook that threw.
  public struct Failure: Sendable {
    public var plugin: String
    /// The worker of the plugin; `nil` for the scheduler.
    public var worker: String?
    /// The seq of the event; `nil` for `start` and `setup`, which are not events.
    public var seq: Int64?
    public var hook: String
    /// A summary of the event: "transition of 'a' from waiting to processing".
    public var event: String?
    public var error: String

    package init(
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

  /// The report of a plugin at the end.
  public struct Report: Sendable {
    public var plugin: String
    /// The worker of the plugin; `nil` for the scheduler.
    public var worker: String?
    public var report: Value

    package init(plugin: String, worker: String?, report: Value) {
      self.plugin = plugin
      self.worker = worker
      self.report = report
    }
  }

  public struct Result: Sendable {
    /// The number of events of the run that were read.
    public var events: Int64
    /// The number of those covered by the checkpoint that this replay started from.
    public var before: Int64
    /// The number of those in the selected part.
    public var chosen: Int64
    /// By plugin in the order of adding, then by worker in the order of joining; external plugins
    /// come last.
    public var reports: [Report]
    /// The first hooks that threw.
    public var failures: [Failure]
    /// The total number of hooks that threw.
    public var failureCount: Int
    /// Comparisons with results recorded live, for each plugin that has any.
    public var verifications: [Verification]
    /// Other messages for the user, one line each.
    public var notices: [String]
    /// Output requested from external plugins, one line each.
    public var lines: [String]
    /// Why the replay ended.
    public var end: End
    /// State that plugins accessed but that the log does not contain.
    public var unknown: [UnavailableState]
    /// Events that did not match the states accessed by plugins; 0 for an intact log.
    public var mismatchCount: Int
    /// How often a state accessed by Python plugins had to be set to its recorded value; 0 for an
    /// intact log.
    public var drift: Int64
    /// Events of the run that are known to be missing from the log.
    public var missing: Int64
    /// The number of those that were pruned from the log.
    public var pruned: Int64
    /// Events excluded by a filter of the recorder.
    public var excluded: Int64
    /// Events that refer to something missing from the log.
    public var damaged: Int
    /// Events emitted before their cause, because the log contradicts itself.
    public var outOfOrder: Int
  }

  /// Why a replay ended.
  public enum End: Sendable {
    /// All events were replayed.
    case complete
    /// All plugins asked to stop.
    case done
    /// A hook failed, and the replay was to end at the first failure.
    case failed
    /// The replay was cancelled.
    case cancelled
  }

  /// Publishes which Swift plugin is being called with what; reading it is optional.
  package var call = ActiveCall()

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

  /// Adds a Swift plugin: one instance for the scheduler, or one for each worker.
  public func add(_ factory: PluginFactory, options: [String: String] = [:]) {
    factories.append((factory, options))
  }

  /// Adds a plugin class under its Swift name.
  public func add(_ type: any Plugin.Type, options: [String: String] = [:]) {
    add(PluginFactory(type), options: options)
  }

  /// Adds a program that reads events from its standard input.
  public func add(_ program: ProgramPlugin) { outside.append(program) }

  /// Adds plugins written in Python.
  public func add(_ plugins: PythonPlugins) { outside.append(plugins) }

  /// Adds an external plugin.
  package func add(_ outside: any ExternalPlugin) {
    self.outside.append(outside)
  }

  /// Replays the run to its end, or until no plugin needs more of it.
  ///
  /// If it is cancelled, by default with the current task, it ends as if the log did.
  ///
  /// - Parameters:
  ///   - progress: called periodically with the number of events so far.
  ///   - isCancelled: checked periodically.
  /// - Throws: `LogError`, or the error of a plugin's initializer or of an external plugin.
  public nonisolated(nonsending) func replay(
    progress: ((Int64) -> Void)? = nil, isCancelled: @escaping () -> Bool = { Task.isCancelled }
  ) async throws -> Result {
    let pass = try ReplayPass(
      reader: reader, run: run, options: options, factories: factories, outside: outside,
      call: call, isCancelled: isCancelled)
    return try await pass.replay(progress: progress)
  }
}
