import EventLog
import Foundation
import LogFormat
import TaskLogPlugin
import TestTraits
import Testing

/// Several logs at once, logs that are merged, and logs that grow while they are read.
@Suite(.exclusive(.commands)) struct ManyLogsTests {
  private func csv(_ arguments: [String], _ folder: TemporaryFolder? = nil) throws -> [String] {
    let result = try Command.run(arguments + ["--format", "csv"], folder: folder?.url)
    #expect(result.code == 0, "\(result.errors)")
    return result.lines
  }

  @Test func `several logs are read as one, by time`() throws {
    let demo = try RecordedDemo.log
    let both = ["--log", SampleLog.path, "--log", demo, "--run", "all"]
    let lines = try csv(["query", "--columns", "time"] + both)
    let counts = try [SampleLog.path, demo].map {
      try csv(["query", "--columns", "time", "--log", $0, "--run", "all"]).count - 1
    }
    #expect(lines.count - 1 == counts[0] + counts[1])
    // The sample is older than any demo.
    #expect(lines[0] == "log,time")
    #expect(lines[1].hasPrefix(SampleLog.path) && lines[lines.count - 1].hasPrefix(demo))
    let newest = try csv(["query", "--columns", "time", "--reverse", "-n", "1"] + both)
    #expect(newest[1].hasPrefix(demo))
    #expect(try csv(["query", "--count"] + both) == ["count", "\(counts[0] + counts[1])"])
    let groups = try csv(["query", "--group-by", "source"] + both)
    let sum = groups.dropFirst().compactMap { $0.split(separator: ",").last.flatMap { Int($0) } }
      .reduce(0, +)
    #expect(sum == counts[0] + counts[1])
    // A log without a run that is partly in the other one is not merged for SQL.
    let sql = try Command.run(["query", "SELECT 1", "--log", SampleLog.path, "--log", demo])
    #expect(sql.code == 64)
    #expect(sql.errors == "tasklog: SQL reads one log; combine several with 'tasklog merge'\n")
  }

  @Test func `a merged log contains every event of all logs exactly once`() throws {
    let folder = try TemporaryFolder()
    let demo = try RecordedDemo.log
    func merge() throws -> [String] {
      let result = try Command.run(
        ["merge", SampleLog.path, demo, "--into", "all.db"], folder: folder.url)
      #expect(result.code == 0, "\(result.errors)")
      #expect(result.errors == "")
      return result.lines
    }
    let first = try merge()
    #expect(first[0] == "\(SampleLog.path): 2 runs, 82 events added")
    let events = """
      SELECT server_id, source_seq, time, hook, key, key_typed, start, finish, stimulus, worker,
        task_run, args, snapshot FROM events ORDER BY server_id, source_seq
      """
    func content(_ log: String) throws -> [String] {
      try Command.run(["query", events, "--log", log], folder: folder.url).lines
    }
    let wanted = try content(SampleLog.path) + content(demo)
    #expect(try content("all.db").sorted() == wanted.sorted())
    // A second time: all of it is already there.
    #expect(try merge()[0] == "\(SampleLog.path): 2 runs, 0 events added, 82 already present")
    #expect(try content("all.db").count == wanted.count)
    let runs = try csv(["runs", "--log", "all.db"], folder)
    #expect(runs.count == 4)
    #expect(
      try csv(["query", "SELECT reason, count FROM gaps", "--log", "all.db"], folder)
        == ["reason,count", "spool limit reached,3"])
    let summaries = try [SampleLog.path, "all.db"].map {
      try Command.run(["summary", "--run", "#2", "--log", $0], folder: folder.url).output
    }
    #expect(summaries[0] == summaries[1])
  }

  @Test func `a log is not merged into itself`() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(atPath: SampleLog.path, toPath: folder("a.db"))
    let result = try Command.run(["merge", "a.db", "--into", "./a.db"], folder: folder.url)
    #expect(result.code == 64)
    #expect(
      result.errors
        == "tasklog: --into ./a.db: is one of the logs to read; name another file\n")
  }

  @Test func `a query resumes after the cursor of the last one`() throws {
    let folder = try TemporaryFolder()
    func query(_ arguments: [String]) throws -> Command.Result {
      try Command.run(
        [
          "query", "--run", "#1", "--columns", "seq", "--format", "csv", "--log", SampleLog.path,
          "--show-cursor",
        ] + arguments, folder: folder.url)
    }
    let all = try query([]).lines.dropFirst()
    var seen: [String] = []
    var cursor: String?
    // Reads the log seven events at a time.
    for _ in 0..<20 {
      let part = try query(["-n", "7"] + (cursor.map { ["--after-cursor", $0] } ?? []))
      #expect(part.code == 0, "\(part.errors)")
      seen += part.lines.dropFirst()
      cursor = try #require(part.errors.firstMatch(of: /^cursor: (\S+)\n$/)).1.description
    }
    #expect(seen == Array(all))
    let lost = try query(["--after-cursor", "a/b/1"])
    #expect(lost.code == 1)
    #expect(
      lost.errors == "tasklog: --after-cursor a/b/1: this event is not in \(SampleLog.path)\n")
  }

  @Test(arguments: ["csv", "table"])
  func `a live run is shown while it is recorded, until it ends`(format: String) throws {
    let folder = try TemporaryFolder()
    let id = "01942f00-0000-7000-8000-00000000000f"
    let writer = try LogWriter(path: folder("live.db"))
    let source = try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: id, engine: "tasklog", engineVersion: "0", recorderVersion: "0", mode: "full",
          started: 1))
      return try writer.add(Source(kind: .scheduler, id: "s", address: "tcp://s:1"), run: run)
    }
    // As long as its lock is held, the run is live.
    var lock: RecorderLock? = try RecorderLock(log: folder("live.db"), run: id)
    func record(_ numbers: ClosedRange<Int64>) throws {
      try writer.transaction {
        for number in numbers {
          try writer.append(
            Event(
              .transition, time: number, key: Key("task-\(number)"), start: .released,
              finish: .waiting), source: source, sourceSeq: number)
        }
      }
    }
    try record(1...5)
    let follower = try Child(
      [
        Command.program.path, "query", "--follow", "-n", "2", "--columns", "key", "--format",
        format,
        "--log", folder("live.db"), "--key", "task-*",
      ], output: .pipe)
    let output = try #require(follower.output)
    var text = ""
    /// Reads until a line has arrived.
    func wait(for line: String) throws {
      while !text.contains(line + "\n") && !text.contains(line + "\r\n") {
        let data = output.availableData
        try #require(!data.isEmpty, "it ended before \(line): \(text)")
        text += String(decoding: data, as: UTF8.self)
      }
    }
    try wait(for: "task-5")
    try record(6...7)
    try wait(for: "task-7")
    try record(8...8)
    try wait(for: "task-8")
    try writer.transaction { try writer.end(run: 1, .closed, at: 9) }
    lock?.leaveFolder()
    lock = nil
    let outcome = try follower.outcome()
    text += String(decoding: outcome.output, as: UTF8.self)
    #expect(outcome.code == 0)
    // The last two that existed before, and all that arrived.
    #expect(
      text.split(whereSeparator: \.isNewline)
        == ["key", "task-4", "task-5", "task-6", "task-7", "task-8"])
  }

  @Test func `indexes are created when a run ends, and change no answer`() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(atPath: SampleLog.path, toPath: folder("a.db"))
    let commands = SampleOutputTests.commands.filter { $0.name != "inspect" }
    func answers() throws -> [String] {
      try commands.map {
        try Command.run($0.arguments, environment: ["TASKLOG_LOG": folder("a.db")]).output
      }
    }
    func indexes() throws -> String? {
      try csv(["inspect", "--log", folder("a.db"), "--table", "file"]).last
    }
    #expect(try indexes() == "indexes,failure key")
    let before = try answers()
    #expect(try Command.run(["index", "--drop", "--log", folder("a.db")]).code == 0)
    #expect(try indexes() == "indexes,key")
    #expect(try answers() == before)
    let index = try Command.run(["index", "--log", folder("a.db")])
    #expect(index.code == 0 && index.output == "" && index.errors == "")
    #expect(try indexes() == "indexes,failure finish key stimulus")
  }
}
