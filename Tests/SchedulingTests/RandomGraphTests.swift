import Testing

@testable import Scheduling
@testable import TaskLogPlugin

#if canImport(Glibc)
  import Glibc
#endif

/// The cores of a scheduler and its workers against random graphs, deaths and delays.
///
/// `TASKLOG_TEST_SEED` and `TASKLOG_TEST_COUNT` say which graphs and how many.
@Suite struct RandomGraphTests {
  /// Edges that not every few hundred graphs come to; `WorkerCoreTests` takes each of them.
  private static let rare: Set<String> = [
    "worker cancelled → released", "worker cancelled → fetch", "worker fetch → released",
    "worker missing → fetch", "worker missing → released", "worker resumed → memory",
    "worker resumed → error", "worker resumed → fetch", "worker resumed → released",
    "worker cancelled → missing",
  ]

  private static func setting(_ name: String, _ other: UInt64) -> UInt64 {
    getenv(name).flatMap { UInt64(String(cString: $0)) } ?? other
  }

  @Test func `random graphs end as when run serially, and a replay agrees at every event`() {
    let first = Self.setting("TASKLOG_TEST_SEED", 1)
    let count = Self.setting("TASKLOG_TEST_COUNT", 300)
    var edges: Set<String> = []
    var failed = 0
    for seed in first..<(first + count) where failed < 3 {
      let simulation = Simulation(seed: seed)
      do {
        try simulation.run()
      } catch {
        failed += 1
        Issue.record("TASKLOG_TEST_SEED=\(seed) TASKLOG_TEST_COUNT=1: \(error)")
      }
      edges.formUnion(simulation.edges)
    }
    let all =
      SchedulerCore.edges.edges.map { "scheduler \($0.start) → \($0.finish)" }
      + WorkerCore.edges.edges.map { "worker \($0.start) → \($0.finish)" }
    let unused = all.filter { !edges.contains($0) }
    print("edges taken: \(all.count - unused.count) of \(all.count); not: \(unused)")
    guard count >= 300 else { return }
    #expect(unused.allSatisfy(Self.rare.contains))
  }
}
