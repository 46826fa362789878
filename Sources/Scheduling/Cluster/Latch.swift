import Glibc

/// Blocks a thread until there is a value.
///
/// The semaphore is raised once, after the value has been set; the waiting thread reads it after
/// that.
final class Latch<Value: Sendable>: @unchecked Sendable {
  private let semaphore: UnsafeMutablePointer<sem_t>
  private var value: Value?

  init() {
    semaphore = .allocate(capacity: 1)
    sem_init(semaphore, 0, 0)
  }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func open(_ value: Value) {
    self.value = value
    sem_post(semaphore)
  }

  func wait() -> Value {
    while true {
      // A signal may have interrupted the wait.
      while sem_wait(semaphore) != 0 {}
      if let value { return value }
    }
  }
}
