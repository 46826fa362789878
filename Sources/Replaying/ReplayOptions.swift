import EventLog
import TaskLogPlugin

/// Which part of a run plugins are called with, and how fast.
///
/// The state that they access is always rebuilt from all events.
public struct ReplayOptions: Sendable, Equatable {
  /// Where calls of plugins begin or end.
  public enum Bound: Sendable, Equatable {
    /// A seq, inclusive.
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

  /// Each source begins with its first event at or after this bound.
  public var from: Bound?
  /// Each source ends before its first event after this bound.
  public var to: Bound?
  /// Sources that match any of these; all if empty.
  public var sources: [SourceChoice] = []
  /// Names or patterns of keys; events without a single key always match.
  public var keys: [String] = []
  /// The speed relative to the recording; `nil` for maximum speed.
  public var speed: Double?
  /// Whether to end at the first hook that fails.
  public var failsFast = false
  /// Whether to follow a run that is being recorded until it ends.
  public var follows = false
  /// Where checkpoints of plugins are saved for later replays; nowhere by default.
  public var checkpoints: CheckpointOptions?

  /// How long an event of a followed run waits for its cause before it is emitted without it:
  /// batches of Dask's workers arrive up to 800 ms late.
  var patience = Duration.milliseconds(1000)
  /// Whether to compare plugin reports with those recorded live.
  public var verifies = false

  public init() {}

  /// Whether plugins are called with only some events, so that their reports differ from the live
  /// ones.
  public var isPartial: Bool { from != nil || to != nil || !sources.isEmpty || !keys.isEmpty }
}
