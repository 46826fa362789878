import Glibc
import LogFormat
import Synchronization
import TaskLogPlugin

/// What a recorder tells about itself, to its own process and, by a file in its folder, to others;
/// warns once when a limit is near. Updated by the writing thread.
final class RecorderHealth: Sendable {
  private struct Times {
    // Nanoseconds of a monotonic clock.
    var caughtUp = SpoolThread.now()
    var written: Int64 = 0
    /// Nanoseconds since 1970 UTC.
    var committed: Int64?
    var hasWarned = false
  }

  private static let writeNanoseconds: Int64 = 1_000_000_000
  /// Warns when so much of the limit of the spool is used, and again after it was half empty.
  private static let shares = (warn: 0.8, calm: 0.5)

  private let times = Mutex(Times())
  private let delivery = Mutex<Delivery?>(nil)

  /// Copies of the log are delivered.
  func add(_ delivery: Delivery) { self.delivery.withLock { $0 = delivery } }

  /// Events have been written to the log.
  func committed() { times.withLock { $0.committed = Clock.now() } }

  /// - Parameter waiting: the number of bytes in the spool that are not in the log.
  func update(_ spool: Spool, waiting: Int, _ log: String, _ problem: (String) -> Void) {
    let now = SpoolThread.now()
    let isDue = times.withLock { times in
      if waiting == 0 { times.caughtUp = now }
      guard now - times.written >= Self.writeNanoseconds else { return false }
      times.written = now
      return true
    }
    guard isDue else { return }
    let status = status(spool)
    status.write(in: spool.folder)
    let share = Double(waiting) / Double(max(1, status.spoolLimit))
    let warns = times.withLock { times in
      if share < Self.shares.calm { times.hasWarned = false }
      guard share >= Self.shares.warn, !times.hasWarned else { return false }
      times.hasWarned = true
      return true
    }
    guard warns else { return }
    problem(
      "tasklog: \(log): \(Quantity.text(bytes: Int64(waiting))) wait to be written, the limit is "
        + "\(Quantity.text(bytes: status.spoolLimit)), at which events are dropped and counted; "
        + "raise spool_limit, record less, or use a faster disk")
  }

  /// How the recorder is doing now.
  func status(_ spool: Spool) -> RecorderStatus {
    var status = RecorderStatus()
    status.time = Clock.now()
    times.withLock { times in
      status.committed = times.committed
      status.lag = max(0, SpoolThread.now() - times.caughtUp)
    }
    // A few milliseconds pass before events that are there are looked at.
    if status.lag < Self.shortestLag { status.lag = 0 }
    (status.spoolBytes, status.spoolLimit) = (Int64(spool.bytes), Int64(spool.limit))
    guard let delivery = delivery.withLock({ $0 }) else { return status }
    let state = delivery.state
    status.destination = delivery.destination.text
    (status.copies, status.failures) = (Int64(state.copies), Int64(state.failures))
    (status.delivered, status.failingSince) = (state.delivered, state.failingSince)
    status.deliveryError = state.error
    return status
  }

  private static let shortestLag: Int64 = 1_000_000
}
