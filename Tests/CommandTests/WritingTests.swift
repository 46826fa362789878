import Foundation
import LogFormat
import TestTraits
import Testing

/// `report` and `export` while they write: the progress on a terminal, and no partial file
/// anywhere.
@Suite(.blocking) struct WritingTests {
  private struct Told: Decodable {
    var code: Int32
    var output: String
    var errors: String
    var unfinished: Bool
  }

  private static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("Python/on_terminal.py")

  /// The first run of the sample, its events repeated so often that writing them takes a while.
  private static let largeLog: Swift.Result<TemporaryFolder, any Error> = Swift.Result {
    let folder = try TemporaryFolder()
    path = folder.path
    atexit { try? FileManager.default.removeItem(atPath: WritingTests.path) }
    try FileManager.default.copyItem(atPath: SampleLog.path, toPath: folder("log.db"))
    let connection = try Connection(path: folder("log.db"), mode: .readWrite)
    try connection.execute(
      """
      BEGIN;
      WITH RECURSIVE round (number) AS (
        SELECT 1 UNION ALL SELECT number + 1 FROM round WHERE number < 3000)
      INSERT INTO event
      SELECT event.seq + 100 * number, source, source_seq + 100 * number,
        time + 1000000000 * number, hook, key, start, finish, stimulus, worker, task_run, args,
        snapshot
      FROM event, round WHERE source IN (SELECT id FROM source WHERE run = 1)
        AND hook = (SELECT id FROM text WHERE text = 'transition');
      DELETE FROM event WHERE source IN (SELECT id FROM source WHERE run = 2);
      DELETE FROM gap;
      UPDATE run SET last_seq = (SELECT max(seq) FROM event),
        events = (SELECT count(*) FROM event) WHERE id = 1;
      DELETE FROM source WHERE run = 2;
      DELETE FROM run WHERE id = 2;
      COMMIT
      """)
    return folder
  }

  /// The folder, which is removed when the tests end. Written once, before it is read.
  nonisolated(unsafe) private static var path = ""

  private func run(_ mode: String, _ command: String, in folder: TemporaryFolder) throws -> Told {
    let log = try Self.largeLog.get()("log.db")
    let result = try Command.run(
      program: URL(fileURLWithPath: "/usr/bin/env"),
      ["python3", Self.script.path, mode, Command.program.path]
        + command.split(separator: " ").map(String.init) + ["--log", log], folder: folder.url)
    try #require(result.code == 0, "\(result.errors)")
    return try JSONDecoder().decode(Told.self, from: Data(result.output.utf8))
  }

  static let commands = ["report -o written", "export --to chrome -o written"]

  @Test(arguments: commands) func `a terminal shows the progress`(command: String) throws {
    let folder = try TemporaryFolder()
    let told = try run("terminal", command, in: folder)
    #expect(told.code == 0)
    #expect(told.errors.contains(/\r\[#*\.*\] \d+ %  \d+ events\/s  [0-9a-z ]+ left\u{1B}\[K/))
    // At the end it is erased, and the line is free for the next output.
    #expect(told.errors.hasSuffix("\r\u{1B}[K"))
    #expect(folder.names == ["written"])
  }

  @Test(arguments: commands) func `a pipe receives no progress`(command: String) throws {
    let folder = try TemporaryFolder()
    let told = try run("pipe", command, in: folder)
    #expect(told.code == 0 && told.errors == "")
    #expect(told.output.hasPrefix("written: "))
    #expect(folder.names == ["written"])
  }

  @Test(arguments: commands, [true, false])
  func `Ctrl-C while writing leaves the previous file and no other`(
    command: String, wasThere: Bool
  ) throws {
    let folder = try TemporaryFolder()
    if wasThere { try folder.write("written", "before") }
    let told = try run("interrupt", command, in: folder)
    #expect(told.unfinished, "it was done before Ctrl-C was pressed")
    #expect(told.code == -SIGINT)
    #expect(told.output == "")
    #expect(folder.names == (wasThere ? ["written"] : []))
    if wasThere {
      #expect(try String(contentsOfFile: folder("written"), encoding: .utf8) == "before")
    }
  }

  @Test(arguments: commands)
  func `the target of a link is replaced, a device is written to`(command: String) throws {
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

  @Test(arguments: commands) func `the log itself is not overwritten`(command: String) throws {
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
