import Foundation
import LogMaintenance
import TaskLogKit
import TestSupport
import Testing

/// Checks that logs of real recorders have no findings.
@Suite struct CleanLogTests {
  private struct Wrong: Error {}

  @Test func `a check of a hundred recorded runs finds nothing`() async throws {
    let folder = try TemporaryFolder()
    for number in 0..<100 {
      let path = folder("\(number).db")
      var random = Randomness.generator(UInt64(number) &+ 7_000)
      let kind = Self.kinds[number % Self.kinds.count]
      try await Self.record(path, kind, &random)
      let result = try LogCheck(path: try Self.changed(path, kind)).run()
      // Events that were filtered are not a fault.
      let findings = result.findings.filter { kind != .limited || $0.kind != .filtered }
      #expect(findings.map { "\($0)" } == [], "log \(number), \(kind)")
      #expect(result.events > 10)
    }
  }

  /// The ways in which a log may have been processed.
  private enum Kind {
    case plain, limited, recovered, merged
  }

  private static let kinds = [Kind.plain, .plain, .limited, .recovered, .merged]

  private static func changed(_ path: String, _ kind: Kind) throws -> String {
    let other = path + ".new"
    switch kind {
    case .plain, .limited: return path
    case .recovered: _ = try LogSalvage.salvage(path, into: other)
    case .merged:
      let merge = try LogMerge(into: other)
      _ = try merge.add([try LogReader(path: path)])
      merge.close()
    }
    return other
  }

  /// A random job with failures, retries, transfers, released results, a worker that dies and a
  /// restart.
  private static func record(
    _ path: String, _ kind: Kind, _ random: inout SplitMix64
  ) async throws {
    var options = Recorder.Options()
    if kind == .limited {
      options.redactedArgs = ["exception*", "nbytes"]
      options.maximumArgsBytes = 1024
      options.filter.excludeHooks = ["clientReleasesKeys"]
    }
    let cluster = try await LocalCluster(
      workers: 1 + random.below(3), threadsPerWorker: 1 + random.below(2), allowedFailures: 1,
      recorder: Recorder(log: path, options: options))
    let client = cluster.client
    let wrong = 2 + random.below(6)
    let numbers = client.map("load", Array(0..<(1 + random.below(12)))) { number in
      if number % wrong == 1 { throw Wrong() }
      return number
    }
    let sums = numbers.map { number in client.submit("twice", number) { $0 * 2 } }
    if random.once(in: 2), let address = await cluster.scheduler.workerAddresses().first {
      try await cluster.addWorker()
      try await cluster.killWorker(address)
    }
    for sum in sums where random.once(in: 2) { _ = try? await sum.result() }
    if random.once(in: 3) { client.cancel(numbers) }
    if random.once(in: 4) { try await cluster.restart() }
    if random.once(in: 2) { _ = try? await client.submit("last") { 1 }.result() }
    await cluster.close()
  }
}
