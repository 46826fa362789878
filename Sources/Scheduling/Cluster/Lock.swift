import Glibc

/// A value that one thread at a time reads or changes.
///
/// It has the interface of the standard library's `Mutex` but uses a POSIX mutex. The thread
/// sanitizer supports POSIX mutexes; it does not see those of the standard library, which is not
/// built with it, and would report what they guard as races.
///
/// The value is stored next to the mutex and only accessed while the mutex is locked, which makes
/// it safe to share.
struct Lock<Value>: ~Copyable, @unchecked Sendable {
  private struct Guarded {
    var mutex = pthread_mutex_t()
    var value: Value
  }

  private let guarded: UnsafeMutablePointer<Guarded>

  init(_ value: sending Value) {
    guarded = .allocate(capacity: 1)
    guarded.initialize(to: Guarded(value: value))
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    guarded.deinitialize(count: 1)
    guarded.deallocate()
  }

  private var mutex: UnsafeMutablePointer<pthread_mutex_t> {
    // The first field of a struct has the address of the struct.
    UnsafeMutableRawPointer(guarded).assumingMemoryBound(to: pthread_mutex_t.self)
  }

  borrowing func withLock<Result, Failure: Error>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&guarded.pointee.value)
  }
}
