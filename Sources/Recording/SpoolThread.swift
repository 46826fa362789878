import CSupport
import EventLog
import Glibc
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
  var isWaitedFor: Bool {
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

  /// Lets the thread come to its end, and waits for that.
  ///
  /// - Returns: what it left undone, nothing when that is nothing.
  func finish(noting last: LastMarks) -> String? {
    marks.withLock { $0 = last }
    stopping.store(true, ordering: .releasing)
    pthread_join(thread, nil)
    return outcome.withLock { $0 }
  }

  func leave(_ message: String) { outcome.withLock { $0 = message } }

  /// Nanoseconds of a clock that never jumps.
  static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

/// What takes care of a recorder's spool, on a thread of its own.
protocol SpoolTaker: Sendable {
  var thread: SpoolThread { get }
  var spool: Spool { get }
  /// What it writes, for whoever is to be told that it cannot.
  var path: String { get }

  /// What the thread does from its start to its end.
  func work()
}

extension SpoolTaker {
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

  /// Takes care of what is left, and waits until that is done.
  ///
  /// - Parameter marks: what a filter has left out last.
  /// - Returns: why something could not be done, nothing when all of it was.
  func finish(noting marks: LastMarks) -> String? { thread.finish(noting: marks) }
}
