import Glibc
import Synchronization

/// Runs an actor on whichever thread comes by: one of Swift's own, or, between two tasks, the thread
/// that has just finished one. That thread then needs to wake nobody to learn what is next.
///
/// One thread at a time has the *turn*; only it runs jobs of the actor. Who finds the turn taken
/// leaves its job behind, and the one that has it runs that too before it gives the turn back.
final class TurnExecutor: SerialExecutor {
  private struct State {
    var jobs: [UnownedJob] = []
    var isTaken = false
    /// A thread is on its way to take the turn.
    var isCalled = false
  }

  private let state = Mutex(State())
  /// The thread that has the turn, 0 when none has. Each thread only asks whether it is itself.
  private let owner = Atomic<UInt>(0)

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let mustCall = state.withLock { state in
      state.jobs.append(job)
      guard !state.isTaken, !state.isCalled else { return false }
      state.isCalled = true
      return true
    }
    if mustCall { Task.detached { self.takeTurn {} } }
  }

  /// Runs a body as the actor, and the jobs that come up meanwhile; false when another thread has the
  /// turn. Must not be called from within a turn.
  @discardableResult
  func takeTurn(_ body: () -> Void) -> Bool {
    let isOurs = state.withLock { state in
      guard !state.isTaken else { return false }
      state.isTaken = true
      return true
    }
    guard isOurs else { return false }
    owner.store(UInt(pthread_self()), ordering: .relaxed)
    body()
    while true {
      var jobs: [UnownedJob] = []
      state.withLock { state in
        swap(&jobs, &state.jobs)
        guard jobs.isEmpty else { return }
        state.isTaken = false
        state.isCalled = false
        owner.store(0, ordering: .relaxed)
      }
      if jobs.isEmpty { return true }
      for job in jobs { job.runSynchronously(on: asUnownedSerialExecutor()) }
    }
  }

  func checkIsolated() {
    precondition(
      owner.load(ordering: .relaxed) == UInt(pthread_self()), "not on this actor's executor")
  }

  func isIsolatingCurrentContext() -> Bool? {
    owner.load(ordering: .relaxed) == UInt(pthread_self())
  }
}
