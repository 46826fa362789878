import Glibc

/// A thread that does a part of the work that another thread waits for.
package final class ParallelThread: Sendable {
  private let body: @Sendable () -> Void

  private init(_ body: @escaping @Sendable () -> Void) {
    self.body = body
  }

  /// The number of threads that can run at once.
  package static let processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))

  /// `nil` if no thread can be started.
  package static func start(_ body: @escaping @Sendable () -> Void) -> pthread_t? {
    var thread = pthread_t()
    // Balanced by the release at the end of the thread.
    let this = Unmanaged.passRetained(ParallelThread(body))
    let code = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<ParallelThread>.fromOpaque(argument).takeRetainedValue().body()
        return nil
      }, this.toOpaque())
    guard code == 0 else {
      this.release()
      return nil
    }
    return thread
  }
}
