import CSQLite
import Glibc
import Synchronization

/// How long a connection waits for another process's lock. It can be shortened during the wait.
package final class LockPatience: Sendable {
  /// Per attempt the same as the timeout of other connections.
  private static let attemptNanoseconds: Int64 = 5_000_000_000
  private static let longestPauseMicroseconds: Int64 = 25_000

  private let deadline = Atomic<Int64>(.max)

  package init() {}

  /// Ends all waiting at a deadline, in the time of `now()`.
  package func end(at deadline: Int64) { self.deadline.store(deadline, ordering: .relaxed) }

  /// Nanoseconds of a monotonic clock.
  package static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
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

  init(_ patience: LockPatience) { self.patience = patience }

  /// - Parameter attempt: the number of earlier calls for the same lock.
  fileprivate func shouldRetry(_ attempt: Int32) -> Bool {
    if attempt == 0 { start = LockPatience.now() }
    return patience.wait(since: start, attempt: attempt)
  }
}

extension Connection {
  /// Waits for locks as long as `patience` allows, instead of for a fixed time.
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
  }
}
