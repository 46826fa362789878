/// What the events of a log do not tell, so that a state that is rebuilt of them cannot know it.
///
/// Nothing is made up in its place: fields that are named here hold what was told, which may be less
/// or older than what was so. Ask `scheduler.state.knows(.replicas)` before you rely on them.
public enum UnavailableState: String, Sendable, CaseIterable {
  // A scheduler of Dask that was recorded by public hooks only, in mode `hooks`.
  /// Who holds results beside the worker that computed them: `whoHas`, `hasWhat`, `nbytes` of
  /// workers.
  case replicas
  /// What clients want beside what they wanted with a graph, and what they have let go of:
  /// `whoWants`, `wantsWhat`.
  case wants
  /// Which tasks have left their thread: `longRunning`.
  case longRunning
  /// Restrictions that were changed after a task came: `workerRestrictions`, `looseRestrictions`.
  case restrictions

  // A worker of Dask that was recorded without what reaches it.
  /// What a worker was asked for and told: `dependencies`, `dependents`, `waitingForData`, `waiters`,
  /// `whoHas`, `priority`, `annotations`, `resourceRestrictions`.
  case requests

  // Any worker of Dask.
  /// What was done for a task that is not done yet: `startStops` are told when it is.
  case spans

  // Any source.
  /// Events are missing in the log: any field may be wrong from there on.
  case missingEvents
  /// A filter of the recorder has left events out: what they would have told is not known.
  case excludedEvents
}

extension SchedulerState {
  /// Whether the log tells this; always live.
  public func knows(_ fact: UnavailableState) -> Bool { !unknown.contains(fact) }
}

extension WorkerState {
  /// Whether the log tells this; always live.
  public func knows(_ fact: UnavailableState) -> Bool { !unknown.contains(fact) }
}
