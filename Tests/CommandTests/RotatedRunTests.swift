import Foundation
import TaskLogKit
import TestTraits
import Testing

@testable import LogMaintenance

/// `--log 'logs/{run}.db'` queries all segments of a run as if they were one log.
@Suite(.exclusive(.commands)) struct RotatedRunTests {
  private static let questions: [[String]] = [
    ["summary"], ["errors"], ["slowest"], ["critical-path"], ["open"], ["workers"], ["time"],
    ["state", "--at", "100", "--table", "tasks"],
    ["inspect", "--table", "kinds"], ["inspect", "--table", "gaps"],
    ["query"], ["query", "--hook", "*", "--columns", "seq,source_seq,hook,key,args"],
    ["query", "--finish", "memory", "--reverse", "-n", "100"],
    ["query", "--since", "seq:700", "--until", "seq:2100"], ["query", "--count"],
    ["query", "--group-by", "source,finish"],
    ["query", "SELECT key, count(*) FROM transitions GROUP BY key ORDER BY key"],
  ]

  @Test func `answers equal those of a merged log of the segments`() async throws {
    let run = try await RotatedRun.copy()
    #expect(run.files.count >= 5)
    #expect(try run.merge(run.files, into: "whole.db") == "")
    let failed = try run.csv(["query", "--finish", "erred", "--columns", "key"])
    for question in Self.questions + [["story", failed[1]]] {
      let answer = try run.csv(question)
      let isEmpty = question.contains("gaps") || question == ["open"]
      #expect(answer.count > (isEmpty ? 0 : 1), "\(question)")
      #expect(try answer == run.csv(question, log: "whole.db"), "\(question)")
    }
    for question in [["replay", "--plugin", "counter", "--plugin", "errors"]] {
      let answers = try ["logs/{run}.db", "whole.db"].map { try run.run(question + ["--log", $0]) }
      #expect(answers[0].code == 0)
      #expect(answers[0].output == answers[1].output)
      #expect(answers[0].errors == "")
    }
    for format in ["csv", "chrome", "perfetto", "dask"] {
      let exports = try [("logs/{run}.db", "a"), ("whole.db", "b")].map { log, name in
        let export = try run.run(["export", "--to", format, "--log", log, "-o", name])
        #expect(export.code == 0, "\(export.errors)")
        return try Data(contentsOf: URL(fileURLWithPath: run.folder(name)))
      }
      #expect(exports[0] == exports[1], "\(format)")
    }
    let report = try run.run(["report", "--log", "logs/{run}.db", "-o", "page.html"])
    let same = try run.run(["report", "--log", "whole.db", "-o", "page.html"])
    #expect(report.output == same.output)
    #expect(try run.csv(["compare", "latest", "latest", "--table", "first_difference"]).count == 1)
  }

  @Test func `a run is selected by its index in the list, or its id`() async throws {
    let run = try await RotatedRun.copy()
    _ = try run.merge(LogTemplate.files(run.folder("logs/{run}.db")), into: "all.db")
    #expect(try run.csv(["runs"]) == run.csv(["runs"], log: "all.db"))
    let counts = try ["#1", "#2", "all"].map { selector in
      try run.csv(["query", "--count", "--run", selector])[1]
    }
    #expect(
      try counts
        == ["#1", "#2", "all"].map { selector in
          try run.csv(["query", "--count", "--run", selector], log: "all.db")[1]
        })
    // In its own file each run is the first one.
    for (id, number) in [(run.older, "#1"), (String(run.older.prefix(20)), "#1")] {
      #expect(
        try run.csv(["summary", "--run", id])
          == run.csv(["summary", "--run", number], log: "all.db"))
    }
    #expect(
      try run.csv(["summary", "--run", "all"])
        == run.csv(["summary", "--run", "all"], log: "all.db"))
    for (selector, words) in [
      ("#3", "has no run '#3'; 'tasklog runs' lists the runs"),
      ("0", "'0' is the beginning of 2 run ids; give more of it"),
    ] {
      for command in [["summary"], ["query"], ["replay", "--plugin", "counter"]] {
        let result = try run.run(command + ["--log", "logs/{run}.db", "--run", selector])
        #expect(result.code == 1)
        #expect(result.errors == "tasklog: logs/{run}.db: \(words)\n")
      }
    }
  }

  @Test func `a cursor continues from segment to segment`() async throws {
    let run = try await RotatedRun.shared
    let all = try run.csv(["query", "--columns", "seq"]).dropFirst()
    var seen: [String] = []
    var cursor: String?
    while seen.count < all.count {
      let part = try run.run(
        [
          "query", "--columns", "seq", "-n", "700", "--show-cursor", "--format", "csv", "--log",
          "logs/{run}.db",
        ] + (cursor.map { ["--after-cursor", $0] } ?? []))
      try #require(part.code == 0 && part.lines.count > 1, "\(part.errors)")
      seen += part.lines.dropFirst()
      cursor = try #require(part.errors.firstMatch(of: /^cursor: (\S+)\n$/)).1.description
    }
    #expect(seen == Array(all))
  }

  @Test func `a command leaves no temporary merged log`() async throws {
    let run = try await RotatedRun.copy()
    try run.folder.makeFolder("scratch")
    let environment = ["TMPDIR": run.folder("scratch"), "TASKLOG_LOG": "logs/{run}.db"]
    // Nothing is kept for later commands of a file that has just changed.
    for file in run.files {
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: 3600)], ofItemAtPath: file.path)
    }
    try run.folder.write(
      "Trap.swift",
      """
      import TaskLogPlugin
      final class Trap: SchedulerPlugin {
        func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
          if finish == .erred { fatalError() }
        }
      }
      """)
    for (line, code) in [
      ("tasklog summary", 0 as Int32), ("tasklog export --to jsonl | head -n 1", 0),
      ("tasklog state --at 1 --table nonsense", 64), ("tasklog story nothing", 1),
      ("tasklog replay --plugin ./Trap.swift", 1),
      // Ended in the middle of its work.
      (
        """
        tasklog replay --plugin exec:'sleep 5' >/dev/null 2>&1 & pid=$!
        while ! ls scratch/tasklog-* >/dev/null 2>&1; do kill -0 $pid || exit 7; done
        kill -TERM $pid; wait $pid
        """, 143
      ),
    ] {
      let result = try Command.shell(line, environment: environment, folder: run.folder.url)
      #expect(result.code == code, "\(line): \(result.output)\(result.errors)")
      #expect(!run.folder.names.contains { $0.hasPrefix("scratch/tasklog-") }, "\(line)")
      if line.contains("Trap") { #expect(result.errors.contains("from processing to erred")) }
    }
  }

  @Test func `a disk too small for the merged log is reported with what to do`() async throws {
    let run = try await RotatedRun.shared
    let result = try run.run(
      ["summary", "--log", "logs/{run}.db"],
      environment: ["TMPDIR": "/proc", "XDG_CACHE_HOME": "/dev/null"])
    #expect(result.code == 1)
    #expect(result.errors.contains("logs/{run}.db: cannot merge its files ("))
    #expect(result.errors.contains("set TMPDIR to another folder"))
    #expect(try run.csv(["query", "--count"]).count == 2)
  }

  // MARK: - Merging

  @Test func `a merge of some segments says where the others are`() async throws {
    let run = try await RotatedRun.copy()
    let files = run.files
    let names = files.map { $0.path.split(separator: "/").last.map(String.init) ?? "" }
    func notes(_ places: [Int], _ name: String) throws -> String {
      try run.merge(places.map { files[$0] }, into: name)
    }
    let continues = "tasklog: run #1 continues in \(names[2])\n"
    #expect(try notes([0, 1], "first.db") == continues)
    #expect(try run.run(["summary", "--log", "first.db"]).errors == continues)
    // In any order, and repeatedly.
    #expect(try notes([1, 0], "turned.db") == continues)
    #expect(try notes([0], "turned.db") == continues)
    let middle = try notes([1, 2], "middle.db")
    #expect(
      middle == "tasklog: run #1 began in an earlier file, \(names[0]), "
        + "which is not in the same folder\n"
        + "tasklog: run #1 continues in \(names[3])\n")
    let rest = Array(2..<files.count)
    #expect(try notes(rest, "first.db") == "")
    #expect(try notes(rest.reversed(), "turned.db") == "")
    for name in ["first.db", "turned.db"] {
      let check = try run.run(["check", "--strict", "--log", name, "--format", "jsonl"])
      #expect(check.code == 0 && check.lines == [], "\(check.output)")
      #expect(try run.csv(["runs"], log: name)[1].contains(",closed,"))
    }
  }

  @Test func `segments created after the segments were listed belong to the run`() async throws {
    let run = try await RotatedRun.shared
    let files = run.files.map(\.path)
    let joined = try RotatedRunFiles(
      run.folder("logs/{run}.db"), Array(files.dropLast(2)), follows: false)
    defer { joined.close() }
    let reader = try LogReader(path: joined.path)
    let whole = try #require(try reader.runs().last)
    let expected = try files.reduce(Int64(0)) { sum, path in
      let segment = try LogReader(path: path)
      return try segment.runs().reduce(sum) { try $0 + segment.eventCount(of: $1) }
    }
    #expect(try reader.eventCount(of: whole) == expected)
    #expect(whole.nextFile == nil && whole.end == .closed)
  }

  // MARK: - Live runs

  @Test func `a run is followed from segment to segment`() async throws {
    let folder = try TemporaryFolder()
    let template = folder("logs/{run}.db")
    let recorder = try Recorder(log: template, options: RotatedRun.options)
    let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
    func record(_ numbers: ClosedRange<Int>) {
      for number in numbers {
        channel.record(
          Event(
            .transition, time: Int64(number), key: Key("task", number), start: .processing,
            finish: .memory, stimulusID: "s-\(number)",
            args: Args(named: [.init("text", .string(String(repeating: "x", count: 100)))])))
      }
      #expect(recorder.flush(timeoutSeconds: 60))
    }
    record(1...100)
    try folder.write(
      "Sum.swift",
      """
      import TaskLogPlugin
      final class Sum: SchedulerPlugin {
        var count = 0
        func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
          count += 1
        }
      }
      """)
    let commands = try [
      ["query", "--follow", "--columns", "seq", "--format", "csv"],
      ["query", "--follow", "-n", "5", "--columns", "seq", "--format", "csv"],
      ["replay", "--follow", "--plugin", "counter"],
      ["replay", "--follow", "--plugin", "./Sum.swift"],
    ].map { try Following($0 + ["--log", template], folder) }
    #expect(try Command.run(["summary", "--log", template]).code == 0)
    var next = 101
    let deadline = Deadline(seconds: 120)
    while LogTemplate.files(template).count < 4 {
      try #require(!deadline.hasPassed)
      record(next...next + 99)
      next += 100
    }
    // A live run in several segments, none of which ends meanwhile.
    #expect(recorder.flush(timeoutSeconds: 60))
    let runs = try Command.run(["runs", "--log", template, "--format", "csv"])
    #expect(runs.lines.count == 2 && runs.lines[1].contains(",running,\(next - 1),"), "\(runs)")
    let replay = try Command.run(["replay", "--plugin", "counter", "--log", template])
    #expect(replay.output.contains("counter: \(next - 1)\n"))
    #expect(
      replay.errors == "tasklog: run #1 is still running; the replay has its events so far\n")
    recorder.close()
    let outputs = try commands.map { try $0.output() }
    let lines = outputs[..<2].map { $0.split(whereSeparator: \.isNewline).map(String.init) }
    #expect(lines[0] == ["seq"] + (1..<next).map(String.init))
    #expect(lines[1].last == "\(next - 1)")
    #expect(lines[1].count > 5)
    #expect(outputs[2].contains("counter: \(next - 1)\n"))
    #expect(outputs[3].contains("count: \(next - 1)\n"))
  }

  /// A command that continues until a run ends.
  private final class Following {
    private let child: Child

    init(_ arguments: [String], _ folder: TemporaryFolder) throws {
      child = try Child(
        [Command.program.path] + arguments, folder: folder.url.path, output: .pipe,
        errors: .file("/dev/null"))
    }

    func output() throws -> String {
      let outcome = try child.outcome()
      #expect(outcome.code == 0)
      return String(decoding: outcome.output, as: UTF8.self)
    }
  }
}
