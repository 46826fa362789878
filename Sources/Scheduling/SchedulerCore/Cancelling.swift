import TaskLogPlugin

extension SchedulerCore {
  /// Dask's `stimulus_cancel`: what needs a task is cancelled before it.
  func cancel(
    _ keys: [Key], _ id: String, force: Bool, _ request: Request
  ) throws(EngineFault) {
    guard let client = state.clients[id] else { return }
    var cancelled: [Key] = []
    for key in keys {
      guard let task = state.tasks[key] else { continue }
      let isOnlyOurs = task.whoWants.allSatisfy { $0 === client }
      guard force || isOnlyOurs else { continue }
      try cancel(task.dependents.map(\.key), id, force: force, request)
      cancelled.append(key)
    }
    let holders = force ? state.clients.keys : [id]
    for holder in holders { try release(cancelled, holder, request) }
    if !cancelled.isEmpty { instruct(.cancelled(cancelled)) }
  }
}
