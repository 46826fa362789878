import TaskLogPlugin

/// The choice of a worker for a task, with all that were considered.
package struct Placement: Sendable {
  /// How the worker is chosen.
  package enum Rule: String, Sendable {
    /// Where it starts soonest, among the workers that hold some of its inputs, or all that may run it.
    case soonest
    /// Without inputs: the one with the least work.
    case leastWork = "least-work"
    /// Without inputs, and workers have nothing to do: one after the other.
    case inTurn = "in-turn"
    /// One of many tasks with few or no inputs: the one with the fewest tasks per thread that is not
    /// full. If all are full, the task is queued.
    case freeThread = "free-thread"
    /// The same without a queue: the one that got the task before it in its group, for some tasks.
    case group
  }

  package struct Candidate: Sendable {
    package var address: String
    package var threads: Int
    /// Seconds of work, fetching of inputs included, that it has been sent and has not done.
    package var occupancy: Double
    /// The number of tasks that it has been sent and has not done.
    package var processing: Int
    /// The number of these that have left their thread.
    package var longRunning = 0
    /// Bytes of inputs that it would have to fetch.
    package var missingBytes: Int64
    /// Seconds until the task could start: Dask's estimate.
    package var start: Double
    /// Bytes of the results that it holds.
    package var nbytes: Int64
    /// Whether the rule may choose it: no other is better.
    package var isBest = false

    /// The number of its tasks that wait for a thread.
    package var waiting: Int { max(0, processing - longRunning - max(threads, 0)) }
  }

  package var rule: Rule
  /// Whether it is one of many tasks with few or no inputs: Dask's `is_rootish`.
  package var isRootish = false
  /// Whether only some workers, hosts or resources may run it.
  package var isRestricted = false
  /// Whether others may run it if these cannot: Dask's `allow_other_workers`.
  package var isLoose = false
  /// Whether some of its inputs decide which workers are considered: those that hold one.
  package var needsInputs = false
  /// The workers considered, the best first.
  package var candidates: [Candidate] = []
  /// The number of running workers that are not considered.
  package var others = 0

  package var best: [Candidate] { candidates.filter(\.isBest) }

  /// Adds what is the same for all rules, and sorts the candidates.
  mutating func complete(_ task: TaskState, _ state: SchedulerState, isRootish: Bool) {
    self.isRootish = isRootish
    isRestricted = task.isRestricted
    isLoose = isRestricted && task.looseRestrictions
    others = max(0, state.running.count - candidates.count)
    candidates.sort {
      ($0.isBest ? 0 : 1, $0.start, $0.nbytes, $0.address)
        < ($1.isBest ? 0 : 1, $1.start, $1.nbytes, $1.address)
    }
  }

  package func isBest(_ address: String?) -> Bool {
    candidates.contains { $0.isBest && $0.address == address }
  }
}

/// How soon a worker can start a task, and how much it holds: Dask's `worker_objective`. The least is best.
struct WorkerObjective: Comparable {
  /// The number of its actors, if the task is one.
  var actors = 0
  var start: Double
  var nbytes: Int64

  static func < (a: Self, b: Self) -> Bool {
    if a.actors != b.actors { return a.actors < b.actors }
    return a.start == b.start ? a.nbytes < b.nbytes : a.start < b.start
  }
}

/// The rules of a scheduler, applied to its rebuilt state.
package protocol PlacementRules: AnyObject {
  var state: SchedulerState { get }
  /// Applies an event of the scheduler to the state and to what the rules know.
  func apply(_ event: Event)
  /// The choice for a task just before the event that sends it to a worker.
  func placement(of task: TaskState, at event: Event) -> Placement
}
