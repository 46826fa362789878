import Glibc
import Synchronization

/// The threads of one worker: tasks block them, not Swift's own.
///
/// The lock guards the queue; a thread that finds it empty sleeps on the condition.
final class ThreadPool: @unchecked Sendable {
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var jobs: [@Sendable () -> Void] = []
  private var nextJob = 0
  private var isClosed = false
  private var threads: [pthread_t] = []

  /// - Throws: `ClusterError.noThread`.
  init(count: Int) throws {
    lock = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
    pthread_cond_init(condition, nil)
    for _ in 0..<count {
      var thread = pthread_t()
      let this = Unmanaged.passRetained(self)
      let code = pthread_create(
        &thread, nil,
        { argument in
          guard let argument else { return nil }
          Unmanaged<ThreadPool>.fromOpaque(argument).takeRetainedValue().work()
          return nil
        }, this.toOpaque())
      guard code == 0 else {
        this.release()
        close()
        throw ClusterError.noThread(reason: String(cString: strerror(code)))
      }
      threads.append(thread)
    }
  }

  deinit {
    pthread_mutex_destroy(lock)
    pthread_cond_destroy(condition)
    lock.deallocate()
    condition.deallocate()
  }

  func run(_ job: @escaping @Sendable () -> Void) {
    pthread_mutex_lock(lock)
    jobs.append(job)
    pthread_mutex_unlock(lock)
    pthread_cond_signal(condition)
  }

  /// Lets the threads end; what runs is waited for by nobody.
  func close() {
    pthread_mutex_lock(lock)
    isClosed = true
    jobs.removeAll()
    nextJob = 0
    pthread_mutex_unlock(lock)
    pthread_cond_broadcast(condition)
    for thread in threads { pthread_detach(thread) }
    threads.removeAll()
  }

  private func work() {
    while let job = next() { job() }
  }

  private func next() -> (@Sendable () -> Void)? {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    while nextJob >= jobs.count {
      if isClosed { return nil }
      pthread_cond_wait(condition, lock)
    }
    let job = jobs[nextJob]
    nextJob += 1
    if nextJob == jobs.count {
      jobs.removeAll(keepingCapacity: true)
      nextJob = 0
    }
    return job
  }

  /// The calling thread, as a number that stays the same.
  static var currentThread: Int64 { Int64(bitPattern: UInt64(pthread_self())) }
}
