import EventLog
import LogAnalysis

/// A plugin that lives in a program of its own: it is given the events of a run in the order of the
/// replay, over a pipe, and has no view of the state that is rebuilt here.
public protocol ExternalPlugin: AnyObject {
  /// By which reports and failures name it.
  var name: String { get }

  /// Whether it is given the events that are not selected, too, because it rebuilds the state on its
  /// own.
  var needsAll: Bool { get }

  /// Whether the events of a source, once it has begun, mean anything to it.
  func wants(_ source: SourceInfo) -> Bool

  /// How many hooks have failed so far, as far as the program has told; looked at when the first
  /// failure is to end the replay.
  var failureCount: Int { get }

  /// Comes before the first event, with all the sources of the run that are known by then.
  ///
  /// - Throws: when the program cannot be started. Ends the replay.
  func begin(_ run: RunInfo, sources: [SourceInfo]) throws

  /// A source that was not known at the beginning: a worker that joined a run that is followed.
  ///
  /// - Throws: as `take`.
  func join(_ source: SourceInfo) throws

  /// The next event.
  ///
  /// - Parameter isSelected: whether the plugin is to be called; else it only changes the state.
  /// - Returns: whether the plugin wants more.
  /// - Throws: when the program is gone or does not answer. Ends the replay.
  func take(_ recorded: RecordedEvent, isSelected: Bool) throws -> Bool

  /// There are no more events for now: what was given must be on its way.
  ///
  /// - Throws: as `take`.
  func flush() throws

  /// There will be no more events.
  ///
  /// - Throws: when the program has failed.
  func finish() throws -> ExternalResult
}

extension ExternalPlugin {
  public func wants(_ source: SourceInfo) -> Bool { true }
  public var failureCount: Int { 0 }
}

/// What a program outside had to say at its end.
public struct ExternalResult: Sendable {
  public var reports: [Replayer.Report]
  /// The first of the hooks that failed.
  public var failures: [Replayer.Failure]
  /// How many failed in all.
  public var failureCount: Int
  /// How what was noted live compares, when the replay verifies.
  public var verifications: [Verification]
  /// What else the user has to be told, a line each.
  public var notices: [String]
  /// What the user has asked for, a line each.
  public var lines: [String] = []
  /// How often a state that plugins looked at had to be set to what is recorded.
  public var drift: Int64 = 0

  public init(
    reports: [Replayer.Report] = [], failures: [Replayer.Failure] = [], failureCount: Int = 0,
    verifications: [Verification] = [], notices: [String] = []
  ) {
    self.reports = reports
    self.failures = failures
    self.failureCount = failureCount
    self.verifications = verifications
    self.notices = notices
  }
}
