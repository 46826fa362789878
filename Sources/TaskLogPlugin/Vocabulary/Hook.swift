/// The kind of an event: a hook of a plugin, or one of the recorder's own marks.
///
/// The hooks are Dask's, in Swift's spelling. Marks record changes that no hook reports and that a
/// faithful replay needs; plugins never see them.
public enum Hook: Sendable, Hashable {
  // Scheduler.
  case start, beforeClose, close, restart, updateGraph
  case addWorker, removeWorker, addClient, removeClient
  case validWorkersDownscaling, logEvent
  // Worker.
  case setup, teardown
  // Both.
  case transition
  // Marks: the beginning and end of a recording.
  case attach, detach
  // Marks: requests to a source from outside, and state changes that no hook reports.
  case stimulus, clientDesiresKeys, clientReleasesKeys, addReplica, removeReplica
  // Mark: a plugin's live report, for comparison with a replay.
  case report
  // Mark: the number of events that a filter excluded since the previous such mark.
  case excluded
  // Mark: a worker's periodic report about itself.
  case heartbeat
  // Marks that change no state: what a nanny did, what a logger wrote, requests that end workers,
  // locks, the registration of plugins, samples of the scheduler's own load, a worker's profile, and
  // the task that submitted the graph of the next event.
  case nanny, message, request, lock, plugin, monitor, profile, submission
  /// A hook that this version does not know: stored and shown, never dropped.
  case other(String)

  /// Every hook and mark with its own name. New ones are only appended.
  public static let known: [Hook] = [
    .start, .beforeClose, .close, .restart, .updateGraph, .addWorker, .removeWorker, .addClient,
    .removeClient, .validWorkersDownscaling, .logEvent, .setup, .teardown, .transition, .attach,
    .detach, .stimulus, .clientDesiresKeys, .clientReleasesKeys, .addReplica, .removeReplica,
    .report, .excluded, .heartbeat, .nanny, .message, .request, .lock, .plugin, .monitor,
    .profile, .submission,
  ]

  /// The name in a log.
  public var name: String {
    switch self {
    case .start: "start"
    case .beforeClose: "beforeClose"
    case .close: "close"
    case .restart: "restart"
    case .updateGraph: "updateGraph"
    case .addWorker: "addWorker"
    case .removeWorker: "removeWorker"
    case .addClient: "addClient"
    case .removeClient: "removeClient"
    case .validWorkersDownscaling: "validWorkersDownscaling"
    case .logEvent: "logEvent"
    case .setup: "setup"
    case .teardown: "teardown"
    case .transition: "transition"
    case .attach: "attach"
    case .detach: "detach"
    case .stimulus: "stimulus"
    case .clientDesiresKeys: "clientDesiresKeys"
    case .clientReleasesKeys: "clientReleasesKeys"
    case .addReplica: "addReplica"
    case .removeReplica: "removeReplica"
    case .report: "report"
    case .excluded: "excluded"
    case .heartbeat: "heartbeat"
    case .nanny: "nanny"
    case .message: "message"
    case .request: "request"
    case .lock: "lock"
    case .plugin: "plugin"
    case .monitor: "monitor"
    case .profile: "profile"
    case .submission: "submission"
    case .other(let name): name
    }
  }

  /// The hook with this name.
  public init(_ name: String) {
    self = Hook.byName[name] ?? .other(name)
  }

  private static let byName = Dictionary(uniqueKeysWithValues: known.map { ($0.name, $0) })
}
