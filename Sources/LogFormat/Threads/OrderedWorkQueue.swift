import Glibc

/// Passes parts from the threads that read them to the one that consumes them, in order.
///
/// The lock guards all mutable state. Readers are at most `ahead` parts ahead of the consumer.
package final class OrderedWorkQueue<Part: Sendable>: @unchecked Sendable {
  private let count: Int
  private let ahead: Int
  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let isPut = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let hasRoom = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var parts: [Int: Result<Part, any Error>] = [:]
  private var nextToRead = 0
  private var taken = 0
  private var isClosed = false

  package init(count: Int, ahead: Int) {
    self.count = count
    self.ahead = ahead
    pthread_mutex_init(lock, nil)
    pthread_cond_init(isPut, nil)
    pthread_cond_init(hasRoom, nil)
  }

  deinit {
    pthread_mutex_destroy(lock)
    pthread_cond_destroy(isPut)
    pthread_cond_destroy(hasRoom)
    lock.deallocate()
    isPut.deallocate()
    hasRoom.deallocate()
  }

  /// The index of the part that the calling thread should read; `nil` if nothing remains.
  package func next() -> Int? {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    while !isClosed, nextToRead < count, nextToRead >= taken + ahead {
      pthread_cond_wait(hasRoom, lock)
    }
    guard !isClosed, nextToRead < count else { return nil }
    nextToRead += 1
    return nextToRead - 1
  }

  package func put(_ part: Result<Part, any Error>, at index: Int) {
    pthread_mutex_lock(lock)
    parts[index] = part
    pthread_mutex_unlock(lock)
    pthread_cond_signal(isPut)
  }

  /// Waits for a part; parts are consumed in order.
  package func take(_ index: Int) -> Result<Part, any Error> {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    while true {
      if let part = parts.removeValue(forKey: index) {
        taken = index + 1
        pthread_cond_broadcast(hasRoom)
        return part
      }
      pthread_cond_wait(isPut, lock)
    }
  }

  /// Call when no more parts are consumed.
  package func close() {
    pthread_mutex_lock(lock)
    isClosed = true
    pthread_mutex_unlock(lock)
    pthread_cond_broadcast(hasRoom)
  }
}
