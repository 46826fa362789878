import Glibc

/// Maps the numbers below a count with all processors.
package enum ParallelMap {
  /// - Parameters:
  ///   - map: called on several threads at once.
  ///   - take: called on this thread with each result, in order.
  package static func forEach<Part: Sendable>(
    _ count: Int, map: @escaping @Sendable (Int) throws -> Part,
    take: (Int, Result<Part, any Error>) -> Void
  ) {
    let queue = OrderedWorkQueue<Part>(count: count, ahead: 256)
    let work: @Sendable () -> Void = {
      while let index = queue.next() { queue.put(Result { try map(index) }, at: index) }
    }
    let threads = (0..<min(ParallelThread.processors, count)).compactMap { _ in
      ParallelThread.start(work)
    }
    // Where there is no other thread.
    if threads.isEmpty {
      for index in 0..<count { take(index, Result { try map(index) }) }
    } else {
      for index in 0..<count { take(index, queue.take(index)) }
    }
    for thread in threads { pthread_join(thread, nil) }
  }
}
