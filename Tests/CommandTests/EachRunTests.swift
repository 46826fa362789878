import Foundation
import TestTraits
import Testing

/// Replays and SQL for each of many runs.
@Suite(.exclusive(.commands)) struct EachRunTests {
  /// Five runs, of which the second and the fourth have a task `broken`.
  private func makeArchive() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.makeFolder("logs")
    for name in ["v1-future", "v1-dask", "v2-demo", "v2-dask", "v2-future"] {
      try FileManager.default.copyItem(
        atPath: FrozenLogTests.path(name), toPath: folder("logs/\(name).db"))
    }
    return folder
  }

  private func column(_ name: String, _ result: Command.Result) throws -> [String] {
    try result.lines.map { line in
      let row = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      return (row?[name]).map { $0 is NSNull ? "" : "\($0)" } ?? "missing"
    }
  }

  @Test func `a plugin is sent through each run, with the reports of single replays`() throws {
    let folder = try makeArchive()
    let all = try folder.tasklog(["replay", "--each", "--plugin", "counter"])
    #expect(try column("outcome", all) == Array(repeating: "ok", count: 5))
    #expect(try column("run", all) == ["1", "2", "3", "4", "5"])
    #expect(all.errors.isEmpty)
    for (number, report) in zip(1...5, try column("report", all)) {
      let single = try folder.tasklog(["replay", "--plugin", "counter", "--run", "\(number)"])
      let count = try #require(single.output.firstMatch(of: /counter: (\d+)/)).1
      #expect(report.contains("\"counter\": \(count)"), "\(report)")
    }
    let some = try folder.tasklog(
      ["replay", "--each", "--plugin", "counter", "--runs", "engine=dask"])
    #expect(try column("run", some) == ["2", "4"])
  }

  @Test func `a plugin that crashes in some runs is named with them, and resumed`() throws {
    let folder = try makeArchive()
    try folder.write(
      "plugin.sh",
      """
      count=$(grep -c 'broken-')
      echo called >>calls
      if [ "$count" -gt 0 ] && [ -e stop ]; then kill -9 $$; fi
      """)
    try folder.write("stop", "")
    let replay = ["replay", "--each", "--plugin", "exec:sh plugin.sh", "--resume", "kept.jsonl"]
    func calls() throws -> Int {
      try String(contentsOfFile: folder("calls"), encoding: .utf8).split(separator: "\n").count
    }
    let first = try folder.tasklog(replay, code: 1)
    let outcomes = ["ok", "failed", "ok", "failed", "ok"]
    #expect(try column("outcome", first) == outcomes)
    for (outcome, error) in zip(outcomes, try column("error", first)) {
      #expect(outcome == "ok" ? error.isEmpty : error.contains("ended with code 137"), "\(error)")
    }
    #expect(first.errors == "tasklog: of 5 runs: 2 failed\n")
    #expect(try calls() == 5)
    // A line that was cut off by a kill.
    let file = try #require(FileHandle(forWritingAtPath: folder("kept.jsonl")))
    try file.seekToEnd()
    try file.write(contentsOf: Data(#"{"id":"01a2"#.utf8))
    try file.close()
    try FileManager.default.removeItem(atPath: folder("stop"))
    let second = try folder.tasklog(replay)
    #expect(try column("outcome", second) == Array(repeating: "ok", count: 5))
    #expect(second.errors == "tasklog: of 5 runs: 3 known from an earlier call\n")
    #expect(try calls() == 7)
    let third = try folder.tasklog(replay)
    #expect(third.lines.count == 5)
    #expect(try calls() == 7)
    let other = try folder.tasklog(
      ["replay", "--each", "--plugin", "counter", "--resume", "kept.jsonl"], code: 64)
    #expect(other.errors.contains("--resume kept.jsonl: has results of another command"))
  }

  @Test func `a result is that of the run and the plugin that were replayed`() throws {
    let folder = try makeArchive()
    let full = folder("logs/v2-dask.db")
    try FileManager.default.moveItem(atPath: full, toPath: folder("full.db"))
    // The same run with fewer events, as before a recovery.
    try FileManager.default.copyItem(atPath: FrozenLogTests.path("v2-later"), toPath: full)
    try folder.write("plugin.sh", "cat >/dev/null; echo one")
    let replay = ["replay", "--each", "--plugin", "exec:sh plugin.sh", "--resume", "kept.jsonl"]
    #expect(try folder.tasklog(replay).errors.isEmpty)
    try FileManager.default.removeItem(atPath: full)
    try FileManager.default.moveItem(atPath: folder("full.db"), toPath: full)
    let again = try folder.tasklog(replay)
    #expect(again.errors == "tasklog: of 5 runs: 4 known from an earlier call\n")
    try folder.write("plugin.sh", "cat >/dev/null; echo other and more")
    let changed = try folder.tasklog(replay, code: 64)
    #expect(changed.errors.contains("has results of another command or of an older plugin"))
    #expect(mkfifo(folder("pipe"), 0o600) == 0)
    for (file, reason) in [
      ("pipe", "is not a regular file"), ("/dev/full", "is not a regular file"),
    ] {
      let refused = try folder.tasklog(replay.dropLast() + [file], code: 1)
      #expect(refused.errors == "tasklog: --resume \(file): \(reason)\n")
    }
    let missing = try folder.tasklog(["replay", "--each", "--plugin", "./gone.swift"], code: 1)
    #expect(missing.errors.split(separator: "\n").count == 1, "\(missing.errors)")
  }

  @Test func `processes of a replay end with it`() throws {
    let folder = try makeArchive()
    try folder.write("plugin.sh", "echo started >>calls; exec sleep 30")
    // Without a signal they would run for as long as the plugin does.
    let line = """
      setsid tasklog replay --each --plugin 'exec:sh plugin.sh' --timeout 0 --log logs &
      for i in $(seq 600); do [ -e calls ] && break; sleep 0.1; done
      kill -9 $!
      for i in $(seq 80); do
        grep -lsa "result-fil[e]=$TMPDIR" /proc/[0-9]*/cmdline >left || break
        sleep 0.1
      done
      cat left
      """
    let result = try Command.shell(
      line, environment: ["TMPDIR": folder.path, "XDG_CACHE_HOME": folder("cache")],
      folder: folder.url)
    #expect(result.output.isEmpty, "\(result.output)")
  }

  @Test func `SQL is run on each run, which its rows tell`() throws {
    let folder = try makeArchive()
    let sql = ["query", "SELECT count(*) AS tasks FROM tasks", "--each", "--format", "csv"]
    let listed = try folder.tasklog(["runs", "--format", "csv"]).lines.dropFirst().map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    let rows = try folder.tasklog(sql).lines
    #expect(rows[0] == "run_number,run_id,tasks")
    #expect(Array(rows.dropFirst()) == listed.map { "\($0[0]),\($0[1]),\($0[7])" })
    #expect(
      try folder.tasklog(sql + ["--runs", "died"], code: 1).errors
        == "tasklog: logs: no run matches --runs; see 'tasklog runs'\n")
    #expect(try folder.tasklog(sql + ["--run", "3"]).lines.count == 2)
  }

  @Test func `a parameter selects among several runs in one log`() throws {
    let folder = try makeArchive()
    try FileManager.default.copyItem(atPath: SampleLog.path, toPath: folder("two.db"))
    func query(_ sql: String) throws -> Command.Result {
      try Command.run(
        ["query", sql, "--each", "--log", "two.db", "--format", "csv"], folder: folder.url)
    }
    let refused = try query("SELECT count(*) FROM tasks")
    #expect(refused.code == 64)
    #expect(
      refused.errors
        == "tasklog: two.db: has several runs: add 'WHERE run = :run' to the SQL\n")
    let counts = try query("SELECT count(*) AS n FROM tasks WHERE run = :run").lines.dropFirst()
    #expect(counts.map { $0.split(separator: ",").last } == ["7", "3"])
  }

  @Test func `what cannot be done for each run is refused in one line`() throws {
    let folder = try makeArchive()
    for (arguments, code, message) in [
      (["replay", "--each"], 64, "name a plugin with --plugin"),
      (["replay", "--each", "--plugin", "nothing"], 64, "--plugin nothing: unknown plugin"),
      (["replay", "--each", "--follow", "--plugin", "counter"], 64, "--follow follows one run"),
      (["replay", "--plugin", "counter", "--resume", "x"], 64, "--resume requires --each"),
      (["replay", "--plugin", "counter", "--format", "csv"], 64, "--format requires --each"),
      (["replay", "--each", "--plugin", "counter", "--runs", "died"], 1, "no run matches --runs"),
      (
        ["replay", "--each", "--plugin", "counter", "--resume", "no/file"], 1,
        "--resume no/file: cannot be opened"
      ),
      (["query", "--each"], 64, "--each requires SQL"),
      (["query", "SELECT x FROM tasks", "--each"], 1, "no such column: x"),
    ] as [([String], Int32, String)] {
      let result = try folder.tasklog(arguments, code: code)
      #expect(
        result.errors.hasPrefix("tasklog: ") && result.errors.contains(message), "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
    }
  }
}
