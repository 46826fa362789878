import Foundation
import TestTraits
import Testing

/// The output of every command for the small log in `Logs/`, in every format.
///
/// The expected texts are in `Outputs/`, one file per command. After an intended change,
/// `TASKLOG_WRITE_OUTPUTS=1 swift test --filter SampleOutputTests` rewrites them; with
/// `TASKLOG_WRITE_SAMPLE=1` the log, too.
@Suite(.blocking, .serialized) struct SampleOutputTests {
  static let formats = ["table", "json", "jsonl", "csv", "tsv", "markdown"]

  static let commands: [(name: String, arguments: [String])] = [
    ("query", ["query", "--run", "#1", "--key", "*a*", "--state", "memory", "--state", "erred"]),
    ("query-columns", ["query", "--run", "all", "--columns", "seq,key,args.nbytes", "-n", "4"]),
    ("query-group-by", ["query", "--run", "all", "--group-by", "run,finish"]),
    ("query-count", ["query", "--run", "all", "--count", "--hook", "*"]),
    ("query-hooks", ["query", "--run", "all", "--hook", "*", "--reverse", "-n", "3"]),
    ("query-sql", ["query", "SELECT key, state, nbytes FROM tasks WHERE run = :r", "-p", "r=1"]),
    ("query-schema", ["query", "--schema"]),
    ("summary", ["summary", "--run", "all"]),
    ("story", ["story", "('sum', 0)", "--run", "all"]),
    ("story-stimulus", ["story", "task-erred-0.2", "--run", "#1"]),
    ("errors", ["errors", "--run", "#1"]),
    ("slowest", ["slowest", "--run", "all", "-n", "3"]),
    ("critical-path", ["critical-path", "--run", "all"]),
    ("open", ["open"]),
    ("workers", ["workers", "--run", "all"]),
    ("time", ["time", "--run", "all"]),
    ("compare", ["compare", "#1", "#2"]),
    ("state", ["state", "--run", "#1", "--at", "30"]),
    ("inspect", ["inspect"]),
    ("runs", ["runs"]),
  ]

  private static let outputs = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("Outputs")

  private static func isSet(_ name: String) -> Bool {
    ProcessInfo.processInfo.environment[name] == "1"
  }

  /// Outputs for a read-only copy: a reader writes nothing, not even next to the log.
  private func copy() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(atPath: SampleLog.path, toPath: folder("sample.db"))
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o444], ofItemAtPath: folder("sample.db"))
    return folder
  }

  @Test func `the sample log equals the output of its generator`() throws {
    if Self.isSet("TASKLOG_WRITE_SAMPLE") {
      try FileManager.default.createDirectory(
        at: SampleLog.folder, withIntermediateDirectories: true)
      try? FileManager.default.removeItem(atPath: SampleLog.path)
      try SampleLog.write(to: SampleLog.path)
      try FileManager.default.setAttributes(
        [.posixPermissions: 0o644], ofItemAtPath: SampleLog.path)
    }
    let folder = try TemporaryFolder()
    try SampleLog.write(to: folder("new.db"))
    for sql in [
      "SELECT * FROM events ORDER BY seq", "SELECT * FROM runs", "SELECT * FROM gaps",
      "SELECT type, name, sql FROM sqlite_schema ORDER BY name",
    ] {
      let made = try Command.run(["query", sql, "--log", folder("new.db")])
      let kept = try Command.run(["query", sql, "--log", SampleLog.path])
      #expect(made.code == 0, "\(made.errors)")
      #expect(made.output == kept.output, "TASKLOG_WRITE_SAMPLE=1 writes it anew")
    }
  }

  @Test(arguments: commands.map(\.name))
  func `the output of a command in every format is as expected`(name: String) throws {
    let command = try #require(Self.commands.first { $0.name == name })
    let folder = try copy()
    let before = try Data(contentsOf: URL(fileURLWithPath: folder("sample.db")))
    var text = "$ tasklog \(command.arguments.joined(separator: " "))\n"
    for format in Self.formats {
      let result = try Command.run(
        command.arguments + ["--format", format],
        environment: ["TASKLOG_LOG": "sample.db"], folder: folder.url)
      #expect(result.code == 0)
      #expect(result.errors == "" || result.errors == SampleLog.note)
      text += "\n--format \(format)\n\(result.output)"
    }
    #expect(!text.unicodeScalars.contains("\u{1B}"), "an escape sequence came through")
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder("sample.db"))) == before)
    #expect(folder.names == ["sample.db"])
    let file = Self.outputs.appendingPathComponent("\(name).txt")
    if Self.isSet("TASKLOG_WRITE_OUTPUTS") {
      try FileManager.default.createDirectory(
        at: Self.outputs, withIntermediateDirectories: true)
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    #expect(try String(contentsOf: file, encoding: .utf8) == text)
  }
}
