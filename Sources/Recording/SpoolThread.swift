import BrokerMessages
import CSupport
import Glibc
import LogFormat
import Synchronization

/// A thread that takes out of a spool what producers put in: its life, and how far it has come.
///
/// A plain thread, so that it works inside any host.
final class SpoolThread: @unchecked Sendable {
  /// What tools such as `top -H` show; at most 15 bytes.
  static let name = "tasklog-drain"

  // `thread` is written before the thread begins and read when it is waited for.
  private var thread = pthread_t()
  private let stopping = Atomic(false)
  private let outcome = Mutex<String?>(nil)
  /// Up to where the spool has been taken care of.
  private let committed = Atomic<UInt64>(SpoolPosition.start.word)
  /// Up to where somebody waits for it to be.
  private let wanted = Atomic<UInt64>(0)
  private let marks = Mutex(LastMarks())
  /// When it was asked to come to its end.
  private let stopped = Atomic<Int64>(.max)
  /// How long it may take to come to its end when something holds it up.
  private let closeNanoseconds: Int64
  /// How long what it writes with waits for others.
  let patience = LockPatience()

  init(closeNanoseconds: Int64) { self.closeNanoseconds = closeNanoseconds }

  /// What the thread does from its start to its end.
  private final class Work {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
  }

  /// - Returns: what the system says when there is no thread to be had, else 0.
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

  /// Whether the thread is to come to its end.
  var isStopping: Bool { stopping.load(ordering: .acquiring) }

  /// Whether somebody waits for what has not been taken care of yet.
  var hasWaiters: Bool {
    committed.load(ordering: .relaxed) < wanted.load(ordering: .relaxed)
  }

  func note(_ position: SpoolPosition) { committed.store(position.word, ordering: .releasing) }

  /// Waits until everything before a position has been taken care of.
  func flush(to end: SpoolPosition, timeoutSeconds: Double) -> Bool {
    wanted.max(end.word, ordering: .relaxed)
    let deadline = Self.now() + Int64(max(0, min(timeoutSeconds, 1e6)) * 1e9)
    while committed.load(ordering: .acquiring) < end.word {
      guard Self.now() < deadline, !isStopping else { return false }
      usleep(1000)
    }
    return true
  }

  /// What a filter has left out last; known when the thread is to end.
  var lastMarks: [LastMark] { marks.withLock { $0 }.all }

  /// Until when it has to come to its end, once it was asked to.
  var deadline: Int64 {
    let (end, overflow) = stopped.load(ordering: .relaxed).addingReportingOverflow(closeNanoseconds)
    return overflow ? .max : end
  }

  /// Lets the thread come to its end.
  func stop(noting last: LastMarks) {
    marks.withLock { $0 = last }
    stopped.store(Self.now(), ordering: .relaxed)
    // It may be waiting for another process just now.
    patience.end(at: deadline)
    stopping.store(true, ordering: .releasing)
  }

  /// Waits until the thread has come to its end.
  ///
  /// - Returns: what it left undone, nothing when that is nothing.
  func finish() -> String? {
    pthread_join(thread, nil)
    return outcome.withLock { $0 }
  }

  func leave(_ message: String) { outcome.withLock { $0 = message } }

  /// Nanoseconds of a clock that never jumps.
  static func now() -> Int64 { LockPatience.now() }
}

/// What takes care of a recorder's spool, on a thread of its own.
protocol SpoolConsumer: Sendable {
  var thread: SpoolThread { get }
  var spool: Spool { get }
  /// What it writes, for whoever is to be told that it cannot.
  var path: String { get }

  /// What the thread does from its start to its end.
  func work()
}

extension SpoolConsumer {
  /// - Throws: `LogError.cannotWrite` when there is no thread to be had.
  func start() throws {
    let code = thread.start { self.work() }
    guard code == 0 else {
      throw LogError.cannotWrite(path: path, reason: String(cString: strerror(code)))
    }
  }

  /// Waits until everything that lies in the spool now is where it belongs.
  func flush(timeoutSeconds: Double) -> Bool {
    thread.flush(to: spool.end, timeoutSeconds: timeoutSeconds)
  }

  /// What filters have left out last goes the way of all events, so that it is not lost either when
  /// it cannot be written now. No call of a source that had begun before the end is on its way any
  /// more.
  func putLastMarks() {
    var lasts = spool.lastSourceSeqs
    for mark in thread.lastMarks {
      let record = mark.record(behind: &lasts)
      // Where there is no room, the number of its source's last event tells that it is missing.
      _ = record.withUnsafeBytes { spool.put($0) }
      guard let last = lasts.first(where: { $0.source == mark.source })?.last,
        let slot = spool.slot(of: mark.source)
      else { continue }
      tl_store_release(slot, UInt64(bitPattern: last))
    }
  }
}
