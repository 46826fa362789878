import Foundation
import Testing

/// The log of a small job on a real Dask cluster, which many tests read. It is made once, with the
/// Python that TASKLOG_TEST_PYTHON names.
enum RecordedDask {
  private static let content: Swift.Result<TemporaryFolder, any Error> = Swift.Result {
    let folder = try TemporaryFolder()
    path = folder.path
    atexit { try? FileManager.default.removeItem(atPath: RecordedDask.path) }
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let library = Command.program.deletingLastPathComponent()
      .appendingPathComponent("libTaskLogC.so")
    let result = try Command.run(
      program: URL(fileURLWithPath: VerbTests.python ?? ""),
      [
        root.appendingPathComponent("Tests/CommandTests/Python/dask_job.py").path,
        root.appendingPathComponent("Sources").path, folder("dask.db"),
      ], environment: ["TASKLOG_LIB": library.path])
    try #require(result.code == 0, "\(result.output)\(result.errors)")
    return folder
  }

  static var log: String { get throws { try content.get()("dask.db") } }

  /// The folder, which is removed when the tests end. Written once, before it is read.
  nonisolated(unsafe) private static var path = ""
}
