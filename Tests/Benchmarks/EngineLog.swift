import EventLog
import Recording
import Scheduling
import TaskLogPlugin

/// A real run of our own engine: waves of tasks with sums over them, each released before the next,
/// so that the state at any moment does not depend on the length of the run.
enum EngineLog {
  private static let wave = 1000

  private struct Failed: Error {}

  /// - Parameter fails: whether a task of each wave fails.
  /// - Returns: the number of events of the run.
  static func record(tasks: Int, into log: String, fails: Bool = false) async throws -> Int {
    var options = Recorder.Options()
    options.overflow = .wait
    let cluster = try await LocalCluster(
      workers: 2, recorder: Recorder(log: log, options: options))
    for first in stride(from: 0, to: tasks, by: wave) {
      let numbers = cluster.client.map("work", Array(first..<min(first + wave, tasks))) { $0 + 1 }
      let sums = stride(from: 0, to: numbers.count, by: 10).map { start in
        cluster.client.submit("sum", all: Array(numbers[start..<min(start + 10, numbers.count)])) {
          $0.reduce(0, +)
        }
      }
      _ = try await cluster.client.gather(sums)
      if fails {
        let wrong = cluster.client.submit("wrong") { () throws -> Int in throw Failed() }
        _ = try? await wrong.result()
      }
    }
    await cluster.close()
    let reader = try LogReader(path: log)
    return try Int(reader.totals(of: reader.runs(matching: "latest")[0]).events)
  }
}
