import Glibc

/// Threads that are running.
package struct Threads {
  fileprivate var all: [pthread_t]

  /// Waits for the end of all of them.
  package func join() {
    for thread in all { pthread_join(thread, nil) }
  }
}

/// Runs a body on this many threads at once, each with its number, and waits for all of them.
package func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  startThreads(count, body).join()
}

/// Runs a body on this many threads at once, each with its number.
package func startThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) -> Threads {
  final class Job: Sendable {
    let number: Int
    let body: @Sendable (Int) -> Void

    init(_ number: Int, _ body: @escaping @Sendable (Int) -> Void) {
      self.number = number
      self.body = body
    }
  }
  let threads = (0..<count).map { number in
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        let job = Unmanaged<Job>.fromOpaque(argument).takeRetainedValue()
        job.body(job.number)
        return nil
      }, Unmanaged.passRetained(Job(number, body)).toOpaque())
    return thread
  }
  return Threads(all: threads)
}
