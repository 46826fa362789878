import EventLog
import Foundation
import Testing

@testable import LogAnalysis
@testable import Reporting

/// The attempts and paths of a page equal the output of the commands.
@Suite struct PagePathTests {
  static let logs = [
    "Logs/sample.db", "Frozen/v1-demo.db", "Frozen/v1-dask.db", "Frozen/v2-demo.db",
    "Frozen/v2-dask.db",
  ]

  private func reader(_ log: String) throws -> LogReader {
    try LogReader(
      path: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../CommandTests/\(log)").standardizedFileURL.path)
  }

  @Test(arguments: logs)
  func `the chain to the task that ended last is the critical path`(log: String) throws {
    let reader = try reader(log)
    let runs = try reader.runs()
    var scan = try PageScan(reader, runs)
    for run in runs { try scan.scan(run) { _ in } }
    let paths = scan.attempts.paths
    let predecessors = paths.predecessors(
      NeedTable(scan.tasks), taskCount: scan.tasks.slots.count)
    for (index, run) in runs.enumerated() {
      let phases = try reader.criticalPath(of: run)
      var chain: [Int64] = []
      var kinds: [String] = []
      var next = paths.lastOfRun[index].map { Int32($0) } ?? -1
      while next >= 0 {
        let outcome = Int(next)
        let predecessor = predecessors[outcome]
        chain.append(paths.outcomes[outcome].seq)
        // A phase shorter than a microsecond has no length in a page.
        kinds += paths.phases(outcome, after: predecessor).map(\.kind.rawValue).reversed()
        next = predecessor
      }
      try #require(!phases.isEmpty)
      var seqs: [Int64] = []
      for phase in phases where seqs.last != phase.seq { seqs.append(phase.seq) }
      #expect(Array(chain.reversed()) == seqs)
      let long = phases.filter { phase in
        guard let start = phase.start, let stop = phase.stop else { return true }
        return phase.kind == .compute || stop / 1000 > start / 1000
      }
      #expect(Array(kinds.reversed()) == long.map(\.kind.rawValue))
    }
  }

  @Test(arguments: logs)
  func `every end of a task at the scheduler belongs to one attempt`(log: String) throws {
    let reader = try reader(log)
    let runs = try reader.runs()
    var scan = try PageScan(reader, runs)
    for run in runs { try scan.scan(run) { _ in } }
    let attempts = scan.attempts
    try #require(!attempts.paths.outcomes.isEmpty)
    let owned = attempts.rows.filter { $0.path >= 0 }
    #expect(owned.map { Int($0.path) }.sorted() == Array(attempts.paths.outcomes.indices))
    for attempt in owned {
      let outcome = attempts.paths.outcomes[Int(attempt.path)]
      #expect(attempt.task == outcome.task)
      #expect(attempt.ended == outcome.done)
      #expect(attempt.sent == outcome.sent)
    }
  }
}
