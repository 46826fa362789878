import Foundation
import Migrations
import Testing

@testable import EventLog
@testable import LogFormat
@testable import TaskLogPlugin

@Suite struct FileTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder("log.db")
  }

  /// The name of the case that opening throws, for reading and for writing.
  private func problems(_ path: String) -> [String] {
    func name(_ body: () throws -> Void) -> String {
      do {
        try body()
        return "none"
      } catch let error as LogError {
        return String(describing: Mirror(reflecting: error).children.first?.label ?? "")
      } catch {
        return "\(error)"
      }
    }
    return [name { _ = try LogReader(path: path) }, name { _ = try LogWriter(path: path) }]
  }

  private func newerLog() throws {
    try LogUnderTest(path).close()
    try sql("PRAGMA user_version = 99", on: path)
  }

  @Test func `a file that is not a log has an error for its kind, and is not changed`() throws {
    #expect(problems(folder("none/log.db")) == ["missing", "folderMissing"])
    #expect(problems(folder.path) == ["isFolder", "isFolder"])
    #expect(problems("/dev/null") == ["notADatabase", "notADatabase"])
    #expect(mkfifo(folder("pipe"), 0o600) == 0)
    #expect(problems(folder("pipe")) == ["notADatabase", "notADatabase"])

    let text = folder("text")
    try Files.write(Array(repeating: UInt8(ascii: "x"), count: 5_000), to: text)
    #expect(problems(text) == ["notADatabase", "notADatabase"])

    for (name, statement) in [
      ("tables", "CREATE TABLE t (a)"), ("application", "PRAGMA application_id = 5"),
      ("version", "PRAGMA user_version = 5"),
    ] {
      let other = folder(name)
      try Files.write([], to: other)
      try sql(statement, on: other)
      let before = try Files.read(other)
      #expect(problems(other) == ["notATasklog", "notATasklog"], "\(name)")
      #expect(try Files.read(other) == before)
    }
    try newerLog()
    let before = try Files.read(path)
    #expect(problems(path) == ["none", "tooNew"])
    #expect(try Files.read(path) == before)
  }

  @Test func `an empty file is empty to a reader and new to a writer`() throws {
    try Files.write([], to: path)
    #expect(problems(path) == ["empty", "none"])
    #expect(problems(path) == ["none", "none"])
    #expect(problems(folder("new.db")) == ["missing", "none"])
  }

  @Test func `a copy without its write-ahead log is an error that says so`() throws {
    let log = try LogUnderTest(path)
    try log.append([.transition("a", .released, .waiting)])
    let copy = folder("copy.db")
    try FileManager.default.copyItem(atPath: path, toPath: copy)
    // A reader may leave an empty one next to it.
    for _ in 0..<2 {
      let error = #expect(throws: LogError.self) { _ = try LogReader(path: copy) }
      #expect(
        error?.description
          == "\(copy): is empty; if it is a copy, copy.db-wal is missing, which has what was recorded "
          + "last: copy that to the same folder, too")
    }
    for end in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: copy + end) }
    try FileManager.default.copyItem(atPath: path + "-wal", toPath: copy + "-wal")
    #expect(try LogReader(path: copy).runs().count == 1)
  }

  @Test func `a newer log is read if it has the tables that a reader needs`() throws {
    let log = try LogUnderTest(path)
    try log.append([Event(.other("fromTheFuture"), time: 5)])
    try log.close()
    try sql("ALTER TABLE event ADD COLUMN future TEXT", on: path)
    try sql("PRAGMA user_version = 99", on: path)
    #expect(try LogReader(path: path).all().map(\.event.hook) == [.other("fromTheFuture")])
    try sql("ALTER TABLE run RENAME COLUMN engine TO motor", on: path)
    let error = #expect(throws: LogError.self) { try LogReader(path: path).runs() }
    guard case .tooNew(_, 99, LogFile.newestVersion)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func `a log is private to its owner`() throws {
    let log = try LogUnderTest(path)
    try log.append([Event(.start, time: 0)])
    #expect(folder.names == ["log.db", "log.db-shm", "log.db-wal"])
    for name in folder.names { #expect(try Files.mode(folder(name)) == 0o600) }
  }

  @Test func `a closed log is one file without a WAL`() throws {
    let lock = try RecorderLock(log: path, run: "a")
    let log = try LogUnderTest(path)
    try log.append([Event(.start, time: 0)])
    try log.close()
    _ = consume lock
    #expect(folder.names == ["log.db"])
    #expect(try sql("PRAGMA journal_mode", on: path) == [["delete"]])
    #expect(try sql("PRAGMA auto_vacuum", on: path) == [[2]])
    #expect(try sql("PRAGMA integrity_check", on: path) == [["ok"]])
  }

  @Test func `names with a meaning in SQLite are plain names`() throws {
    for name in [":memory:", "file:log.db?mode=memory", "a%20b", "a b#c?d", "\u{e9}"] {
      let path = folder(name)
      let log = try LogUnderTest(path)
      try log.append([Event(.start, time: 0)])
      try log.close()
      #expect(try LogReader(path: path).all().count == 1)
      let immutable = try Connection(path: "/" + path, mode: .immutable)
      #expect(try immutable.integer("SELECT count(*) FROM event") == 1)
    }
    #expect(folder.names.count == 5)
  }

  @Test(arguments: [false, true])
  func `a closed log, or one left in WAL mode, is read from read-only storage`(
    inWALMode: Bool
  ) throws {
    do {
      let log = try LogUnderTest(path)
      try log.append([Event(.start, time: 0)])
      try log.close()
      if inWALMode { try sql("PRAGMA journal_mode = WAL", on: path) }
    }
    #expect(folder.names == ["log.db"])
    try Files.setMode(0o555, folder.path)
    defer { try? Files.setMode(0o755, folder.path) }
    try Files.setMode(0o444, path)
    try Unprivileged.run {
      let reader = try LogReader(path: path)
      #expect(try reader.all().count == 1)
      #expect(try query("SELECT count(*) FROM events", path).rows == [[1]])
      let error = #expect(throws: LogError.self) { try LogUnderTest(path) }
      guard case .cannotWrite? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
    }
    #expect(folder.names == ["log.db"])
  }

  @Test func `a log of another user is reported as not readable`() throws {
    try LogUnderTest(path).close()
    try Files.setMode(0, path)
    try Files.setMode(0o755, folder.path)
    try Unprivileged.run {
      #expect(problems(path) == ["unreadable", "cannotWrite"])
    }
  }

  @Test func `an empty leftover WAL does not matter on read-only storage`()
    throws
  {
    try LogUnderTest(path).close()
    try sql("PRAGMA journal_mode = WAL", on: path)
    try Files.write([], to: path + "-wal")
    try Files.setMode(0o444, path)
    try Files.setMode(0o555, folder.path)
    defer { try? Files.setMode(0o755, folder.path) }
    try Unprivileged.run {
      let runs = try LogReader(path: path).runs()
      #expect(runs.count == 1)
    }
  }

  @Test func `the SQL in the program equals that of the folder Migrations`() throws {
    var root = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { root.deleteLastPathComponent() }
    let migrations = root.appendingPathComponent("Migrations").path
    var names = try FileManager.default.contentsOfDirectory(atPath: migrations)
      .filter { $0.hasSuffix(".sql") }.sorted()
    #expect(names.first == "reader_views.sql")
    #expect(try Files.read(migrations + "/" + names.removeFirst()) == Migrations.readerViews)
    #expect(names.count == Migrations.all.count)
    for (place, (name, migration)) in zip(names, Migrations.all).enumerated() {
      let number = String(place + 1)
      let prefix = "v" + String(repeating: "0", count: 4 - number.count) + number + "_"
      #expect(name.hasPrefix(prefix))
      #expect(migration.version == Int32(place + 1))
      #expect(try Files.read(migrations + "/" + name) == migration.sql)
    }
  }
}

/// Takes root's permissions for files away from the thread that runs a test:
/// https://man7.org/linux/man-pages/man2/setfsuid.2.html
enum Unprivileged {
  static func run(_ body: () throws -> Void) throws {
    guard geteuid() == 0 else { return try body() }
    _ = setFileSystemUser(65_534)
    defer { _ = setFileSystemUser(0) }
    try #require(setFileSystemUser(65_534) == 65_534)
    try body()
  }
}

@_silgen_name("setfsuid")
private func setFileSystemUser(_ user: UInt32) -> Int32
