import TaskLogPlugin

/// Tasks that no worker can run.
extension SchedulerCore {
  /// Dask's `_check_no_workers`.
  func failUnrunnable(after nanoseconds: Int64, _ request: Request) throws(EngineFault) {
    func isOverdue(_ task: TaskState) -> Bool {
      let since = unrunnableSince[ObjectIdentifier(task)] ?? request.time
      return request.time - since >= nanoseconds
    }
    for task in state.unrunnable where task.state == .noWorker && isOverdue(task) {
      try fail(
        task, "NoValidWorkerError",
        "no worker meets the restrictions of task '\(task.key)'", request)
    }
    guard state.workers.isEmpty else { return }
    for task in state.queued where task.state == .queued && isOverdue(task) {
      try fail(task, "NoWorkerError", "there is no worker for task '\(task.key)'", request)
    }
  }

  private func fail(
    _ task: TaskState, _ type: String, _ text: String, _ request: Request
  ) throws(EngineFault) {
    var told = request
    told.args = Args(named: [
      .init(
        "exception",
        .object(["type": .string(type), "description": .string("\(type): \(text)")])),
      .init("cause", task.key.value),
    ])
    try transitions(try transition(task, .erred, told), request)
  }
}
