import Foundation
import TaskLogKit
import TestSupport

/// A log in a temporary folder that is removed with it.
final class TemporaryLog {
  let path: String
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    path = folder("test.db")
  }
}

struct Wrong: Error, CustomStringConvertible {
  var description: String
}

/// The records of a live run with probes.
struct LiveRun {
  var scheduler: [String]
  var workers: [String: [String]]
  var errors: [(worker: String, report: Value)]
}

extension TemporaryLog {
  /// Records a job with dependencies, transfers and failures that propagate to dependents.
  func record(tasks count: Int = 40, workers: Int = 3) async throws -> LiveRun {
    let notes = Notes()
    let cluster = try await LocalCluster(
      workers: workers, recorder: Recorder(log: path), plugins: [SchedulerProbe()])
    let client = cluster.client
    await client.registerPlugin { WorkerProbe(notes: notes) }
    await client.registerPlugin { ErrorLogger() }

    let numbers = client.map("square", Array(0..<count)) { number in
      if number % 7 == 3 { throw Wrong(description: "\(number) is\nwrong") }
      return number * number
    }
    var good: [Future<Int>] = []
    for (number, future) in numbers.enumerated() where number % 7 != 3 { good.append(future) }
    let sums = stride(from: 0, to: good.count, by: 5).map { start in
      client.submit("sum", all: Array(good[start..<min(start + 5, good.count)])) { values in
        values.reduce(0, +)
      }
    }
    let total = client.submit("total", all: sums) { $0.reduce(0, +) }
    _ = try await total.result()
    // A task that errs because of a dependency.
    let hopeless = client.submit("sum", all: Array(numbers.prefix(5))) { $0.count }
    do {
      _ = try await hopeless.result()
    } catch is TaskError {
    }
    for future in numbers { _ = try? await future.result() }

    let reports = await cluster.workerReports()
    await cluster.close()
    let scheduler = await cluster.scheduler.reports().first { $0.name == "probe" }
    return LiveRun(
      scheduler: Self.lines(scheduler?.report),
      workers: Dictionary(
        uniqueKeysWithValues: Set(reports.map(\.worker)).map { ($0, notes.of($0)) }),
      errors: reports.filter { $0.name == "errors" }.map { ($0.worker, $0.report) })
  }

  static func lines(_ report: Value?) -> [String] {
    (report?.elements ?? []).compactMap(\.string)
  }

  /// Replays a run through plugins.
  func replay(
    run: String = "latest", options: ReplayOptions = ReplayOptions(),
    outside: [any ExternalPlugin] = [], _ plugins: (any Plugin.Type, [String: String])...
  ) async throws -> Replayer.Result {
    let reader = try LogReader(path: path)
    guard let info = try reader.runs(matching: run).first else {
      throw LogError.noRuns(path: path)
    }
    let replayer = Replayer(reader: reader, run: info, options: options)
    for plugin in outside { replayer.add(plugin) }
    for (type, options) in plugins {
      replayer.add(
        PluginFactory(name: String(describing: type), summary: "", type: type), options: options)
    }
    return try await replayer.replay()
  }
}

extension Replayer.Result {
  func lines(_ plugin: String, worker: String? = nil) -> [String] {
    TemporaryLog.lines(reports.first { $0.plugin == plugin && $0.worker == worker }?.report)
  }
}
