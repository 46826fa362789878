import Foundation
import Querying
import TestTraits
import Testing

/// What people see: the output on a pseudo terminal, made by `script` of util-linux.
@Suite(.exclusive(.commands), .enabled(if: Command.isInstalled("script")))
struct TerminalTests {
  static let commands = [
    "query", "query --state erred", "runs", "query 'SELECT * FROM tasks'",
    "query 'SELECT * FROM task_durations'", "query 'SELECT * FROM events'", "summary", "errors",
    "story top-20", "slowest", "critical-path", "workers", "state --at 300", "inspect",
    "compare latest latest",
  ]

  /// The lines of a command on a terminal so many columns wide.
  private func lines(
    _ command: String, columns: Int, environment: [String: String] = ["NO_COLOR": "1"]
  ) throws -> [String] {
    let log = ["TASKLOG_LOG": try RecordedDemo.log]
    let inner = "stty cols \(columns); tasklog \(command)"
    let result = try Command.shell(
      "script -qec \"$INNER\" /dev/null",
      environment: log.merging(environment) { $1 }.merging(["INNER": inner]) { $1 })
    #expect(result.code == 0, "\(result.output)")
    return result.output.split(separator: "\r\n").map(String.init)
  }

  @Test(arguments: commands, [60, 80, 140])
  func `a table fits the terminal`(command: String, columns: Int) throws {
    let lines = try lines(command, columns: columns)
    #expect(lines.count > 1)
    let tooWide = lines.filter { Printable.width($0) > columns }
    #expect(tooWide.isEmpty)
    #expect(lines.allSatisfy { !$0.contains("\u{1B}") && !$0.hasSuffix(" ") })
  }

  @Test func `80 columns have room for what happened where`() throws {
    let header = try lines("query", columns: 80)[0].split(separator: " ")
    #expect(header == ["time", "worker", "key", "start", "finish", "…"])
    let wide = try lines("query", columns: 200)[0].split(separator: " ")
    #expect(
      wide == [
        "seq", "time", "run", "source", "worker", "key", "start", "finish", "stimulus", "args",
      ])
  }

  @Test func `states have colours, and none with NO_COLOR`() throws {
    let colours = try lines("query", columns: 140, environment: [:])
    #expect(colours[0].hasPrefix("\u{1B}[1mseq\u{1B}[0m") || colours[0].contains("\u{1B}[1mseq"))
    #expect(colours.contains { $0.contains("\u{1B}[31merred\u{1B}[0m") })
    #expect(colours.contains { $0.contains("\u{1B}[32mmemory\u{1B}[0m") })
    let plain = try lines("query", columns: 140)
    #expect(colours.map { $0.replacing(/\u{1B}\[\d+m/, with: "") } == plain)
    // An empty NO_COLOR is none: https://no-color.org
    let empty = try lines("query", columns: 140, environment: ["NO_COLOR": ""])
    #expect(empty == colours)
  }

  @Test func `colours never leave the terminal`() throws {
    let result = try Command.run(["query", "--format", "table", "--log", try RecordedDemo.log])
    #expect(!result.output.contains("\u{1B}"))
  }

  @Test func `what is binary does not go to a terminal`() throws {
    let result = try Command.shell(
      "script -qec 'tasklog export --to perfetto' /dev/null",
      environment: ["TASKLOG_LOG": try RecordedDemo.log])
    #expect(
      result.output == "tasklog: --to perfetto is binary; name a file with -o\r\n")
  }

  @Test func `on a terminal a table comes without being asked for, json when asked`() throws {
    #expect(try lines("runs", columns: 80)[0].hasPrefix("run  started"))
    #expect(try lines("runs --format jsonl", columns: 80)[0].hasPrefix(#"{"run":1,"#))
  }
}
