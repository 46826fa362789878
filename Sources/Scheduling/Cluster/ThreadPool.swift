import Glibc

/// The threads of one worker, so that tasks do not block Swift's own threads.
///
/// The lock guards all mutable state; an idle thread sleeps on a condition. A job returns whether
/// its thread still belongs to the pool: a thread that has seceded ends with its job.
final class ThreadPool: @unchecked Sendable {
  typealias Job = @Sendable () -> Bool

  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  /// Threads that wait to rejoin sleep on this condition.
  private let seats: UnsafeMutablePointer<pthread_cond_t>
  private var jobs: [Job] = []
  private var nextJob = 0
  private var isClosed = false
  /// The number of threads that wait to rejoin, and of slots freed for them.
  private var rejoining = 0
  private var freedSeats = 0

  /// How often an idle thread checks for a job, yielding each time, before it sleeps. With tiny
  /// tasks the next job arrives sooner than a thread can be woken.
  private static let checksBeforeSleep = 32

  /// - Throws: `ClusterError.noThread`.
  init(count: Int) throws {
    lock = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    seats = .allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
    pthread_cond_init(condition, nil)
    pthread_cond_init(seats, nil)
    for _ in 0..<count {
      let code = addThread()
      guard code == 0 else {
        close()
        throw ClusterError.noThread(reason: String(cString: strerror(code)))
      }
    }
  }

  deinit {
    pthread_mutex_destroy(lock)
    pthread_cond_destroy(condition)
    pthread_cond_destroy(seats)
    lock.deallocate()
    condition.deallocate()
    seats.deallocate()
  }

  /// Returns 0 or an `errno` value.
  private func addThread() -> Int32 {
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
      return code
    }
    pthread_detach(thread)
    return 0
  }

  func run(_ job: @escaping Job) {
    pthread_mutex_lock(lock)
    jobs.append(job)
    pthread_mutex_unlock(lock)
    pthread_cond_signal(condition)
  }

  /// Lets the threads end, without waiting for running jobs.
  func close() {
    pthread_mutex_lock(lock)
    isClosed = true
    jobs.removeAll()
    nextJob = 0
    pthread_mutex_unlock(lock)
    pthread_cond_broadcast(condition)
    pthread_cond_broadcast(seats)
  }

  /// Replaces the calling thread in the pool with a new one.
  func secede() {
    let code = addThread()
    if code != 0 {
      printError("cannot replace the thread of a seceded task: \(String(cString: strerror(code)))")
    }
  }

  /// Waits until another thread leaves the pool, and takes its slot; called by a thread that has
  /// seceded.
  func rejoin() {
    pthread_mutex_lock(lock)
    rejoining += 1
    pthread_cond_signal(condition)
    while freedSeats == 0, !isClosed { pthread_cond_wait(seats, lock) }
    if freedSeats > 0 { freedSeats -= 1 }
    pthread_mutex_unlock(lock)
  }

  private func work() {
    Driver.install()
    while let job = next() {
      if !job() { return }
    }
  }

  private func next() -> Job? {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    var checks = 0
    while rejoining == 0, nextJob >= jobs.count {
      if isClosed { return nil }
      if checks < Self.checksBeforeSleep {
        checks += 1
        pthread_mutex_unlock(lock)
        sched_yield()
        pthread_mutex_lock(lock)
      } else {
        pthread_cond_wait(condition, lock)
      }
    }
    if rejoining > 0 {
      rejoining -= 1
      freedSeats += 1
      pthread_cond_signal(seats)
      return nil
    }
    let job = jobs[nextJob]
    nextJob += 1
    if nextJob == jobs.count {
      jobs.removeAll(keepingCapacity: true)
      nextJob = 0
    }
    return job
  }

  /// A stable ID of the calling thread.
  static var currentThread: Int64 { Int64(bitPattern: UInt64(pthread_self())) }
}
