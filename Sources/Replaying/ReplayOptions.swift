import EventLog
import TaskLogPlugin

/// Which part of a run plugins are called with, and how fast.
///
/// The state that they see is rebuilt from all of it, whatever is chosen here.
public struct ReplayOptions: Sendable, Equatable {
  /// Where plugins begin or end to be called.
  public enum Bound: Sendable, Equatable {
    /// A number in the order of arrival, inclusive.
    case seq(Int64)
    /// Nanoseconds since 1970 UTC by the clock of each source, inclusive.
    case time(Int64)
  }

  /// Whose plugins are called.
  public enum SourceChoice: Sendable, Equatable {
    case kind(Source.Kind)
    /// The address of a worker or of the scheduler.
    case address(String)
  }

  /// Each source begins with its first event that is not before this one.
  public var from: Bound?
  /// Each source ends with its last event before the first one that is behind this.
  public var to: Bound?
  /// Sources of any of these; all when there are none.
  public var sources: [SourceChoice] = []
  /// Names or GLOB patterns of keys; events that are about no single key stay.
  public var keys: [String] = []
  /// How many times as fast as it was recorded; nothing for as fast as it goes.
  public var speed: Double?
  /// Ends at the first hook that fails.
  public var failsFast = false
  /// Goes on with a run that is being recorded until it ends.
  public var follows = false
  /// Where what plugins have in themselves is saved for the next time; nowhere by default.
  public var checkpoints: CheckpointOptions?

  /// How long an event of a run that is followed waits in the log for its cause, before it is given
  /// out without: batches of Dask's workers come up to 800 ms late.
  var patience = Duration.milliseconds(1000)
  /// Compares what plugins report with what a recorder has noted of them live.
  public var verifies = false

  public init() {}

  /// Whether plugins are called with a part of the events only, so that what they say is not what
  /// they would have said live.
  public var isPartial: Bool { from != nil || to != nil || !sources.isEmpty || !keys.isEmpty }
}
