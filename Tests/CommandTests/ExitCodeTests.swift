import Foundation
import LogFormat
import TestTraits
import Testing

/// Each exit code of the command line; `test_replay_hosts.py` covers 2 and 3 of a replay, and which
/// code takes precedence.
@Suite(.blocking) struct ExitCodeTests {
  private static func frozen(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Frozen/\(name).db").path
  }

  @Test func `success is 0`() throws {
    for line in ["runs", "check --strict", "compare latest latest"] {
      let result = try Command.shell(
        "tasklog \(line)", environment: ["TASKLOG_LOG": Self.frozen("v1-demo")])
      #expect(result.code == 0, "\(line): \(result.output)\(result.errors)")
    }
  }

  @Test func `a failure is 1`() throws {
    for line in ["runs", "check", "summary", "replay --plugin counter", "compare latest latest"] {
      let result = try Command.shell(
        "tasklog \(line)", environment: ["TASKLOG_LOG": "/nowhere/log.db"])
      #expect(result.code == 1, "\(line): \(result.output)\(result.errors)")
    }
  }

  @Test func `a check with errors exits with 2, a strict one also with warnings`() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(atPath: Self.frozen("v1-demo"), toPath: folder("log.db"))
    do {
      let connection = try Connection(path: folder("log.db"), mode: .readWrite)
      try connection.execute("DELETE FROM event WHERE seq = 60")
    }
    for line in ["check", "check --strict"] {
      let result = try Command.shell(
        "tasklog \(line) --log log.db", folder: folder.url)
      #expect(result.code == 2, "\(result.output)\(result.errors)")
      #expect(result.output.contains("hole-in-s"))
    }
    let later = ["TASKLOG_LOG": Self.frozen("v1-later")]
    #expect(try Command.shell("tasklog check", environment: later).code == 0)
    #expect(try Command.shell("tasklog check --strict", environment: later).code == 2)
  }

  @Test func `invalid usage is 64, in one line`() throws {
    for (line, message) in [
      ("nonsense", "unexpected argument 'nonsense'"),
      ("summary --nonsense", "unknown option '--nonsense'"),
      ("diff latest latest", "diff: unknown command; did you mean 'compare'?"),
      ("diff", "diff: unknown command; did you mean 'compare'?"),
      ("diff --help", "diff: unknown command; did you mean 'compare'?"),
    ] {
      let result = try Command.shell("tasklog \(line)")
      #expect(result.code == 64, "\(line): \(result.output)")
      #expect(result.output.isEmpty)
      #expect(result.errors.hasPrefix("tasklog: \(message)"), "\(line): \(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1, "\(line): \(result.errors)")
    }
  }
}
