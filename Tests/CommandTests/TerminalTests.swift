import Foundation
import Querying
import TestTraits
import Testing

/// The output that people see, on a pseudo terminal made by `script` of util-linux.
@Suite(.exclusive(.commands), .enabled(if: Command.isInstalled("script")))
struct TerminalTests {
  static let commands = [
    "query", "query --state erred", "runs", "query 'SELECT * FROM tasks'",
    "query 'SELECT * FROM task_durations'", "query 'SELECT * FROM events'", "summary", "errors",
    "story top-20", "slowest", "critical-path", "workers", "time", "time --by prefix",
    "state --at 300", "inspect", "compare latest latest",
  ]

  /// The output lines of a command on a terminal of the given width in columns.
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
    // A command must be copied in one piece, and a traceback is shown unchanged.
    let tooWide = lines.filter {
      Printable.width($0) > columns && !$0.contains(/^ *tasklog [a-z]/)
        && !$0.contains(#/^ *task '.*', submitted at /#)
    }
    #expect(tooWide.isEmpty)
    #expect(lines.allSatisfy { !$0.contains("\u{1B}") && !$0.hasSuffix(" ") })
  }

  @Test func `80 columns have room for what happened where`() throws {
    let header = try lines("query", columns: 80)[0].split(separator: " ")
    #expect(header == ["time", "source", "worker", "key", "start", "finish", "…"])
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
    // An empty NO_COLOR counts as unset: https://no-color.org
    let empty = try lines("query", columns: 140, environment: ["NO_COLOR": ""])
    #expect(empty == colours)
  }

  @Test func `a summary begins with the duration, the amounts and the problems`() throws {
    let shown = try lines("summary", columns: 140)
    #expect(
      shown[0].contains(/^Run #1 \(tasklog .*\) took [0-9.]+ m?s and was closed at .* UTC\.$/))
    let tasks = try RecordedDemo.content.get().folder.files
    #expect(shown[1].contains(" on 2 workers with "))
    let bad = try RecordedDemo.content.get().folder.bad.count
    #expect(bad > 0 && tasks > bad)
    #expect(shown[2].hasPrefix("Went wrong: \(bad) tasks failed ("), "\(shown[2])")
    #expect(shown[3].hasPrefix("Threads: "))
    #expect(shown[4].hasPrefix("tasklog errors "))
    #expect(shown[5] == "Tasks by prefix")
    #expect(!shown.contains { $0.contains(/\b0\.\d{4}/) })
  }

  @Test func `errors are blocks with commands for more details, and a table on request`() throws {
    let shown = try lines("errors", columns: 100)
    let bad = try RecordedDemo.content.get().folder.bad
    #expect(shown[0] == "Run #1: \(bad.count) tasks failed.")
    #expect(shown.count { $0.hasSuffix(" is not UTF-8 text") } == min(10, bad.count))
    #expect(shown.contains { $0.contains(#/^  In \('count', /#) })
    #expect(shown.contains { $0.contains(/^  On .*\/\d+ at \d\d:\d\d:\d\d\.\d{3}\.$/) })
    let command = try #require(
      shown.first { $0.hasPrefix("  tasklog story ") }?.split(separator: "  #")[0])
    let story = try Command.shell(
      String(command), environment: ["TASKLOG_LOG": try RecordedDemo.log])
    #expect(story.code == 0 && story.output.contains(#""finish":"erred""#), "\(story.errors)")
    #expect(shown.contains("… and \(bad.count - 10) more causes:"))
    let table = try lines("errors --table causes", columns: 100)
    #expect(table[0].hasPrefix("exception "))
    #expect(table.count >= bad.count + 1)
  }

  @Test func `suggested commands repeat the log and the run`() throws {
    let shown = try lines(
      "errors --run '#1' --log \"$SAME\"", columns: 300,
      environment: ["NO_COLOR": "1", "SAME": try RecordedDemo.log])
    let log = try RecordedDemo.log
    #expect(
      shown.contains {
        $0.contains(#/tasklog story ".*" --log /#) && $0.contains("--log \(log) --run \"#1\"")
      })
  }

  @Test func `suggested commands repeat the filters, if they take any`() throws {
    let shown = try lines(
      "summary --run '#1' --prefix '*' --since 2026-01-31", columns: 300,
      environment: ["TASKLOG_LOG": SampleLog.path, "NO_COLOR": "1"])
    #expect(shown.contains { $0.contains(#/tasklog errors .*--prefix .\*. --since 2026-01-31/#) })
    #expect(!shown.contains { $0.contains("story") && $0.contains("--prefix") })
  }

  @Test func `colours are written to a terminal only`() throws {
    let result = try Command.run(["query", "--format", "table", "--log", try RecordedDemo.log])
    #expect(!result.output.contains("\u{1B}"))
  }

  @Test func `binary output is not written to a terminal`() throws {
    let result = try Command.shell(
      "script -qec 'tasklog export --to perfetto' /dev/null",
      environment: ["TASKLOG_LOG": try RecordedDemo.log])
    #expect(
      result.output == "tasklog: --to perfetto is binary; name a file with -o\r\n")
  }

  @Test func `on a terminal a report about a part says what went wrong in that part`() throws {
    let log = ["TASKLOG_LOG": SampleLog.path, "NO_COLOR": "1"]
    let failed = try lines("errors --run '#1'", columns: 100, environment: log)
    #expect(failed.first == "Run #1: 1 task failed, 1 other task because of it.")
    let others = try lines("errors --run '#1' --prefix '[!a-b]*'", columns: 100, environment: log)
    #expect(others.first == "Run #1: no task failed, and no worker was lost.")
    let early = try lines(
      "summary --run '#2' --until 2026-01-31T12:01:00.1", columns: 100, environment: log)
    #expect(early.dropFirst().first?.hasPrefix("This part: 3 tasks on 2 workers") == true)
    #expect(!early.contains { $0.contains("died;") || $0.hasPrefix("tasklog errors") })
    #expect(early.contains { $0.hasPrefix("tasklog check ") && !$0.contains("--run") })
    // Rows of several runs can be told apart, however narrow the terminal.
    #expect(
      try lines("workers --run all", columns: 60, environment: log)[0].hasPrefix("run "))
  }

  @Test func `on a terminal a table is the default, JSON is on request`() throws {
    #expect(try lines("runs", columns: 80)[0].hasPrefix("run  started"))
    #expect(
      try lines("runs", columns: 80).contains("'tasklog summary --run N' tells how run N went"))
    #expect(try lines("runs --format jsonl", columns: 80)[0].hasPrefix(#"{"run":1,"#))
  }
}
