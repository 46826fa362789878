import Foundation
import TestSupport
import TestTraits
import Testing

/// Events of a killed recorder are recovered by the next reader of the log.
@Suite(.exclusive(.commands)) struct RecoverCommandTests {
  /// A log whose recorder was killed in the middle of its work.
  private func killedLog() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.write("counters", [UInt8](repeating: 0, count: 4096))
    let victim = try Child(
      [Programs.path("recording-victim"), folder("tasklog.db"), folder("counters"), "2"])
    try wait(for: "2000 events of the victim") {
      let data = try Data(contentsOf: URL(fileURLWithPath: folder("counters")))
      try #require(victim.code == nil, "the victim ended by itself")
      return data.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) } >= 2000
    }
    #expect(victim.end(SIGKILL) == -SIGKILL)
    return folder
  }

  @Test(arguments: [
    ["runs"], ["query", "--limit", "1"], ["query", "SELECT count(*) FROM events"],
    ["replay", "--plugin", "counter"],
  ])
  func `a command that reads recovers first, and reports it once`(command: [String]) throws {
    let folder = try killedLog()
    let first = try Command.run(command, folder: folder.url)
    #expect(first.code == 0)
    #expect(first.errors.contains(/run [0-9a-f-]{36} died; \d+ events were recovered/))
    let second = try Command.run(command, folder: folder.url)
    #expect(!second.errors.contains("recovered"))
    #expect(second.output == first.output)
    #expect(!FileManager.default.fileExists(atPath: folder.url.path + "/tasklog.db.spool"))
  }

  @Test func `recover reports what it has stored in the log`() throws {
    let folder = try killedLog()
    let first = try Command.run(["recover"], folder: folder.url)
    #expect(first.code == 0 && first.errors.isEmpty)
    #expect(first.output.contains(/^run [0-9a-f-]{36}: \d+ events recovered\n$/))
    #expect(try Command.run(["recover"], folder: folder.url).output == "nothing to recover\n")
  }

  @Test func `recover does not create a missing log`() throws {
    let folder = try TemporaryFolder()
    let result = try Command.run(["recover"], folder: folder.url)
    #expect(result.code == 1)
    #expect(result.errors.hasPrefix("tasklog: tasklog.db: there is no such log"))
    #expect(!FileManager.default.fileExists(atPath: folder.url.path + "/tasklog.db"))
  }
}
