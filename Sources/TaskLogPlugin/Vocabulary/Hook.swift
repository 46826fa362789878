/// What an event is a call of: a hook of a plugin, or one of the recorder's own marks.
///
/// The hooks are Dask's, in Swift's spelling. Marks are facts that no hook tells and that a faithful
/// replay needs; plugins never see them.
public enum Hook: Sendable, Hashable {
  // Scheduler.
  case start, beforeClose, close, restart, updateGraph
  case addWorker, removeWorker, addClient, removeClient
  case validWorkersDownscaling, logEvent
  // Worker.
  case setup, teardown
  // Both.
  case transition
  // Marks: where a recording begins and ends.
  case attach, detach
  // Marks: what reached a source from outside, and changes of state that no hook tells.
  case stimulus, clientDesiresKeys, clientReleasesKeys, addReplica, removeReplica
  // Mark: what a plugin reported live, for a replay to be compared with.
  case report
  // Mark: how many events a filter has left out since the one before.
  case excluded
  // Mark: what a worker tells of itself.
  case heartbeat
  /// A hook that this version does not know: kept and shown, never dropped.
  case other(String)

  /// Every hook and mark that has a name of its own. Grows only at its end.
  public static let known: [Hook] = [
    .start, .beforeClose, .close, .restart, .updateGraph, .addWorker, .removeWorker, .addClient,
    .removeClient, .validWorkersDownscaling, .logEvent, .setup, .teardown, .transition, .attach,
    .detach, .stimulus, .clientDesiresKeys, .clientReleasesKeys, .addReplica, .removeReplica,
    .report, .excluded, .heartbeat,
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
    case .other(let name): name
    }
  }

  /// The hook with this name.
  public init(_ name: String) {
    self = Hook.byName[name] ?? .other(name)
  }

  private static let byName = Dictionary(uniqueKeysWithValues: known.map { ($0.name, $0) })
}
