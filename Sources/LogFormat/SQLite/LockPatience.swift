import CSQLite
import Glibc
import Synchronization

/// How long a connection waits for another process's lock, and how long its transactions may take once it
/// is to end. It can be shortened during the wait.
package final class LockPatience: Sendable {
  /// Per attempt the same as the timeout of other connections.
  private static let attemptNanoseconds: Int64 = 5_000_000_000
  private static let longestPauseMicroseconds: Int64 = 25_000

  private let deadline = Atomic<Int64>(.max)
  /// How long a transaction may take after the deadline: what is slow on a busy machine is not interrupted.
  private let transactionNanoseconds: Int64

  package init(transactionNanoseconds: Int64 = 5_000_000_000) {
    self.transactionNanoseconds = transactionNanoseconds
  }

  /// Ends all waiting at a deadline, in the time of `now()`.
  package func end(at deadline: Int64) { self.deadline.store(deadline, ordering: .relaxed) }

  /// Nanoseconds of a monotonic clock.
  package static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// Whether a statement of a transaction that began at a time has to stop.
  fileprivate func isOver(since start: Int64) -> Bool {
    let now = Self.now()
    return now >= deadline.load(ordering: .relaxed) && now - start > transactionNanoseconds
  }

  /// Waits a little; false if the time is up.
  fileprivate func wait(since start: Int64, attempt: Int32) -> Bool {
    let now = Self.now()
    let end = min(start + Self.attemptNanoseconds, deadline.load(ordering: .relaxed))
    guard now < end else { return false }
    let pause = min(Self.longestPauseMicroseconds, Int64(attempt + 1) * 1000)
    usleep(UInt32(max(1, min(pause, (end - now) / 1000))))
    return true
  }
}

/// The context of a connection's busy handler: https://sqlite.org/c3ref/busy_handler.html
///
/// Belongs to the thread that uses the connection.
final class WaitingForLock {
  private let patience: LockPatience
  private var start: Int64 = 0
  /// When the last transaction began.
  private var transactionStart: Int64 = 0

  init(_ patience: LockPatience) { self.patience = patience }

  func beginTransaction() { transactionStart = LockPatience.now() }

  fileprivate var isOver: Bool { patience.isOver(since: transactionStart) }

  /// - Parameter attempt: the number of earlier calls for the same lock.
  fileprivate func shouldRetry(_ attempt: Int32) -> Bool {
    if attempt == 0 { start = LockPatience.now() }
    return patience.wait(since: start, attempt: attempt)
  }
}

extension Connection {
  /// The number of instructions of SQLite's virtual machine after which it asks whether to stop.
  private static let instructionsBetweenChecks: Int32 = 100_000

  /// Waits for locks as long as `patience` allows, instead of for a fixed time. Statements stop with an
  /// error when it has run out: https://sqlite.org/c3ref/progress_handler.html
  package func wait(with patience: LockPatience) {
    let waiting = WaitingForLock(patience)
    self.waiting = waiting
    sqlite3_busy_handler(
      handle,
      { context, attempt in
        guard let context else { return 0 }
        // Retained by the connection, which calls this.
        let waiting = Unmanaged<WaitingForLock>.fromOpaque(context).takeUnretainedValue()
        return waiting.shouldRetry(attempt) ? 1 : 0
      }, Unmanaged.passUnretained(waiting).toOpaque())
    sqlite3_progress_handler(
      handle, Self.instructionsBetweenChecks,
      { context in
        guard let context else { return 0 }
        return Unmanaged<WaitingForLock>.fromOpaque(context).takeUnretainedValue().isOver ? 1 : 0
      }, Unmanaged.passUnretained(waiting).toOpaque())
  }
}
