import EventLog

extension LogReader {
  /// The tasks that the scheduler of a run had not finished at the end of the log.
  ///
  /// - Parameter keys: the maximum number of keys.
  /// - Throws: `LogError`.
  package func unfinishedTasks(of run: RunInfo, keys: Int) throws -> SomeKeys {
    let schedulers = Set(
      try sources(of: run).filter { $0.source.kind == .scheduler }.map(\.number))
    var tasks = SomeKeys()
    try whereabouts(in: run, at: .end, states: StateSnapshot.isUnfinished).forEachTask { task in
      guard schedulers.contains(task.source) else { return }
      tasks.add(task.key, atMost: keys)
    }
    return tasks
  }
}

extension StateSnapshot {
  /// Whether a task in a state still has something to be done.
  package static func isUnfinished(_ state: String) -> Bool {
    !["memory", "erred", "error", "released", "forgotten"].contains(state)
  }
}
