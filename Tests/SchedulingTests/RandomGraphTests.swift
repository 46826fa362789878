import Testing

@testable import Scheduling
@testable import TaskLogPlugin

#if canImport(Glibc)
  import Glibc
#endif

/// The cores of a scheduler and its workers against random graphs, deaths and delays.
///
/// `TASKLOG_TEST_SEED` and `TASKLOG_TEST_COUNT` select which graphs and how many.
@Suite struct RandomGraphTests {
  private static func setting(_ name: String, _ other: UInt64) -> UInt64 {
    getenv(name).flatMap { UInt64(String(cString: $0)) } ?? other
  }

  @Test
  func
    `random graphs end as when run serially, a replay agrees at every event, every edge is taken`()
  {
    let first = Self.setting("TASKLOG_TEST_SEED", 1)
    let count = Self.setting("TASKLOG_TEST_COUNT", 2000)
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
    for rare in RareEdge.all {
      do {
        edges.formUnion(try rare.take())
      } catch {
        Issue.record("\(rare.edge): \(error)")
      }
    }
    for edge in edges { EdgeCoverage.note(edge) }
    let unused = EdgeCoverage.all.filter { !edges.contains($0) }
    guard count >= 300 else { return }
    #expect(unused == [])
  }
}
