import CSQLite
import CSupport
import Glibc

/// Ends statements and waits of connections when what their thread does is no longer wanted, as the opening
/// of a log that was ended with Ctrl-C.
///
/// A thread names a word (`tl_stop_when`) before it opens connections. Their handlers ask for the word that
/// the thread has named at that moment: a connection may outlive it.
enum ThreadStop {
  /// The number of instructions of SQLite's virtual machine after which it asks whether to stop.
  private static let instructionsBetweenChecks: Int32 = 10_000
  private static let longestPauseMilliseconds: Int32 = 25

  static var isRequested: Bool { tl_is_stopped() }

  /// https://sqlite.org/c3ref/progress_handler.html, https://sqlite.org/c3ref/busy_handler.html
  static func watch(_ handle: OpaquePointer, busyTimeoutMilliseconds: Int32) {
    guard tl_may_be_stopped() else { return }
    sqlite3_progress_handler(
      handle, instructionsBetweenChecks, { _ in ThreadStop.isRequested ? 1 : 0 }, nil)
    sqlite3_busy_handler(
      handle,
      { timeout, attempt in
        guard !ThreadStop.isRequested, ThreadStop.waited(attempt) < Int(bitPattern: timeout) else {
          return 0
        }
        usleep(UInt32(ThreadStop.pause(attempt) * 1000))
        return 1
      }, UnsafeMutableRawPointer(bitPattern: Int(busyTimeoutMilliseconds)))
  }

  /// - Parameter attempt: the number of earlier calls for the same lock.
  private static func pause(_ attempt: Int32) -> Int32 {
    min(attempt + 1, longestPauseMilliseconds)
  }

  /// How many milliseconds were waited before an attempt.
  private static func waited(_ attempt: Int32) -> Int {
    let short = Int(min(attempt, longestPauseMilliseconds))
    return short * (short + 1) / 2 + (Int(attempt) - short) * Int(longestPauseMilliseconds)
  }
}
