import Foundation
import Testing

/// What a killed recorder has left behind is found by whoever reads the log next.
@Suite struct RecoverCommandTests {
  /// A log whose recorder was killed in the middle of its work.
  private func killedLog() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let victim = Command.program.deletingLastPathComponent().appendingPathComponent(
      "recording-victim")
    try folder.write(
      "kill.py",
      """
      import struct, subprocess, time
      open("counters", "wb").write(bytes(4096))
      victim = subprocess.Popen(["\(victim.path)", "tasklog.db", "counters", "2"])
      while struct.unpack("<Q", open("counters", "rb").read(8))[0] < 2000:
          assert victim.poll() is None
          time.sleep(0.001)
      victim.kill()
      victim.wait()
      """)
    let killed = try Command.shell("python3 kill.py", folder: folder.url)
    try #require(killed.code == 0, "\(killed.errors)")
    return folder
  }

  @Test(arguments: [
    ["runs"], ["query", "--limit", "1"], ["query", "SELECT count(*) FROM events"],
    ["replay", "--plugin", "counter"],
  ])
  func `a command that reads recovers first, and says so once`(command: [String]) throws {
    let folder = try killedLog()
    let first = try Command.run(command, folder: folder.url)
    #expect(first.code == 0)
    #expect(first.errors.contains(/run [0-9a-f-]{36} died; \d+ events were recovered/))
    let second = try Command.run(command, folder: folder.url)
    #expect(!second.errors.contains("recovered"))
    #expect(second.output == first.output)
    #expect(!FileManager.default.fileExists(atPath: folder.url.path + "/tasklog.db.spool"))
  }

  @Test func `recover tells what it has put into the log`() throws {
    let folder = try killedLog()
    let first = try Command.run(["recover"], folder: folder.url)
    #expect(first.code == 0 && first.errors.isEmpty)
    #expect(first.output.contains(/^run [0-9a-f-]{36}: \d+ events recovered\n$/))
    #expect(try Command.run(["recover"], folder: folder.url).output == "nothing to recover\n")
  }

  @Test func `recover makes no log where there is none`() throws {
    let folder = try TemporaryFolder()
    let result = try Command.run(["recover"], folder: folder.url)
    #expect(result.code == 1)
    #expect(result.errors.hasPrefix("tasklog: tasklog.db: there is no such log"))
    #expect(!FileManager.default.fileExists(atPath: folder.url.path + "/tasklog.db"))
  }
}
