import EventLog
import Foundation
import LogFormat
import LogMaintenance
import TaskLogPlugin
import TestSupport
import TestTraits
import Testing

/// Folders of logs: commands that write to all of them, and what is kept of runs in several files.
@Suite(.exclusive(.commands)) struct WholeFolderTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func run(_ arguments: [String]) throws -> Command.Result {
    try Command.run(
      arguments, environment: ["XDG_CACHE_HOME": folder("cache")], folder: folder.url)
  }

  private func csv(_ arguments: [String]) throws -> [String] {
    let result = try run(arguments + ["--format", "csv"])
    #expect(result.code == 0, "\(result.errors)")
    return result.lines
  }

  /// A log with one run; `started` is in seconds.
  private func record(
    _ name: String, _ id: String = RunID.make(), keys: [String], isPartial: Bool = false,
    started: Int64 = 1
  ) throws {
    let writer = try LogWriter(path: folder(name))
    defer { writer.close() }
    let metadata = isPartial ? PartialRun.marked(.object([:])) : .object([:])
    try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: id, engine: "tasklog", engineVersion: "1", recorderVersion: "1", mode: "full",
          started: started * 1_000_000_000, metadata: metadata))
      let source = try writer.add(
        Source(kind: .scheduler, id: "s", address: "tcp://s"), run: run)
      for key in keys {
        let number = Int64(key.split(separator: "-")[1]) ?? 0
        try writer.append(
          Event(
            .transition, time: started * 1_000_000_000 + number, key: Key(key), start: .released,
            finish: .waiting, stimulusID: "s-\(number)"),
          source: source, sourceSeq: number)
      }
      try writer.end(run: run, .closed, at: started * 1_000_000_000 + 1_000)
    }
  }

  /// What was written more than a second ago is not written again unseen.
  private func age(_ names: [String]) throws {
    for name in names {
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: -60)], ofItemAtPath: folder(name))
    }
  }

  private func kept() throws -> [String] {
    let files = try? FileManager.default.contentsOfDirectory(atPath: folder("cache/tasklog/joined"))
    return (files ?? []).filter { $0.hasSuffix(".db") }.sorted()
  }

  // MARK: - Kept logs

  private static let id = "01942f00-0000-7000-8000-000000000001"

  private func recordParts() throws {
    try record("a.db", Self.id, keys: ["secret-1", "k-2", "k-4"], isPartial: true)
    try record("b.db", Self.id, keys: ["k-2", "k-3", "k-5"], isPartial: true)
    try age(["a.db", "b.db"])
  }

  private func keys(_ logs: [String] = ["a.db", "b.db"]) throws -> [String] {
    Array(
      try csv(["query", "--columns", "key"] + logs.flatMap { ["--log", $0] }).dropFirst())
  }

  @Test func `parts of a run are put together once, until one of them changes`() throws {
    try recordParts()
    let expected = ["secret-1", "k-2", "k-3", "k-4", "k-5"]
    #expect(try keys() == expected)
    let first = try kept()
    #expect(first.count == 1)
    func made() throws -> [Int?] {
      let attributes = try FileManager.default.attributesOfItem(
        atPath: folder("cache/tasklog/joined/\(first[0])"))
      let date = attributes[.modificationDate] as? Date
      return [
        attributes[.systemFileNumber] as? Int, date.map { Int($0.timeIntervalSince1970 * 1e6) },
      ]
    }
    // It is that log which is read, by other commands, too.
    let before = try made()
    #expect(try keys() == expected)
    let both = ["--log", "a.db", "--log", "b.db"]
    #expect(try csv(["summary", "--table", "prefixes"] + both).count == 3)
    #expect(try made() == before && before.allSatisfy { $0 != nil })
    // In another order they are something else; what is kept then is of both.
    _ = try keys(["b.db", "a.db"])
    #expect(try kept().count == 2)
    // A file that has changed is read again, and what was made of it is gone.
    try record("b.db", keys: ["later-1"], started: 2)
    try age(["b.db"])
    #expect(try keys(["a.db", "b.db"]) == ["later-1"])
    #expect(try csv(["query", "--count", "--run", "all"] + both)[1] == "6")
    let now = try kept()
    #expect(now.count == 1 && Set(now).isDisjoint(with: first))
  }

  @Test func `what is kept and cannot be read, or is only begun, is made again`() throws {
    try recordParts()
    let expected = try keys()
    let name = try #require(kept().first)
    let base = folder("cache/tasklog/joined/\(name.dropLast(3))")
    let attributes = try FileManager.default.attributesOfItem(atPath: base + ".db")
    #expect(attributes[.posixPermissions] as? Int == 0o600)
    var middle = try Data(contentsOf: URL(fileURLWithPath: base + ".db"))
    middle[middle.count / 2] ^= 1
    for damage in [Data("no database".utf8), Data(), middle] {
      try damage.write(to: URL(fileURLWithPath: base + ".db"))
      #expect(try keys() == expected)
      #expect(try Data(contentsOf: URL(fileURLWithPath: base + ".db")).count > 100_000)
    }
    try FileManager.default.removeItem(atPath: base + ".db")
    try Data("half".utf8).write(to: URL(fileURLWithPath: base + ".part"))
    #expect(try keys() == expected)
    #expect(try kept() == [name])
    #expect(!FileManager.default.fileExists(atPath: base + ".part"))
  }

  @Test func `nothing is kept of a log that has just changed, or without a cache`() throws {
    try recordParts()
    for file in ["a.db", "b.db"] {
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: 3600)], ofItemAtPath: folder(file))
    }
    #expect(try keys().count == 5)
    #expect(try kept() == [])
    try age(["a.db", "b.db"])
    let result = try Command.run(
      ["query", "--count", "--log", "a.db", "--log", "b.db", "--format", "csv"],
      environment: ["XDG_CACHE_HOME": "/dev/null"], folder: folder.url)
    #expect(result.lines == ["count", "5"] && result.code == 0, "\(result.errors)")
  }

  @Test func `what is pruned from a log does not stay in a kept one`() throws {
    try recordParts()
    _ = try keys()
    #expect(try kept().count == 1)
    _ = try csv(["prune", "--log", "a.db", "--older-than", "1d"])
    #expect(try kept() == [])
    #expect(try keys() == ["k-2", "k-3", "k-5"])
  }

  // MARK: - Segments

  @Test func `the segments of a run in a folder are in the order of recording`() async throws {
    let run = try await RotatedRun.copy()
    func shown(_ log: String) throws -> [[Substring]] {
      let result = try Command.run(
        ["runs", "--log", log, "--format", "csv"], environment: ["XDG_CACHE_HOME": folder("cache")],
        folder: run.folder.url)
      #expect(result.code == 0 && result.errors == "", "\(result.errors)")
      return result.lines.map { $0.split(separator: ",", omittingEmptySubsequences: false) }
    }
    let names = ["id", "seconds", "end", "events", "tasks", "missing", "incomplete"]
    func values(_ rows: [[Substring]]) throws -> [[Substring]] {
      let places = try names.map { name in try #require(rows[0].firstIndex { $0 == name }) }
      return rows.dropFirst().map { row in places.map { row[$0] } }
    }
    let expected = try values(shown("logs/{run}.db"))
    #expect(expected.count == 2)
    #expect(try values(shown("logs")) == expected)
    // A copy of a segment does not count again.
    try FileManager.default.copyItem(
      atPath: run.folder("logs"), toPath: run.folder("copy"))
    try FileManager.default.moveItem(
      atPath: run.folder("copy"), toPath: run.folder("logs/backup"))
    #expect(try values(shown("logs")) == expected)
  }

  // MARK: - Commands that write

  private func recordFolder() throws {
    try folder.makeFolder("logs")
    for number in 1...3 {
      try record("logs/\(number).db", keys: ["k-\(number)"], started: Int64(number))
    }
  }

  @Test func `prune applies its rules to all logs of a folder together`() throws {
    try recordFolder()
    let own = RunID.make()
    try record("logs/run-\(own).db", own, keys: ["k-1"], started: 0)
    let dry = try csv(["prune", "--log", "logs", "--keep-runs", "1", "--dry-run"])
    #expect(dry.count == 4)
    #expect(try csv(["prune", "--log", "logs", "--keep-runs", "1"]) == dry)
    // A file of one run, which is named after it, is gone.
    #expect(!FileManager.default.fileExists(atPath: folder("logs/run-\(own).db")))
    #expect(try csv(["query", "--columns", "key", "--log", "logs/3.db"])[1] == "k-3")
    let runs = try csv(["query", "SELECT count(*) FROM events", "--log", "logs/1.db"])
    #expect(runs[1] == "0")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder("logs"))
    #expect(names.filter { $0.hasSuffix(".db") }.sorted() == ["1.db", "2.db", "3.db"])
  }

  @Test func `each file is pruned once, and no link is followed`() throws {
    try recordFolder()
    try record("kept.db", keys: ["k-1"], started: 0)
    let manager = FileManager.default
    try manager.createSymbolicLink(
      atPath: folder("logs/0.db"), withDestinationPath: folder("kept.db"))
    try manager.createSymbolicLink(
      atPath: folder("logs/latest.db"), withDestinationPath: folder("logs/3.db"))
    let spelled = ["--log", "logs", "--log", "./logs", "--keep-runs", "2"]
    let dry = try csv(["prune", "--dry-run"] + spelled)
    #expect(dry.count == 2)
    #expect(try csv(["prune"] + spelled) == dry)
    #expect(try csv(["query", "--count", "--log", "kept.db"])[1] == "1")
    // A reader follows them, and counts each run once.
    #expect(try csv(["runs", "--log", "logs"]).count == 5)
  }

  @Test func `a folder of files of single runs can become empty`() throws {
    try folder.makeFolder("logs")
    let own = RunID.make()
    try record("logs/\(own).db", own, keys: ["k-1"])
    let result = try run(["prune", "--log", "logs", "--keep-runs", "0"])
    #expect(result.code == 0, "\(result.errors)")
    #expect(try run(["runs", "--log", "logs"]).errors == "tasklog: logs: there is no log in it\n")
  }

  @Test(arguments: [["index"], ["migrate"], ["recover"], ["prune", "--keep-runs", "1"]])
  func `one log that cannot be read does not stop the others, and is reported`(
    command: [String]
  ) throws {
    try recordFolder()
    try FileManager.default.copyItem(atPath: folder("logs/2.db"), toPath: folder("logs/0.db"))
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: folder("logs/0.db")))
    // The version of a format that is not known yet.
    try handle.seek(toOffset: 60)
    try handle.write(contentsOf: Data([0, 0, 0x7F, 0xFF]))
    try handle.close()
    let result = try run(command + ["--log", "logs"])
    #expect(result.code == 1)
    #expect(result.errors.contains("logs/0.db: "), "\(result.errors)")
    #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
    if command[0] == "prune" {
      #expect(try csv(["query", "SELECT count(*) FROM events", "--log", "logs/1.db"])[1] == "0")
    }
    #expect(try run(command + ["--log", "logs/[123].db"]).code == 0)
    #expect(try run(command + ["--log", "logs/1.db", "--log", "logs/2.db"]).code == 0)
    #expect(try run(command + ["--log", "none"]).code == 1)
  }

  @Test func `merge takes a folder, recover saves a single log`() throws {
    try recordFolder()
    #expect(try run(["merge", "logs", "--into", "all.db"]).code == 0)
    #expect(try csv(["query", "--count", "--run", "all", "--log", "all.db"])[1] == "3")
    let several = try run(["recover", "--log", "logs", "--into", "saved.db"])
    #expect(several.code == 64)
    #expect(
      several.errors
        == "tasklog: --into saved.db: saves one log, not 3; name it with --log\n")
    #expect(try run(["recover", "--log", "logs/1.db", "--into", "saved.db"]).code == 0)
  }
}
