import Foundation
import Testing

/// Runs what the README tells people to type.
@Suite struct ReadmeTests {
  private static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// The lines of all shell blocks that call a program which is there already.
  private static func lines() throws -> [String] {
    let readme = try String(
      contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
    return readme.matches(of: /(?s)```sh\n(.*?)```/)
      .flatMap { $0.1.split(separator: "\n").map(String.init) }
      .filter { $0.hasPrefix("tasklog ") || $0.hasPrefix("sqlite3 ") }
  }

  @Test func `every example in the README works`() throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("tasklog-readme-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      at: folder.appendingPathComponent("Sources"),
      withDestinationURL: Self.root.appendingPathComponent("Sources"))
    let lines = try Self.lines()
    #expect(lines.count >= 7)
    let path = Command.program.deletingLastPathComponent().path
    for line in lines {
      let result = try Command.shell(line, path: path, folder: folder)
      #expect(result.code == 0, "\(line): \(result.errors)")
      #expect(!result.output.isEmpty, "\(line)")
      #expect(result.errors.isEmpty, "\(line): \(result.errors)")
    }
  }
}
