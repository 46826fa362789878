import Foundation
import TaskLogKit
import Testing

/// A folder with `logs/{run}.db`: a small run in one segment, and a newer one in several.
final class RotatedRun: Sendable {
  let folder: TemporaryFolder
  let older: String
  let newer: String
  /// The segments of the newer run.
  var files: [LogTemplate.File] {
    LogTemplate.files(folder("logs/{run}.db")).filter { $0.run == newer }
  }

  private init(_ folder: TemporaryFolder, older: String, newer: String) {
    (self.folder, self.older, self.newer) = (folder, older, newer)
  }

  struct Broken: Error {}

  /// Recorded once.
  private static let recorded = Task {
    let folder = try TemporaryFolder()
    path = folder.path
    atexit { try? FileManager.default.removeItem(atPath: RotatedRun.path) }
    let older = try await record(in: folder, files: 1)
    return RotatedRun(folder, older: older, newer: try await record(in: folder, files: 5))
  }
  nonisolated(unsafe) private static var path = ""

  /// A shared instance, for reading.
  static var shared: RotatedRun { get async throws { try await recorded.value } }

  /// A copy, for changing.
  static func copy() async throws -> RotatedRun {
    let shared = try await shared
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(atPath: shared.folder("logs"), toPath: folder("logs"))
    return RotatedRun(folder, older: shared.older, newer: shared.newer)
  }

  static var options: Recorder.Options {
    var options = Recorder.Options()
    options.rotateBytes = 256 << 10
    options.syncSeconds = 0.02
    return options
  }

  /// Runs tasks until there are `files` segments. One of the first fails at the end.
  private static func record(in folder: TemporaryFolder, files: Int) async throws -> String {
    let template = folder("logs/{run}.db")
    let recorder = try Recorder(log: template, options: options)
    let cluster = try await LocalCluster(workers: 2, threadsPerWorker: 2, recorder: recorder)
    let gate = DispatchSemaphore(value: 0)
    let needed = cluster.client.submit("needed") { 1 }
    let failing = cluster.client.submit("failing", needed) { _ -> Int in
      gate.wait()
      throw Broken()
    }
    let deadline = Deadline(seconds: 120)
    var round = 0
    repeat {
      try #require(!deadline.hasPassed, "the run stays in one file")
      round += 1
      let parts = cluster.client.map("part-\(round)", Array(1...40)) { $0 }
      let sum = cluster.client.submit("sum-\(round)", all: parts) { $0.reduce(0, +) }
      #expect(try await sum.result() == 820)
    } while LogTemplate.files(template).count { $0.run == recorder.runID } < files
    gate.signal()
    await #expect(throws: (any Error).self) { _ = try await failing.result() }
    await cluster.close()
    return recorder.runID
  }

  // MARK: - Commands

  func run(_ arguments: [String], environment: [String: String] = [:]) throws -> Command.Result {
    try Command.run(arguments, environment: environment, folder: folder.url)
  }

  /// The lines of CSV that a command prints.
  func csv(_ arguments: [String], log: String = "logs/{run}.db") throws -> [String] {
    let result = try run(arguments + ["--log", log, "--format", "csv"])
    #expect(result.code == 0, "\(result.errors)")
    return result.lines
  }

  /// Merges files into a log, and returns the output.
  func merge(_ files: [LogTemplate.File], into name: String) throws -> String {
    let result = try run(["merge"] + files.map(\.path) + ["--into", name])
    #expect(result.code == 0, "\(result.errors)")
    return result.errors
  }
}
