import LogFormat
import TaskLogPlugin

/// Follows unfinished tasks to what they wait for: pure, from the state of a scheduler and its workers.
///
/// A task that waits for others is not a cause; every other unfinished task is the end of a chain. Tasks
/// at the end for the same reason are one cause. From these, all tasks that wait for them are found.
struct StuckFinder {
  private let run: StuckRun
  private let rules: StuckRules
  private(set) var causes: [StuckCause] = []

  init(_ run: StuckRun) {
    self.run = run
    rules = StuckRules(run)
    var ends: [(cause: StuckCause, tasks: [TaskState])] = []
    var places: [String: Int] = [:]
    for (_, task) in run.state.tasks where task.isUnfinished {
      guard let (cause, group) = rules.cause(of: task) else { continue }
      if let place = places[group] {
        ends[place].tasks.append(task)
      } else {
        places[group] = ends.count
        ends.append((cause, [task]))
      }
    }
    causes = ends.map { Self.complete($0.cause, $0.tasks) }.sorted(by: Self.isBefore)
  }

  private static func isBefore(_ one: StuckCause, _ other: StuckCause) -> Bool {
    // What runs or waits for a thread is no trouble as such.
    func rank(_ cause: StuckCause) -> Int {
      switch cause.kind {
      case .noThread: 2
      case .running: 1
      default: 0
      }
    }
    return (rank(one), -one.wanted, -one.waiting, -one.tasks, one.key)
      < (rank(other), -other.wanted, -other.waiting, -other.tasks, other.key)
  }

  /// Adds what waits for the tasks at the end.
  private static func complete(_ cause: StuckCause, _ ends: [TaskState]) -> StuckCause {
    var cause = cause
    cause.tasks = Int64(ends.count)
    if ends.count > 1 { cause.sentence += " The same is true of \(others(ends.count - 1))." }
    var next: [ObjectIdentifier: TaskState] = [:]
    var seen = Set(ends.map(ObjectIdentifier.init))
    var (pending, place) = (ends, 0)
    var last: TaskState?
    while place < pending.count {
      let task = pending[place]
      place += 1
      if !task.whoWants.isEmpty {
        cause.wanted += 1
        last = task
      }
      for dependent in task.dependents
      where dependent.isUnfinished && dependent.waitingOn.contains(task)
        && seen.insert(ObjectIdentifier(dependent)).inserted
      {
        next[ObjectIdentifier(dependent)] = task
        pending.append(dependent)
      }
    }
    cause.waiting = Int64(pending.count - ends.count)
    // The task found last has the longest way.
    var step = last ?? pending.last
    while let task = step {
      cause.chain.append(task.key.text)
      step = next[ObjectIdentifier(task)]
    }
    return cause
  }

  private static func others(_ count: Int) -> String {
    count == 1 ? "1 other task" : "\(Units.count(Int64(count))) other tasks"
  }
}
