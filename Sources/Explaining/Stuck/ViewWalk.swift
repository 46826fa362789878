import TaskLogPlugin

/// A task on a worker whose state the scheduler and the worker may see differently.
struct DoubtfulTask: Sendable, Equatable {
  /// The text of its key.
  var key: String
  /// The address of the worker.
  var worker: String
}

/// The first event since when the scheduler and a worker have seen a task differently.
package struct Disagreement: Sendable, Equatable {
  package var key: String
  package var worker: String
  /// The event after which they saw it differently, and whether the scheduler recorded it.
  package var seq: Int64
  package var isOfScheduler: Bool

  package var sentence: String {
    isOfScheduler
      ? "They have disagreed since event \(seq) of the scheduler, on which the worker did nothing that the "
        + "log says."
      : "They have disagreed since event \(seq) of the worker, on which the scheduler did nothing that the "
        + "log says."
  }
}

/// Walks the states of a task at the scheduler and at one worker together, in causal order.
struct ViewWalk {
  /// What the scheduler takes the worker to do with the task.
  enum Expected: Sendable {
    case nothing
    /// To compute it, or wait for what it needs for that.
    case work
    /// To hold its result.
    case result
  }

  enum Step: Sendable {
    case scheduler(Expected)
    case worker(String)
  }

  private var expected = Expected.nothing
  private var state: String?
  /// The first event of the disagreement that lasts.
  private(set) var since: (seq: Int64, isOfScheduler: Bool)?

  mutating func add(_ step: Step, seq: Int64) {
    var isOfScheduler = false
    switch step {
    case .scheduler(let view):
      expected = view
      isOfScheduler = true
    case .worker(let new): state = new
    }
    if agrees { since = nil } else { since = since ?? (seq, isOfScheduler) }
  }

  private static let working: Set<String> = Set(
    [State.waiting, .ready, .constrained, .executing, .longRunning, .resumed].map(\.name))

  private var agrees: Bool {
    switch expected {
    case .work: state.map(Self.working.contains) ?? false
    case .result: state == State.memory.name
    case .nothing: state.map { !Self.working.contains($0) && $0 != State.memory.name } ?? true
    }
  }
}
