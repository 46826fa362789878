import EventLog
import Foundation
import LogFormat
import LogMaintenance
import TaskLogPlugin
import TestSupport
import TestTraits
import Testing

/// `tasklog prune`: what it removes, keeps and prints, and the state after it was killed.
@Suite(.exclusive(.commands)) struct PruneCommandTests {
  /// A program in the folder Python.
  private static func script(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Python/\(name).py").path
  }

  /// A log with runs of the given numbers of events.
  private func makeLog(
    _ folder: TemporaryFolder, runs: Int, events: Int, name: String = "tasklog.db"
  ) throws {
    let writer = try LogWriter(path: folder(name))
    for number in 1...runs {
      try writer.transaction {
        let run = try writer.add(
          RunHeader(
            id: RunID.make(), engine: "tasklog", engineVersion: "1", recorderVersion: "1",
            mode: "full", started: Int64(number) * 1_000_000_000))
        let source = try writer.add(
          Source(kind: .scheduler, id: "s", address: "tcp://s"), run: run)
        for event in 0..<events {
          let task = Key("task-\(number)-\(event / 2)")
          try writer.append(
            Event(
              .transition, time: Int64(number) * 1_000_000_000, key: task,
              start: event % 2 == 0 ? .released : .waiting,
              finish: event % 2 == 0 ? .waiting : .processing, stimulusID: "s-\(number)-\(event)",
              args: Args(named: [.init("text", .string(String(repeating: "x", count: 100)))])),
            source: source, sourceSeq: Int64(event + 1))
        }
        try writer.end(run: run, .closed, at: Int64(number) * 1_000_000_000)
      }
    }
    writer.close()
  }

  private func size(_ path: String) -> Int64 { LogPruning.bytes(of: path) }

  @Test func `a dry run prints what would be removed, and changes nothing`() throws {
    let folder = try TemporaryFolder()
    try makeLog(folder, runs: 4, events: 200)
    let before = try Data(contentsOf: URL(fileURLWithPath: folder("tasklog.db")))
    let result = try Command.run(
      ["prune", "--keep-runs", "1", "--dry-run", "--format", "csv"], folder: folder.url)
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.lines.count == 4)
    #expect(result.lines[0] == "run,id,log,started,ended,events,rule")
    #expect(result.lines[1].hasPrefix("1,"))
    #expect(result.lines[1].hasSuffix(",200,keep-runs"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder("tasklog.db"))) == before)
    #expect(folder.names == ["tasklog.db"])
  }

  @Test func `pruned events are reported by check, query, replay, runs and inspect`() throws {
    let folder = try TemporaryFolder()
    try makeLog(folder, runs: 3, events: 2_000)
    // In addition to what every log has: the text of its views.
    let empty = try TemporaryFolder()
    try LogWriter(path: empty("tasklog.db")).close(isIndexing: false)
    let least = size(empty("tasklog.db"))
    let before = size(folder("tasklog.db")) - least
    let pruned = try Command.run(
      ["prune", "--keep-runs", "2", "--format", "table"], folder: folder.url)
    #expect(pruned.code == 0, "\(pruned.errors)")
    #expect(pruned.output.contains("2000 events of 1 run pruned; current size "))
    #expect(size(folder("tasklog.db")) - least < before * 3 / 4)
    #expect(folder.names == ["tasklog.db"])
    let note = "tasklog: 2000 events of run #1 were pruned; the results cover the rest\n"
    for command in [["query"], ["summary"], ["errors"], ["query", "--count"]] {
      let result = try Command.run(command + ["--run", "#1"], folder: folder.url)
      #expect(result.code == 0)
      #expect(result.errors == note)
      #expect(try Command.run(command, folder: folder.url).errors == "")
    }
    let replay = try Command.run(
      ["replay", "--plugin", "counter", "--run", "#1"], folder: folder.url)
    #expect(replay.code == 0)
    #expect(
      replay.errors.hasPrefix("tasklog: 2000 events are pruned from run #1; plugins were not"))
    let check = try Command.run(["check", "--strict", "--format", "jsonl"], folder: folder.url)
    #expect(check.code == 0)
    #expect(check.lines.count == 1)
    #expect(check.output.contains("\"pruned-events\""))
    let gaps = try Command.run(
      ["inspect", "--table", "gaps", "--format", "csv"], folder: folder.url)
    #expect(gaps.lines.last?.contains(",1,2000,pruned,") == true)
    let again = try Command.run(
      ["prune", "--keep-runs", "2", "--format", "table"], folder: folder.url)
    #expect(again.output.hasPrefix("0 events of 0 runs pruned"))
  }

  @Test func `the requested size is that of the file afterwards`() throws {
    let folder = try TemporaryFolder()
    try makeLog(folder, runs: 10, events: 2_000)
    let most = size(folder("tasklog.db")) / 2
    let result = try Command.run(
      ["prune", "--max-size", "\(most)", "--format", "csv"], folder: folder.url)
    #expect(result.code == 0)
    #expect(result.errors == "")
    #expect(size(folder("tasklog.db")) <= most)
    #expect(result.lines.count < 9)
    // The newest events stay.
    let runs = try Command.run(["query", "SELECT max(run) FROM events"], folder: folder.url)
    #expect(runs.output.contains("10"))
    let nothing = try Command.run(["prune", "--max-size", "1kB"], folder: folder.url)
    #expect(nothing.errors.contains("--max-size: "))
    #expect(nothing.errors.contains(" remain, more than 1.0 kB"))
  }

  @Test func `a run that another process records stays, and so does its spool`() throws {
    let folder = try TemporaryFolder()
    try makeLog(folder, runs: 2, events: 500)
    let result = try Command.shell(
      "python3 \(Self.script("prune_live")) \(Programs.path("recording-victim")) tasklog.db",
      folder: folder.url)
    #expect(result.code == 0, "\(result.output)\(result.errors)")
    let recovered = try Command.run(["recover"], folder: folder.url)
    #expect(recovered.output.contains("events recovered\n"), "\(recovered.output)")
    let check = try Command.run(["check", "--format", "jsonl"], folder: folder.url)
    #expect(check.lines.count { $0.contains("\"pruned-events\"") } == 2)
    // The victim's workers do what no real worker does.
    let errors = check.lines.filter {
      $0.contains("\"error\"") && !$0.contains("\"impossible-transition\"")
        && !$0.contains("\"broken-chain\"")
    }
    #expect(errors == [])
  }

  @Test func `killed at any moment it leaves a valid log, and the next prune finishes`() throws {
    let folder = try TemporaryFolder()
    try makeLog(folder, runs: 4, events: 30_000, name: "whole.db")
    let whole = size(folder("whole.db"))
    for seed in 0..<4 {
      let result = try Command.shell(
        "python3 \(Self.script("prune_kill")) \(seed)", folder: folder.url)
      #expect(result.code == 0, "seed \(seed): \(result.errors)")
      let last = try Command.run(["prune", "--keep-runs", "1"], folder: folder.url)
      #expect(last.code == 0)
      #expect(size(folder("tasklog.db")) < whole / 3)
      let facts = try Command.run(
        ["inspect", "--table", "file", "--format", "csv"], folder: folder.url)
      #expect(facts.lines.contains("free_bytes,0"))
      // Of the remaining run.
      #expect(facts.lines.contains("keys,15000"))
      let events = try Command.run(["query", "--count"], folder: folder.url)
      #expect(events.output.contains("30000"))
    }
  }

  @Test func `files without remaining events are removed, a run's last segment stays`() throws {
    let folder = try TemporaryFolder()
    try folder.makeFolder("logs")
    var ids: [String] = []
    for _ in 0..<3 {
      ids.append(RunID.make())
      try makeLog(folder, runs: 1, events: 300, name: "made.db")
      try FileManager.default.moveItem(
        atPath: folder("made.db"), toPath: folder("logs/\(ids.last!).db"))
    }
    let environment = ["TASKLOG_LOG": "logs/{run}.db"]
    let result = try Command.run(
      ["prune", "--keep-runs", "1", "--format", "csv"], environment: environment,
      folder: folder.url)
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.lines.count == 3)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder("logs")).count == 1)
    let left = try Command.run(["query", "--count"], environment: environment, folder: folder.url)
    #expect(left.output.contains("300"))
  }

  @Test func `a demo can be recorded into its own file`() throws {
    let folder = try TemporaryFolder()
    try folder.makeFolder("in")
    try folder.write("in/a.txt", "one two")
    let environment = ["TASKLOG_LOG": "logs/{run}.db"]
    for _ in 0..<2 {
      let demo = try Command.run(
        ["demo", "--input", "in"], environment: environment, folder: folder.url)
      #expect(demo.code == 0, "\(demo.errors)")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder("logs")).count == 2)
    let replay = try Command.run(
      ["replay", "--plugin", "counter"], environment: environment, folder: folder.url)
    #expect(replay.output.contains("counter: 2"))
    let merged = try Command.run(
      ["merge", "logs/{run}.db", "--into", "all.db"], folder: folder.url)
    #expect(merged.lines.count == 2)
  }

  @Test(arguments: [
    ([], "name a rule: --older-than, --keep-runs or --max-size"),
    (["--keep-runs=-1"], "--keep-runs -1: expected 0 or more"),
    (["--max-size", "much"], "--max-size much: expected a size such as 500MB or 2GiB"),
    (["--max-size", ""], "--max-size '': expected a size such as 500MB or 2GiB"),
    (["--max-size", "5 parsecs"], "--max-size 5 parsecs: expected a size such as 500MB or 2GiB"),
    (
      ["--older-than", "soon"],
      "--older-than soon: expected an age such as 90s, 30m, 12h or 7d, or a date such as 2026-01-31"
    ),
  ])
  func `an invalid rule is reported in one line`(arguments: [String], message: String) throws {
    let folder = try TemporaryFolder()
    let result = try Command.run(["prune"] + arguments, folder: folder.url)
    #expect(result.code == 64)
    #expect(result.output == "")
    #expect(result.errors == "tasklog: \(message)\n")
  }

  @Test(arguments: [
    (
      ["merge", "a.db", "--into", "{run}.db"],
      "--into {run}.db: the merged log is one file; omit {run} from its name"
    ),
    (
      ["record", "--from", "amqp://localhost", "--log", "{run}.db"],
      "{run}.db: this command writes all runs into one log; omit {run} from its name"
    ),
  ])
  func `a command for one log refuses a template`(arguments: [String], message: String) throws {
    let folder = try TemporaryFolder()
    let result = try Command.run(arguments, folder: folder.url)
    #expect(result.code == 64)
    #expect(result.errors == "tasklog: \(message)\n")
    #expect(folder.names == [])
  }

  @Test func `a file that is not a log is not turned into one`() throws {
    let folder = try TemporaryFolder()
    try folder.write("text.db", "no log")
    for (name, words) in [
      ("none.db", "none.db: there is no such log; name one with --log or TASKLOG_LOG"),
      ("text.db", "text.db: is not a SQLite database, so not a tasklog log"),
      ("logs/{run}.db", "logs/{run}.db: there is no such log; name one with --log or TASKLOG_LOG"),
    ] {
      let result = try Command.run(
        ["prune", "--keep-runs", "1", "--log", name], folder: folder.url)
      #expect(result.code == 1)
      #expect(result.errors == "tasklog: \(words)\n")
    }
    #expect(folder.names == ["text.db"])
  }
}
