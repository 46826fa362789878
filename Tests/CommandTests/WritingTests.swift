import Foundation
import Testing

/// Where `report` and `export` write. What they show and leave behind meanwhile: see
/// `Tests/Python/test_progress.py`.
@Suite struct WritingTests {
  static let commands = ["report -o written", "export --to chrome -o written"]

  @Test(arguments: commands)
  func `what a link leads to is replaced, a device written to`(command: String) throws {
    let folder = try TemporaryFolder()
    try folder.write("real", "before")
    try FileManager.default.createSymbolicLink(
      atPath: folder("written"), withDestinationPath: "real")
    let log = ["--log", SampleLog.path, "--run", "#1"]
    let words = command.split(separator: " ").map(String.init)
    #expect(try Command.run(words + log, folder: folder.url).code == 0)
    #expect(
      try FileManager.default.destinationOfSymbolicLink(atPath: folder("written")) == "real")
    #expect(try String(contentsOfFile: folder("real"), encoding: .utf8).count > 100)
    #expect(folder.names == ["real", "written"])
    #expect(try Command.run(words.dropLast() + ["/dev/null"] + log).code == 0)
    #expect(!FileManager.default.fileExists(atPath: "/dev/null.part"))
  }

  @Test(arguments: commands) func `the log itself is not written over`(command: String) throws {
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(atPath: SampleLog.path, toPath: folder("log.db"))
    try FileManager.default.createSymbolicLink(
      atPath: folder("written"), withDestinationPath: "log.db")
    let before = try Data(contentsOf: URL(fileURLWithPath: folder("log.db")))
    let result = try Command.run(
      command.split(separator: " ").map(String.init) + ["--log", "log.db"], folder: folder.url)
    #expect(result.code == 64)
    #expect(result.errors.contains("is the log itself; name another file"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder("log.db"))) == before)
  }
}
