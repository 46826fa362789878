import Glibc

/// The threads of one worker: tasks block them, not Swift's own.
///
/// The lock guards all that varies; a thread that finds nothing to do sleeps on a condition. A job
/// says whether its thread is still one of the pool: one that has seceded ends with it.
final class ThreadPool: @unchecked Sendable {
  typealias Job = @Sendable () -> Bool

  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  /// Those that want to rejoin sleep on this one.
  private let seats: UnsafeMutablePointer<pthread_cond_t>
  private var jobs: [Job] = []
  private var nextJob = 0
  private var isClosed = false
  /// How many threads want to rejoin, and how many may.
  private var rejoining = 0
  private var seatsGiven = 0

  /// How often a thread that has nothing to do looks for something before it sleeps, others going
  /// first each time. Where tasks are tiny the next one is there sooner than a thread can be woken.
  private static let looksBeforeSleep = 32

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

  /// 0, or the error's number.
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

  /// Lets the threads end; what runs is waited for by nobody.
  func close() {
    pthread_mutex_lock(lock)
    isClosed = true
    jobs.removeAll()
    nextJob = 0
    pthread_mutex_unlock(lock)
    pthread_cond_broadcast(condition)
    pthread_cond_broadcast(seats)
  }

  /// The calling thread leaves its place to a new one.
  func secede() {
    let code = addThread()
    if code != 0 {
      complain("no thread in place of one that has seceded: \(String(cString: strerror(code)))")
    }
  }

  /// The calling thread, which has seceded, waits for one to leave its place to it.
  func rejoin() {
    pthread_mutex_lock(lock)
    rejoining += 1
    pthread_cond_signal(condition)
    while seatsGiven == 0, !isClosed { pthread_cond_wait(seats, lock) }
    if seatsGiven > 0 { seatsGiven -= 1 }
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
    var looks = 0
    while rejoining == 0, nextJob >= jobs.count {
      if isClosed { return nil }
      if looks < Self.looksBeforeSleep {
        looks += 1
        pthread_mutex_unlock(lock)
        sched_yield()
        pthread_mutex_lock(lock)
      } else {
        pthread_cond_wait(condition, lock)
      }
    }
    if rejoining > 0 {
      rejoining -= 1
      seatsGiven += 1
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

  /// The calling thread, as a number that stays the same.
  static var currentThread: Int64 { Int64(bitPattern: UInt64(pthread_self())) }
}
