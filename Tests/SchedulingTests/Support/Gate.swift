import Glibc

/// Blocks the threads of tasks until it is opened.
final class Gate: @unchecked Sendable {
  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  /// Guarded by the lock.
  private var isOpen = false

  init() {
    pthread_mutex_init(lock, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_mutex_destroy(lock)
    pthread_cond_destroy(condition)
    lock.deallocate()
    condition.deallocate()
  }

  func wait() {
    pthread_mutex_lock(lock)
    while !isOpen { pthread_cond_wait(condition, lock) }
    pthread_mutex_unlock(lock)
  }

  func open() {
    pthread_mutex_lock(lock)
    isOpen = true
    pthread_mutex_unlock(lock)
    pthread_cond_broadcast(condition)
  }
}
