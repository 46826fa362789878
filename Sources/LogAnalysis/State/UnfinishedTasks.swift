import EventLog
import TaskLogPlugin

extension LogReader {
  /// The tasks that the scheduler of a run had not finished at the end of the log.
  ///
  /// - Parameters:
  ///   - keys: the maximum number of keys.
  ///   - scope: only its tasks, at the end of its time window.
  /// - Throws: `LogError`.
  package func unfinishedTasks(
    of run: RunInfo, keys: Int, in scope: RunScope? = nil
  ) throws -> SomeKeys {
    let schedulers = Set(
      try sources(of: run).filter { $0.source.kind == .scheduler }.map(\.number))
    var tasks = SomeKeys()
    let end = scope?.window.stop ?? .max
    let moment = end == .max ? PointInTime.end : .time(end)
    try whereabouts(
      in: run, at: moment, states: StateSnapshot.isUnfinished, scope: scope
    ).forEachTask { task in
      guard schedulers.contains(task.source) else { return }
      tasks.add(task.key, atMost: keys)
    }
    return tasks
  }
}

extension StateSnapshot {
  /// Whether a task in a state still has something to be done.
  package static func isUnfinished(_ state: String) -> Bool {
    !State.finished.contains { $0.name == state }
  }
}

extension State {
  /// The states in which a task is over, at the scheduler or at a worker.
  package static let finished: [State] = [.memory, .erred, .error, .released, .forgotten]
}
