/// One call of one hook, with its args, or one of the recorder's own marks.
///
/// The engine decides events, `apply(_:)` changes the state by them, plugins are called with them,
/// a recorder stores them, and a replay reads them back.
public struct Event: Sendable, Equatable {
  public var hook: Hook
  /// Nanoseconds since 1970 UTC, by the clock of the source. Data, never used for order.
  public var time: Int64
  public var key: Key?
  public var start: State?
  /// The actual state of the task afterwards; equals `start` if nothing changed.
  public var finish: State?
  /// The outside event that caused this.
  public var stimulusID: String?
  /// The address of the worker concerned: it joins, is to run the task, or has run it.
  public var worker: String?
  /// The run of the task concerned: Dask's `run_id`, incremented by the scheduler.
  public var taskRunID: Int64?
  public var args: Args
  @usableFromInline package var snapshot: Snapshot

  @inlinable
  package init(
    _ hook: Hook, time: Int64, key: Key? = nil, start: State? = nil, finish: State? = nil,
    stimulusID: String? = nil, worker: String? = nil, taskRunID: Int64? = nil,
    args: Args = .none, snapshot: Snapshot = .none
  ) {
    self.hook = hook
    self.time = time
    self.key = key
    self.start = start
    self.finish = finish
    self.stimulusID = stimulusID
    self.worker = worker
    self.taskRunID = taskRunID
    self.args = args
    self.snapshot = snapshot
  }
}
