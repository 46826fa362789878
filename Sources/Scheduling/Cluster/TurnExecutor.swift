import Glibc
import Synchronization

/// Runs an actor on any available thread: one of Swift's own, or, between two tasks, the thread
/// that has just finished one. That thread then learns what is next without waking another.
///
/// One thread at a time has the *turn*; only it runs jobs of the actor. A thread that finds the
/// turn taken enqueues its job, and the thread that has the turn runs that too before it ends the
/// turn.
///
/// Writes of one turn are visible to the next, since the lock is taken at the end of one and at the
/// beginning of the other.
final class TurnExecutor: SerialExecutor {
  private struct State {
    var jobs: [UnownedJob] = []
    /// Bodies enqueued by threads that found the turn taken.
    var bodies: [@Sendable () -> Void] = []
    var isTaken = false
    /// A task has been created to take the turn.
    var isCalled = false
  }

  private let state = Lock(State())
  /// The thread that has the turn, or 0. A thread only compares it with itself.
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

  /// Runs a body as the actor, and the jobs enqueued meanwhile. If another thread has the turn,
  /// that thread runs the body. Must not be called from within a turn.
  func takeTurn(_ body: @escaping @Sendable () -> Void) {
    let isOurs = state.withLock { state in
      guard !state.isTaken else {
        state.bodies.append(body)
        return false
      }
      state.isTaken = true
      return true
    }
    guard isOurs else { return }
    owner.store(UInt(pthread_self()), ordering: .relaxed)
    body()
    while true {
      var jobs: [UnownedJob] = []
      var bodies: [@Sendable () -> Void] = []
      state.withLock { state in
        swap(&jobs, &state.jobs)
        swap(&bodies, &state.bodies)
        guard jobs.isEmpty, bodies.isEmpty else { return }
        state.isTaken = false
        state.isCalled = false
        owner.store(0, ordering: .relaxed)
      }
      if jobs.isEmpty, bodies.isEmpty { return }
      for body in bodies { body() }
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
