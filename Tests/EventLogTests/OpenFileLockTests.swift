import Foundation
import TestSupport
import Testing

@testable import LogFormat

/// Our copy of SQLite together with another copy in the same process.
@Suite struct OpenFileLockTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder("log.db")
    let log = try LogUnderTest(path)
    try log.close()
  }

  private func opened(_ mode: Connection.Mode = .readWrite) throws -> Connection {
    let connection = try Connection(path: path, mode: mode, busyTimeoutMilliseconds: 0)
    _ = try connection.integer("SELECT count(*) FROM run")
    return connection
  }

  /// Descriptors of this process that lead to the log, its write-ahead log or its index.
  private func descriptors() throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count { number in
      let target = try? FileManager.default.destinationOfSymbolicLink(
        atPath: "/proc/self/fd/\(number)")
      return target?.hasPrefix(path) ?? false
    }
  }

  @Test func `our transaction excludes another copy in the process`() throws {
    let (ours, other) = (try opened(), try OtherSQLite(path: path))
    try ours.execute("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE")
    #expect(other.execute("BEGIN IMMEDIATE") == OtherSQLite.busy)
    try ours.execute("COMMIT")
    #expect(other.execute("BEGIN IMMEDIATE") == 0)
    #expect(throws: SQLiteError.self) { try ours.execute("BEGIN IMMEDIATE") }
    #expect(other.execute("COMMIT") == 0)
    try ours.execute("BEGIN IMMEDIATE; COMMIT")
  }

  @Test(arguments: ["WAL", "DELETE"])
  func `our locks stay when another copy closes the file`(journal: String) throws {
    let ours = try opened()
    try ours.execute("PRAGMA journal_mode = \(journal); BEGIN IMMEDIATE")
    for _ in 0..<3 {
      let other = try OtherSQLite(path: path)
      #expect(other.execute("SELECT count(*) FROM run") == 0)
    }
    #expect(try sqlInOtherProcess("BEGIN IMMEDIATE", on: path) == "locked")
    try ours.execute("COMMIT")
    #expect(try sqlInOtherProcess("BEGIN IMMEDIATE", on: path) == "")
  }

  @Test(arguments: [false, true])
  func `another copy's locks stay when we close the file`(readsOnly: Bool) throws {
    var writer: Connection? = try opened()
    try writer?.execute("PRAGMA journal_mode = WAL; CREATE TABLE kept (a)")
    let other = try OtherSQLite(path: path)
    #expect(other.execute("BEGIN; SELECT count(*) FROM kept") == 0)
    for _ in 0..<3 { _ = try opened(readsOnly ? .readOnly : .readWrite) }
    writer = nil
    // A reader uses what a restart of the write-ahead log would overwrite …
    let truncate = "INSERT INTO kept VALUES (1); PRAGMA wal_checkpoint(TRUNCATE)"
    #expect(try sqlInOtherProcess(truncate, on: path).hasPrefix("(1, "))
    // … and has the file open.
    #expect(try sqlInOtherProcess("PRAGMA journal_mode = DELETE", on: path) == "locked")
    #expect(other.execute("COMMIT") == 0)
    #expect(try sqlInOtherProcess(truncate, on: path).hasPrefix("(0, "))
  }

  @Test func `a descriptor that cannot be closed yet is reused, and closed in the end`() throws {
    try opened().execute("PRAGMA journal_mode = WAL")
    var other: OtherSQLite? = try OtherSQLite(path: path)
    #expect(other?.execute("BEGIN; SELECT count(*) FROM run") == 0)
    let theirs = try descriptors()
    for _ in 0..<20 {
      let (one, two) = (try opened(), try opened(.readOnly))
      #expect(try one.integer("SELECT count(*) FROM run") == 1)
      #expect(try two.integer("SELECT count(*) FROM run") == 1)
    }
    #expect(try descriptors() <= theirs + 4)
    other = nil
    #expect(try opened().integer("SELECT count(*) FROM run") == 1)
    #expect(try descriptors() == 0)
  }

  @Test func `a file that another process has locked is closed immediately`() throws {
    let script = """
      import os, sqlite3, sys, time
      connection = sqlite3.connect(sys.argv[1], isolation_level=None)
      connection.execute("PRAGMA journal_mode = WAL")
      connection.execute("BEGIN")
      print(connection.execute("SELECT count(*) FROM run").fetchone(), flush=True)
      while not os.path.exists(sys.argv[2]):
          time.sleep(0.01)
      """
    let reader = try PythonScript(script, [path, folder("end")])
    defer { _ = FileManager.default.createFile(atPath: folder("end"), contents: nil) }
    #expect(reader.line() == "(1,)")
    for mode in [Connection.Mode.readWrite, .readOnly] {
      #expect(try opened(mode).integer("SELECT count(*) FROM run") == 1)
    }
    #expect(try descriptors() == 0)
  }

  @Test func `our connections share a file as usual`() throws {
    let (one, two) = (try opened(), try opened())
    try one.execute("PRAGMA journal_mode = WAL; CREATE TABLE kept (a); BEGIN IMMEDIATE")
    #expect(throws: SQLiteError.self) { try two.execute("BEGIN IMMEDIATE") }
    try one.execute("INSERT INTO kept VALUES (1); COMMIT")
    // The lock of one connection is released by another one.
    let three = try opened(.readOnly)
    try three.execute("BEGIN")
    #expect(try three.integer("SELECT count(*) FROM kept") == 1)
    try two.execute("INSERT INTO kept VALUES (2)")
    #expect(try three.integer("SELECT count(*) FROM kept") == 1)
    #expect(try sqlInOtherProcess("PRAGMA journal_mode = DELETE", on: path) == "locked")
    try three.execute("COMMIT")
    #expect(try three.integer("SELECT count(*) FROM kept") == 2)
  }

  @Test func `a connection that only reads leaves its locks to one that writes`() throws {
    try opened().execute("PRAGMA journal_mode = DELETE; CREATE TABLE kept (a)")
    var reader: Connection? = try opened(.readOnly)
    try reader?.execute("BEGIN")
    #expect(try reader?.integer("SELECT count(*) FROM kept") == 0)
    let writer = try opened()
    try writer.execute("BEGIN IMMEDIATE; INSERT INTO kept VALUES (1)")
    #expect(try sqlInOtherProcess("BEGIN IMMEDIATE", on: path) == "locked")
    // While a reader is active, it cannot commit; nor can others.
    #expect(throws: SQLiteError.self) { try writer.execute("COMMIT") }
    reader = nil
    try writer.execute("COMMIT")
    #expect(try sqlInOtherProcess("BEGIN EXCLUSIVE; SELECT count(*) FROM kept", on: path) == "(1,)")
  }

  @Test(arguments: ["WAL", "DELETE"])
  func `all copies and processes write at the same time`(journal: String) throws {
    let setUp = try opened()
    try setUp.execute("PRAGMA journal_mode = \(journal); CREATE TABLE kept (who)")
    let count = 100
    let path = path
    let failures = Problems()
    let threads = (0..<4).map { number in
      Thread {
        do {
          for _ in 0..<count / 10 {
            // Opened and closed all the time: that is when locks get lost.
            if number < 2 {
              let connection = try Connection(
                path: path, mode: .readWrite, busyTimeoutMilliseconds: 600_000)
              for _ in 0..<10 { try connection.execute("INSERT INTO kept VALUES (\(number))") }
            } else {
              let connection = try OtherSQLite(path: path)
              connection.execute("PRAGMA busy_timeout = 600000")
              for _ in 0..<10 {
                let code = connection.execute("INSERT INTO kept VALUES (\(number))")
                if code != 0 { failures.add("the other copy says \(code)") }
              }
            }
          }
        } catch {
          failures.add("\(error)")
        }
        failures.finish()
      }
    }
    for thread in threads { thread.start() }
    let insert = "PRAGMA busy_timeout = 600000; INSERT INTO kept VALUES (4)"
    for _ in 0..<10 { #expect(try sqlInOtherProcess(insert, on: path) == "") }
    failures.wait(for: threads.count)
    #expect(failures.all == [])
    #expect(try setUp.integer("SELECT count(*) FROM kept WHERE who < 4") == Int64(4 * count))
    #expect(try setUp.integer("SELECT count(*) FROM kept WHERE who = 4") == 10)
    let integrity = try setUp.prepare("PRAGMA integrity_check")
    #expect(try integrity.step())
    #expect(integrity.text(0) == "ok")
  }
}

/// The errors of several threads, and the number of threads that have ended.
private final class Problems: @unchecked Sendable {
  private let condition = NSCondition()
  private var problems: [String] = []
  private var finished = 0

  var all: [String] { condition.withLock { problems } }

  func add(_ problem: String) { condition.withLock { problems.append(problem) } }

  func finish() {
    condition.withLock {
      finished += 1
      condition.signal()
    }
  }

  func wait(for count: Int) {
    condition.withLock { while finished < count { condition.wait() } }
  }
}
