import BrokerMessages
import CSupport
import Glibc
import LogFormat
import Synchronization

/// A thread that drains a spool: its life cycle and its progress.
///
/// A plain thread, so that it works inside any host.
final class SpoolThread: @unchecked Sendable {
  /// The name that tools such as `top -H` show; at most 15 bytes.
  static let name = "tasklog-drain"

  // `thread` is written before the thread begins and read when it is joined.
  private var thread = pthread_t()
  private let stopping = Atomic(false)
  private let outcome = Mutex<String?>(nil)
  /// The position up to which the spool has been drained.
  private let committed = Atomic<UInt64>(SpoolPosition.start.word)
  /// The position that waiters want drained.
  private let wanted = Atomic<UInt64>(0)
  private let marks = Mutex(LastMarks())
  /// When the thread was asked to stop.
  private let stopped = Atomic<Int64>(.max)
  /// How long the thread may take to stop if it is blocked.
  private let closeNanoseconds: Int64
  /// How long its writer waits for locks of others.
  let patience = LockPatience()

  init(closeNanoseconds: Int64) { self.closeNanoseconds = closeNanoseconds }

  /// The body of the thread.
  private final class Work {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
  }

  /// - Returns: the system's error code if no thread can be started, else 0.
  func start(_ body: @escaping () -> Void) -> Int32 {
    // Balanced by the release at the beginning of the thread.
    let work = Unmanaged.passRetained(Work(body))
    let code = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        tl_name_thread(SpoolThread.name)
        Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
        return nil
      }, work.toOpaque())
    if code != 0 { work.release() }
    return code
  }

  /// Whether the thread has been asked to stop.
  var isStopping: Bool { stopping.load(ordering: .acquiring) }

  /// Whether a caller waits for a position that is not drained yet.
  var hasWaiters: Bool {
    committed.load(ordering: .relaxed) < wanted.load(ordering: .relaxed)
  }

  func note(_ position: SpoolPosition) { committed.store(position.word, ordering: .releasing) }

  /// Waits until everything before a position has been drained.
  func flush(to end: SpoolPosition, timeoutSeconds: Double) -> Bool {
    wanted.max(end.word, ordering: .relaxed)
    let deadline = Self.now() + Int64(saturating: max(0, min(timeoutSeconds, 1e6)) * 1e9)
    while committed.load(ordering: .acquiring) < end.word {
      guard Self.now() < deadline, !isStopping else { return false }
      usleep(1000)
    }
    return true
  }

  /// The final counts of filtered events; known when the thread is to stop.
  var lastMarks: [LastMark] { marks.withLock { $0 }.all }

  /// When the thread must have ended, once it was asked to stop.
  var deadline: Int64 {
    let (end, overflow) = stopped.load(ordering: .relaxed).addingReportingOverflow(closeNanoseconds)
    return overflow ? .max : end
  }

  /// Asks the thread to stop.
  func stop(recording last: LastMarks) {
    marks.withLock { $0 = last }
    stopped.store(Self.now(), ordering: .relaxed)
    // It may be waiting for another process's lock.
    patience.end(at: deadline)
    stopping.store(true, ordering: .releasing)
  }

  /// Waits until the thread has ended.
  ///
  /// - Returns: what it left undone; `nil` if that is nothing.
  func finish() -> String? {
    pthread_join(thread, nil)
    return outcome.withLock { $0 }
  }

  func setFailure(_ message: String) { outcome.withLock { $0 = message } }

  /// Nanoseconds of a monotonic clock.
  static func now() -> Int64 { LockPatience.now() }
}

/// Drains a recorder's spool, on its own thread.
protocol SpoolConsumer: Sendable {
  var thread: SpoolThread { get }
  var spool: Spool { get }
  /// The path it writes to, for error messages.
  var path: String { get }

  /// The body of the thread, from its start to its end.
  func work()
}

extension SpoolConsumer {
  /// - Throws: `LogError.cannotWrite` if no thread can be started.
  func start() throws {
    let code = thread.start { self.work() }
    guard code == 0 else {
      throw LogError.cannotWrite(path: path, reason: String(cString: strerror(code)))
    }
  }

  /// Waits until everything that is in the spool now is at its destination.
  func flush(timeoutSeconds: Double) -> Bool {
    thread.flush(to: spool.end, timeoutSeconds: timeoutSeconds)
  }

  /// Stores the final counts of filtered events in the spool like any event, so that they are not
  /// lost if they cannot be written now. Calls of sources that began before the end have returned
  /// by now.
  func storeLastMarks() {
    var lasts = spool.lastSourceSeqs
    for mark in thread.lastMarks {
      let record = mark.record(behind: &lasts)
      // If there is no room, the source_seq of its source's last event shows that it is missing.
      _ = record.withUnsafeBytes { spool.put($0) }
      guard let last = lasts.first(where: { $0.source == mark.source })?.last,
        let slot = spool.slot(of: mark.source)
      else { continue }
      tl_store_release(slot, UInt64(bitPattern: last))
    }
  }
}
