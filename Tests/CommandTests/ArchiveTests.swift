import Foundation
import TestTraits
import Testing

/// Many logs in folders: listing, selecting and labelling their runs.
@Suite(.exclusive(.commands)) struct ArchiveTests {
  /// A folder with three logs of one run each, the oldest first, and what is no log.
  private func makeArchive() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.makeFolder("in")
    try folder.write("in/a.txt", "one two")
    try folder.makeFolder("logs/old")
    for (log, labels) in [
      ("old/a.db", "pipeline=etl,branch=main"), ("b.db", "pipeline=etl,branch=other"),
      ("c.db", "pipeline=train"),
    ] {
      let demo = try Command.run(
        ["demo", "--input", "in", "--log", "logs/" + log],
        environment: ["TASKLOG_LABELS": labels], folder: folder.url)
      try #require(demo.code == 0, "\(demo.errors)")
    }
    try folder.write("logs/notes.txt", "no log")
    try folder.makeFolder("logs/.hidden")
    return folder
  }

  /// The logs that `runs` lists.
  private func listed(_ arguments: [String], _ folder: TemporaryFolder) throws -> [String] {
    let lines = try folder.tasklog(["runs", "--format", "csv"] + arguments).lines
    return lines.dropFirst().map { String($0.split(separator: ",").last ?? "") }
  }

  @Test func `runs of a folder, of a pattern and of several logs are listed by their start`() throws
  {
    let folder = try makeArchive()
    let all = ["logs/old/a.db", "logs/b.db", "logs/c.db"]
    // Twice: from the logs, and from what is known of them.
    for _ in 0..<2 { #expect(try listed(["--log", "logs"], folder) == all) }
    #expect(try listed(["--log", "logs/*.db"], folder) == Array(all[1...]))
    #expect(try listed(["--log", "logs/c.db", "--log", "logs/old"], folder) == [all[0], all[2]])
    let list = try folder.tasklog(["runs", "--log", "logs", "--format", "csv"]).lines
    let own = try folder.tasklog(["runs", "--log", "logs/b.db", "--format", "csv"]).lines
    #expect(list[2] == "2" + own[1].dropFirst() + ",logs/b.db")
    let status = try folder.tasklog(["status", "--log", "logs", "--format", "csv"]).lines
    #expect(status.count == 2 && status[1].hasPrefix("logs/c.db,"))
    // A check of nothing is not a good one.
    for command in ["runs", "check", "status", "summary"] {
      for name in ["in", "in/*.db"] {
        let empty = try folder.tasklog([command, "--log", "logs", "--log", name], code: 1)
        #expect(empty.errors == "tasklog: \(name): there is no log in it\n", "\(command)")
      }
    }
  }

  @Test(arguments: [
    ("label.pipeline=etl", ["old/a", "b"]), ("label.pipeline=etl last 1", ["b"]),
    ("label.branch", ["old/a", "b"]), ("not label.branch=main first 2", ["b", "c"]),
    ("label.branch=m* or label.pipeline=train", ["old/a", "c"]),
    ("closed and tasks>0 last 1", ["c"]),
    ("prefix=count and (label.pipeline=train)", ["c"]),
    ("started>-1d and duration<1h", ["old/a", "b", "c"]),
  ])
  func `runs are selected by an expression`(expression: String, wanted: [String]) throws {
    let folder = try makeArchive()
    #expect(
      try listed(["--log", "logs", "--runs", expression], folder) == wanted.map { "logs/\($0).db" })
  }

  @Test func `commands read the runs of a folder that are selected`() throws {
    let folder = try makeArchive()
    func count(_ arguments: [String]) throws -> String {
      try folder.tasklog(["query", "--count", "--format", "csv"] + arguments).lines.last ?? ""
    }
    let counts = try ["old/a", "b", "c"].map { try Int(count(["--log", "logs/\($0).db"])) ?? 0 }
    #expect(try count(["--log", "logs"]) == "\(counts[2])")
    #expect(try count(["--log", "logs", "--run", "2"]) == "\(counts[1])")
    #expect(try count(["--log", "logs", "--run", "all"]) == "\(counts.reduce(0, +))")
    let etl = ["--log", "logs", "--runs", "label.pipeline=etl"]
    #expect(try count(etl) == "\(counts[0] + counts[1])")
    for command in [
      ["summary"], ["slowest"], ["time"], ["replay", "--plugin", "counter"], ["errors"],
      ["workers"],
      ["export", "--to", "csv"], ["report", "-o", "page.html"], ["jobs"],
    ] {
      let one = try folder.tasklog(command + ["--log", "logs", "--runs", "label.branch=main"])
      let same = try folder.tasklog(command + ["--log", "logs/old/a.db"])
      #expect(one.output == same.output, "\(command)")
      _ = try folder.tasklog(command + etl)
    }
    let none = try folder.tasklog(["summary", "--log", "logs", "--runs", "died"], code: 1)
    #expect(none.errors == "tasklog: logs: no run matches --runs; see 'tasklog runs'\n")
    let both = try folder.tasklog(["summary", "--run", "1", "--runs", "died"], code: 64)
    #expect(both.errors == "tasklog: --run and --runs cannot be combined; see 'tasklog help'\n")
    let follow = try folder.tasklog(["query", "--follow", "--log", "logs"], code: 64)
    #expect(follow.errors == "tasklog: --follow follows one log; name it instead of logs\n")
    let output = try folder.tasklog(
      ["export", "--to", "csv", "--log", "logs", "-o", "logs/b.db"], code: 64)
    #expect(output.errors == "tasklog: -o logs/b.db: is the log itself; name another file\n")
  }

  @Test func `a copy of a log is no other run`() throws {
    let folder = try makeArchive()
    try FileManager.default.copyItem(atPath: folder("logs/b.db"), toPath: folder("logs/a-copy.db"))
    #expect(try listed(["--log", "logs"], folder).count == 3)
    // The copy that knows more.
    _ = try folder.tasklog(["runs", "--log", "logs/a-copy.db", "--label", "latest", "x=y"])
    #expect(try listed(["--log", "logs", "--runs", "label.x"], folder) == ["logs/a-copy.db"])
    #expect(try listed(["--log", "logs"], folder)[1] == "logs/a-copy.db")
  }

  @Test func `a damaged log of a folder is named, and the others are listed`() throws {
    let folder = try makeArchive()
    try folder.write("logs/d.db", String(repeating: "no database ", count: 100))
    let list = try folder.tasklog(["runs", "--log", "logs", "--format", "csv"], code: 1)
    #expect(list.lines.count == 4)
    #expect(
      list.errors == "tasklog: logs/d.db: is not a SQLite database, so not a tasklog log; "
        + "its runs are left out\n")
    let check = try folder.tasklog(["check", "--log", "logs", "--format", "csv"], code: 2)
    #expect(check.lines.filter { $0.hasPrefix("error,unreadable,logs/d.db,") }.count == 1)
  }

  @Test func `what is known of a log is read again when the log has changed`() throws {
    let folder = try makeArchive()
    // Only what has not just been written is kept.
    for log in ["old/a", "b", "c"] { try age(folder("logs/\(log).db")) }
    #expect(try listed(["--log", "logs"], folder).count == 3)
    let catalogue = folder("cache/tasklog/catalogue/runs.db")
    #expect(try sqlite("SELECT count(*) FROM log", catalogue) == "3")
    #expect(try sqlite("UPDATE log SET runs = replace(runs, 'train', 'known')", catalogue) == "")
    #expect(
      try listed(["--log", "logs", "--runs", "label.pipeline=known"], folder) == ["logs/c.db"])
    let label = try folder.tasklog(
      ["runs", "--log", "logs", "--label", "3", "pipeline=changed", "by=hand"])
    #expect(
      label.output.hasSuffix(#"in logs/c.db: labels {"by":"hand","pipeline":"changed"}"# + "\n"))
    #expect(
      try listed(["--log", "logs", "--runs", "label.pipeline=changed"], folder) == ["logs/c.db"])
    // It is never required.
    try folder.write("cache/tasklog/catalogue/runs.db", "damaged")
    #expect(try listed(["--log", "logs"], folder).count == 3)
    try FileManager.default.removeItem(atPath: folder("cache"))
    try folder.write("cache", "no folder")
    #expect(try listed(["--log", "logs"], folder).count == 3)
  }

  @Test func `a catalogue that is locked or no file is not used and not removed`() throws {
    let folder = try makeArchive()
    let all = try listed(["--log", "logs"], folder)
    let path = folder("cache/tasklog/catalogue/runs.db")
    func node() throws -> UInt64? {
      try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? UInt64
    }
    let before = try node()
    let script = """
      import sqlite3, sys
      connection = sqlite3.connect(sys.argv[1], isolation_level=None)
      connection.execute("BEGIN EXCLUSIVE")
      print("locked", flush=True)
      sys.stdin.read()
      """
    let holder = try Child(["python3", "-c", script, path], hasInput: true, output: .pipe)
    #expect(holder.output?.availableData.isEmpty == false)
    #expect(try listed(["--log", "logs"], folder) == all)
    #expect(try node() == before)
    #expect(try holder.outcome().code == 0)
    try FileManager.default.removeItem(atPath: path)
    #expect(mkfifo(path, 0o600) == 0)
    #expect(try listed(["--log", "logs"], folder) == all)
  }

  @Test func `labels are changed later`() throws {
    let folder = try makeArchive()
    let log = ["--log", "logs/c.db"]
    _ = try folder.tasklog(["runs", "--label", "latest", "pipeline=etl", "note=a=b c"] + log)
    let removed = try folder.tasklog(["runs", "--label", "1", "pipeline="] + log)
    #expect(removed.output.hasSuffix(#"in logs/c.db: labels {"note":"a=b c"}"# + "\n"))
    // A run does not get longer by a label, and stays whole.
    _ = try folder.tasklog(["check", "--strict"] + log)
    _ = try folder.tasklog(["replay", "--plugin", "counter"] + log)
    for (arguments, message) in [
      (["a=b"], "a=b: name the run that gets the label, as in --label latest a=b"),
      (
        ["--label", "latest"],
        "--label: write the labels after the run, as in --label latest name=value"
      ),
      (["--label", "latest", "=x"], "--label: =x: expected name=value"),
      (["--label", "latest", "a=b", "--runs", "died"], "--label and --runs cannot be combined"),
    ] {
      let result = try folder.tasklog(["runs"] + arguments + log, code: 64)
      #expect(result.errors == "tasklog: \(message)\n")
    }
    let several = try folder.tasklog(["runs", "--label", "all", "a=b", "--log", "logs"], code: 64)
    #expect(several.errors == "tasklog: --label all: selects several runs; choose one\n")
  }

  private func sqlite(_ sql: String, _ path: String) throws -> String {
    let script = """
      import sqlite3, sys
      connection = sqlite3.connect(sys.argv[1])
      for row in connection.execute(sys.argv[2]): print(*row)
      connection.commit()
      """
    let result = try Command.run(
      program: URL(fileURLWithPath: "/usr/bin/env"), ["python3", "-c", script, path, sql])
    try #require(result.code == 0, "\(result.errors)")
    return result.output.trimmingCharacters(in: .newlines)
  }

  private func age(_ path: String) throws {
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: -60)], ofItemAtPath: path)
  }
}
