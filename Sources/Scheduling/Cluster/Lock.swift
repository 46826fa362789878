import Glibc

/// A value that one thread at a time looks at or changes.
///
/// It has the interface of the standard library's `Mutex` and is made of a POSIX mutex instead. The
/// thread sanitizer knows POSIX mutexes; those of the library it does not, since the library is not
/// built with it, and it would take what they guard for a race.
///
/// The value lies beside the mutex and is only touched while it is held, which is what makes it safe
/// to share.
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
    // The first field of a struct lies where the struct does.
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
