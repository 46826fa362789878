import TaskLogPlugin

/// Execution of tasks on a worker.
extension WorkerServer {
  func execute(_ key: Key, _ taskRunID: Int64) {
    guard let spec = core.state.tasks[key]?.runSpec as? TaskSpec else {
      logger.error("internal error, please report it: no run spec for '\(key)'")
      return
    }
    var inputs: [any Sendable] = []
    for input in spec.inputs {
      guard let value = held[input]?.value else {
        logger.error("internal error, please report it: '\(key)' runs without its input '\(input)'")
        break
      }
      inputs.append(value)
    }
    let values = inputs
    switch spec.run {
    case .sync(let run):
      threads.run { [weak self, threads] in
        guard let self, let context = self.context(key, threads) else { return true }
        let thread = ThreadPool.currentThread
        let end = TaskContext.$current.withValue(context) {
          Self.end(of: key, taskRunID, spec, thread) { try run(values) }
        }
        Driver.drive { self.send(end) }
        return context.hasThread
      }
    case .async(let run):
      Task { [weak self] in
        guard let self, let context = self.context(key, nil) else { return }
        let start = Time.seconds()
        let result: Result<Outcome, any Error>
        do {
          let outcome = try await TaskContext.$current.withValue(context) {
            try await run(values)
          }
          result = .success(outcome)
        } catch {
          result = .failure(error)
        }
        self.send(Self.end(of: key, taskRunID, spec, 0, since: start) { try result.get() })
      }
    }
  }

  private nonisolated func context(_ key: Key, _ threads: ThreadPool?) -> TaskContext? {
    guard let client else { return nil }
    return TaskContext(
      key: key, worker: facts.address, client: client, start: Time.seconds(), threads: threads
    ) { [weak self] seconds in
      self?.send(.seceded(key, computeSeconds: seconds))
    }
  }

  /// The message that reports the outcome of a run.
  private static func end(
    of key: Key, _ taskRunID: Int64, _ spec: TaskSpec, _ thread: Int64,
    since start: Double = Time.seconds(), _ run: () throws -> Outcome
  ) -> Message {
    do {
      let outcome = try run()
      return .executed(
        ExecuteSuccess(
          key: key, taskRunID: taskRunID, nbytes: outcome.nbytes, type: outcome.type,
          typeName: outcome.typeName, thread: thread, start: start, stop: Time.seconds()),
        value: outcome.value)
    } catch is Reschedule {
      return .rescheduled(key)
    } catch {
      return .failed(
        ExecuteFailure(
          key: key, taskRunID: taskRunID, exceptionType: String(describing: type(of: error)),
          exceptionText: String(describing: error),
          tracebackText: "task '\(key)', submitted at \(spec.location)", thread: thread,
          start: start, stop: Time.seconds()))
    }
  }
}
