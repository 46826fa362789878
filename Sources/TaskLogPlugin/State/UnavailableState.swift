/// Parts of the state that the events of a log do not contain, so that a rebuilt state lacks them.
///
/// Nothing is invented in their place: the affected fields hold what was recorded, which may be
/// incomplete or outdated. Check `scheduler.state.knows(.replicas)` before you rely on them.
public enum UnavailableState: String, Sendable, CaseIterable {
  // A scheduler of Dask that was recorded by public hooks only, in mode `hooks`.
  /// Holders of results other than the worker that computed them: `whoHas`, `hasWhat`, `nbytes` of
  /// workers.
  case replicas
  /// What clients want in addition to the keys of their graphs, and what they have released:
  /// `whoWants`, `wantsWhat`.
  case wants
  /// Tasks that have seceded: `longRunning`.
  case longRunning
  /// Restrictions that were changed after a task was added: `workerRestrictions`,
  /// `looseRestrictions`.
  case restrictions

  // A worker of Dask that was recorded without its incoming messages.
  /// Requests to a worker: `dependencies`, `dependents`, `waitingForData`, `waiters`, `whoHas`,
  /// `priority`, `annotations`, `resourceRestrictions`.
  case requests

  // Any worker of Dask.
  /// The work on a task that is not done yet: `startStops` are recorded when it is.
  case spans

  // Any source.
  /// Events are missing in the log: any field may be wrong from there on.
  case missingEvents
  /// A filter of the recorder has excluded events: their changes are unknown.
  case excludedEvents
}

extension SchedulerState {
  /// Whether the log contains this part of the state; always true live.
  package func knows(_ fact: UnavailableState) -> Bool { !unknown.contains(fact) }
}

extension WorkerState {
  /// Whether the log contains this part of the state; always true live.
  package func knows(_ fact: UnavailableState) -> Bool { !unknown.contains(fact) }
}
