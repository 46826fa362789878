import TaskLogPlugin

/// Tasks that no worker can run.
extension SchedulerCore {
  /// Dask's `_refresh_no_workers_since`.
  func recordWorkers(_ request: TransitionContext) {
    guard state.running.isEmpty, !state.queued.isEmpty || !state.unrunnable.isEmpty else {
      noWorkersSince = nil
      return
    }
    if noWorkersSince == nil { noWorkersSince = request.time }
  }

  /// Dask's `_check_no_workers`.
  func failUnrunnable(after nanoseconds: Int64, _ request: TransitionContext) throws(InternalError)
  {
    recordWorkers(request)
    var affected: [Key] = []
    for task in state.unrunnable where task.state == .noWorker {
      let since = unrunnableSince[ObjectIdentifier(task)] ?? request.time
      guard request.time - since >= nanoseconds else { continue }
      affected.append(task.key)
      if let noWorkersSince, noWorkersSince < since {
        try failWithoutWorkers(task, request)
      } else {
        try fail(
          task, "NoValidWorkerError",
          "no worker meets the restrictions of task '\(task.key)'", request)
      }
    }
    if let noWorkersSince, request.time - noWorkersSince >= nanoseconds {
      for task in state.queued where task.state == .queued {
        affected.append(task.key)
        try failWithoutWorkers(task, request)
      }
    }
    guard !affected.isEmpty else { return }
    logEvent(
      ["scheduler"],
      .object([
        "action": "no-workers-timeout-exceeded", "keys": .set(affected.map(\.value)),
      ]), request)
  }

  private func failWithoutWorkers(_ task: TaskState, _ request: TransitionContext)
    throws(InternalError)
  {
    try fail(task, "NoWorkerError", "there is no worker for task '\(task.key)'", request)
  }

  private func fail(
    _ task: TaskState, _ type: String, _ text: String, _ request: TransitionContext
  ) throws(InternalError) {
    var context = request
    context.args = Args(named: [
      .init(
        "exception",
        .object(["type": .string(type), "description": .string("\(type): \(text)")])),
      .init("cause", task.key.value),
    ])
    try transitions(try transition(task, .erred, context), request)
  }
}
