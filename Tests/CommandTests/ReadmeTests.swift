import Foundation
import TestTraits
import Testing

/// Runs the examples of the README and the articles.
@Suite(.blocking) struct ReadmeTests {
  private static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// The README, which makes the log that the articles use, and then all articles.
  private static func files() throws -> [URL] {
    let catalogs = [
      "Sources/TaskLogKit/TaskLogKit.docc", "Sources/TaskLogPlugin/TaskLogPlugin.docc",
    ]
    let articles = try catalogs.flatMap { catalog in
      try FileManager.default.contentsOfDirectory(
        at: root.appendingPathComponent(catalog), includingPropertiesForKeys: nil)
    }
    return [root.appendingPathComponent("README.md")]
      + articles.filter { $0.pathExtension == "md" }.sorted { $0.path < $1.path }
  }

  /// The lines of all blocks marked `sh`. A block marked `bash` needs what is not available here,
  /// such as a cluster or a broker.
  private static func lines() throws -> [String] {
    try files().flatMap { file in
      try String(contentsOf: file, encoding: .utf8).matches(of: /(?s)```sh\n(.*?)```/)
        .flatMap { $0.1.split(separator: "\n").map(String.init) }
    }
  }

  /// Examples that need a separate whole build: `Tests/run` does these.
  private static let elsewhere = [
    "apt-get update && apt-get install -y libsqlite3-dev zlib1g-dev && swift run -c release tasklog demo "
      + "&& swift run -c release tasklog query --limit 10 "
      + "&& swift run -c release tasklog replay --plugin counter --plugin errors",
    "Tests/run", "swift package generate-manual",
    "man ./.build/plugins/GenerateManual/outputs/tasklog/tasklog.1",
    "Sources/install --prefix \"$HOME/.local\" --wheel",
    "\"$HOME/.local/lib/tasklog/uninstall\"", "Sources/document",
  ]

  @Test func `every example in the README and in the articles works`() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createSymbolicLink(
      at: folder.url.appendingPathComponent("Sources"),
      withDestinationURL: Self.root.appendingPathComponent("Sources"))
    // A Dask log requires a cluster: queries of one are not run here.
    let lines = try Self.lines().filter {
      !Self.elsewhere.contains($0) && !$0.contains("--log dask.db")
    }
    #expect(lines.count >= 25)
    let path = Command.program.deletingLastPathComponent().path
    for line in lines {
      guard !line.hasPrefix("eval ") else {
        // Its definitions are for the shell that people type in.
        try folder.write("line", line)
        let result = try Command.shell(
          "bash -c '. ./line; complete -p tasklog'", path: path, folder: folder.url)
        #expect(result.output.contains("tasklog"), "\(line): \(result.errors)")
        continue
      }
      let result = try Command.shell(line, path: path, folder: folder.url)
      #expect(result.code == 0, "\(line): \(result.errors)")
      #expect(!result.output.isEmpty, "\(line)")
      // A report about a part of a run says how large that part is.
      let errors = result.errors.split(separator: "\n").filter { !$0.hasPrefix("tasklog: shows ") }
      #expect(errors.isEmpty, "\(line): \(result.errors)")
    }
  }
}
