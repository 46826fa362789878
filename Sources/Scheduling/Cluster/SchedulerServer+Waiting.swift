import TaskLogPlugin

/// Waiting for the scheduler to be idle, and its timers.
extension SchedulerServer {
  /// Waits until no task remains to be run, or the scheduler is closed. Does not wait for tasks
  /// that no worker can run.
  public func idle() async {
    drain()
    guard !isIdle, !isClosed else { return }
    await withCheckedContinuation { awaitingIdle.append($0) }
  }

  private var isIdle: Bool {
    let state = core.state
    return state.taskCount(.processing) == 0 && (state.queued.isEmpty || state.workers.isEmpty)
  }

  func wakeIdle() {
    guard !awaitingIdle.isEmpty, isIdle else { return }
    for one in awaitingIdle { one.resume() }
    awaitingIdle.removeAll()
  }

  // MARK: - Timers

  /// The delays of the timers.
  struct Timing: Sendable {
    /// The delay between tasks becoming unevenly distributed and stealing.
    var stealing = Duration.milliseconds(100)
    /// How long tasks wait for a worker that may run them before they become erred; unlimited by
    /// default.
    var noWorkers: Duration?
  }

  /// Starts the timers that are needed.
  func armTimers() {
    if core.mayBalance { arm("stealing", timing.stealing, .balance) }
    if let limit = timing.noWorkers,
      !core.unrunnableSince.isEmpty || core.noWorkersSince != nil
    {
      let (seconds, attoseconds) = limit.components
      arm(
        "no-workers", limit,
        .noWorkersTimeout(nanoseconds: seconds * 1_000_000_000 + attoseconds / 1_000_000_000))
    }
  }

  private func arm(_ name: String, _ delay: Duration, _ stimulus: SchedulerStimulus) {
    guard armed.insert(name).inserted else { return }
    Task { [weak self] in
      try? await Task.sleep(for: delay)
      await self?.fire(name, stimulus)
    }
  }

  private func fire(_ name: String, _ stimulus: SchedulerStimulus) {
    armed.remove(name)
    drain()
    guard !isClosed else { return }
    handle(stimulus, stimulusID(name))
    armTimers()
  }
}
