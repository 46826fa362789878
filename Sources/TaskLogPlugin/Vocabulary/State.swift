/// A state of a task, on the scheduler or on a worker.
///
/// Dask's `scheduler.TaskStateState` and `worker_state_machine.TaskStateState` in one vocabulary;
/// the text of a state in a log is always Dask's (`no-worker`, `long-running`).
public enum State: Sendable, Hashable {
  case released, waiting, noWorker, queued, processing, memory, erred, forgotten
  case ready, constrained, executing, longRunning, fetch, flight, missing
  case cancelled, resumed, rescheduled, error
  /// A state that this version does not know: stored and shown, never dropped.
  case other(String)

  /// Every state with its own name. New ones are only appended.
  public static let known: [State] = [
    .released, .waiting, .noWorker, .queued, .processing, .memory, .erred, .forgotten,
    .ready, .constrained, .executing, .longRunning, .fetch, .flight, .missing,
    .cancelled, .resumed, .rescheduled, .error,
  ]

  /// The index among `known`; `nil` for other states.
  package var knownIndex: Int? {
    switch self {
    case .released: 0
    case .waiting: 1
    case .noWorker: 2
    case .queued: 3
    case .processing: 4
    case .memory: 5
    case .erred: 6
    case .forgotten: 7
    case .ready: 8
    case .constrained: 9
    case .executing: 10
    case .longRunning: 11
    case .fetch: 12
    case .flight: 13
    case .missing: 14
    case .cancelled: 15
    case .resumed: 16
    case .rescheduled: 17
    case .error: 18
    case .other: nil
    }
  }

  /// Dask's spelling.
  public var name: String {
    switch self {
    case .released: "released"
    case .waiting: "waiting"
    case .noWorker: "no-worker"
    case .queued: "queued"
    case .processing: "processing"
    case .memory: "memory"
    case .erred: "erred"
    case .forgotten: "forgotten"
    case .ready: "ready"
    case .constrained: "constrained"
    case .executing: "executing"
    case .longRunning: "long-running"
    case .fetch: "fetch"
    case .flight: "flight"
    case .missing: "missing"
    case .cancelled: "cancelled"
    case .resumed: "resumed"
    case .rescheduled: "rescheduled"
    case .error: "error"
    case .other(let name): name
    }
  }

  /// The state with this name in Dask's spelling.
  public init(_ name: String) {
    self = State.byName[name] ?? .other(name)
  }

  private static let byName = Dictionary(uniqueKeysWithValues: known.map { ($0.name, $0) })
}

extension State {
  public static func == (a: State, b: State) -> Bool {
    if case .other(let a) = a, case .other(let b) = b { return a == b }
    return a.knownIndex == b.knownIndex
  }
}

extension State: CustomStringConvertible {
  public var description: String { name }
}
