import EventLog
import LogAnalysis

/// A plugin in an external program: it receives the events of a run in replay order through a pipe,
/// and cannot access the state rebuilt here.
package protocol ExternalPlugin: AnyObject {
  /// The name used in reports and failures.
  var name: String { get }

  /// Whether it also receives events that are not selected, because it rebuilds the state itself.
  var needsAll: Bool { get }

  /// Whether it needs the events of a source, once it has begun.
  func needs(_ source: SourceInfo) -> Bool

  /// The number of failed hooks reported so far; checked if the first failure ends the replay.
  var failureCount: Int { get }

  /// Called before the first event, with all sources of the run known by then.
  ///
  /// - Throws: if the program cannot be started. Ends the replay.
  func begin(_ run: RunInfo, sources: [SourceInfo]) throws

  /// Called with a source that was not known at the beginning: a worker that joined a run being
  /// followed.
  ///
  /// - Throws: as `process`.
  func join(_ source: SourceInfo) throws

  /// Called with the next event.
  ///
  /// - Parameter isSelected: whether to call the plugin with it; otherwise it only changes the
  ///   state.
  /// - Returns: whether the plugin needs further events.
  /// - Throws: if the program has ended or does not answer. Ends the replay.
  func process(_ recorded: RecordedEvent, isSelected: Bool) throws -> Bool

  /// Called if there are no more events for now: sends what is buffered.
  ///
  /// - Throws: as `process`.
  func flush() throws

  /// Called after the last event.
  ///
  /// - Throws: if the program has failed.
  func finish() throws -> ExternalResult
}

extension ExternalPlugin {
  package func needs(_ source: SourceInfo) -> Bool { true }
  package var failureCount: Int { 0 }
}

/// The results of an external program at its end.
package struct ExternalResult: Sendable {
  package var reports: [Replayer.Report]
  /// The first hooks that failed.
  package var failures: [Replayer.Failure]
  /// The total number of failed hooks.
  package var failureCount: Int
  /// Comparisons with the results recorded live, if the replay verifies.
  package var verifications: [Verification]
  /// Other messages for the user, one line each.
  package var notices: [String]
  /// Output requested by the user, one line each.
  package var lines: [String] = []
  /// How often a state accessed by plugins had to be set to its recorded value.
  package var drift: Int64 = 0

  package init(
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
