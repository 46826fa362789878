import Glibc

@testable import Scheduling
@testable import TaskLogPlugin

/// The edges of the two tables that the tests of this run have taken. Printed when the process
/// ends.
enum EdgeCoverage {
  private static let taken = Lock<Set<String>>([])
  private static let isRegistered = Lock(false)

  /// Every edge of both tables, in the order of the charts.
  static let all =
    SchedulerCore.edges.edges.map { "scheduler \($0.start) → \($0.finish)" }
    + WorkerCore.edges.edges.map { "worker \($0.start) → \($0.finish)" }

  static func note(_ edge: String) {
    taken.withLock { _ = $0.insert(edge) }
    let isFirst = isRegistered.withLock { isRegistered in
      defer { isRegistered = true }
      return !isRegistered
    }
    if isFirst { atexit { EdgeCoverage.report() } }
  }

  private static func report() {
    let taken = taken.withLock { $0 }
    let unused = all.filter { !taken.contains($0) }
    print("edges taken by the tests of this run: \(all.count - unused.count) of \(all.count)")
    if !unused.isEmpty { print("not taken: " + unused.joined(separator: ", ")) }
  }
}
