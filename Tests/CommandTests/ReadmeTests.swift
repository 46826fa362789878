import Foundation
import TestTraits
import Testing

/// Runs what the README tells people to type.
@Suite(.blocking) struct ReadmeTests {
  private static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// The lines of all shell blocks.
  private static func lines() throws -> [String] {
    let readme = try String(
      contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
    return readme.matches(of: /(?s)```sh\n(.*?)```/)
      .flatMap { $0.1.split(separator: "\n").map(String.init) }
  }

  /// What needs a whole build of its own: `Tests/run` does these.
  private static let elsewhere = [
    "apt-get update && apt-get install -y libsqlite3-dev zlib1g-dev && swift run -c release tasklog demo "
      + "&& swift run -c release tasklog query --limit 10 "
      + "&& swift run -c release tasklog replay --plugin counter --plugin errors",
    "Tests/run", "swift run -c release tasklog-bench", "swift package generate-manual",
    "man ./.build/plugins/GenerateManual/outputs/tasklog/tasklog.1",
    "Sources/install --prefix \"$HOME/.local\" --wheel",
    "\"$HOME/.local/lib/tasklog/uninstall\"", "Sources/document",
  ]

  @Test func `every example in the README works`() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createSymbolicLink(
      at: folder.url.appendingPathComponent("Sources"),
      withDestinationURL: Self.root.appendingPathComponent("Sources"))
    // A Dask log takes a cluster to record: what is asked of one is not run here.
    let lines = try Self.lines().filter {
      !Self.elsewhere.contains($0) && !$0.contains("--log dask.db")
    }
    #expect(lines.count >= 18)
    let path = Command.program.deletingLastPathComponent().path
    for line in lines {
      guard !line.hasPrefix("eval ") else {
        // What it defines is for the shell that people type in.
        try folder.write("line", line)
        let result = try Command.shell(
          "bash -c '. ./line; complete -p tasklog'", path: path, folder: folder.url)
        #expect(result.output.contains("tasklog"), "\(line): \(result.errors)")
        continue
      }
      let result = try Command.shell(line, path: path, folder: folder.url)
      #expect(result.code == 0, "\(line): \(result.errors)")
      #expect(!result.output.isEmpty, "\(line)")
      #expect(result.errors.isEmpty, "\(line): \(result.errors)")
    }
  }
}
