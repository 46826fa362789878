import Foundation
import LogFormat
import TestSupport
import Testing

/// Statements that a connection keeps for their next user.
struct KeptStatementTests {
  private let folder = try! TemporaryFolder()

  private func connection() throws -> Connection {
    let path = folder("any.db")
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    return try Connection(path: path, mode: .readWrite)
  }

  @Test func `the next user gets the same statement, without parameters or rows`() throws {
    let connection = try connection()
    let sql = "WITH n (i) AS (VALUES (1), (2)) SELECT i, ? FROM n"
    func use(_ value: Int64?) throws -> (OpaquePointer, Int64, Int64?) {
      let statement = try connection.prepare(sql)
      if let value { try statement.bind(1, value) }
      #expect(try statement.step())
      return (statement.handle, statement.integer(0), statement.optionalInteger(1))
    }
    let first = try use(7)
    let second = try use(nil)
    #expect(first.0 == second.0)
    #expect(first.1 == 1 && first.2 == 7)
    #expect(second.1 == 1 && second.2 == nil)
  }

  @Test func `two users at one time have two statements`() throws {
    let connection = try connection()
    let (one, other) = (try connection.prepare("SELECT ?"), try connection.prepare("SELECT ?"))
    try one.bind(1, 1)
    try other.bind(1, 2)
    #expect(try one.step() && other.step())
    #expect(one.integer(0) == 1 && other.integer(0) == 2)
  }

  @Test func `what is refused once is refused again, and pragmas are never kept`() throws {
    let connection = try connection()
    for _ in 1...2 {
      #expect(throws: SQLiteError.self) { try connection.prepare("SELECT 1; SELECT 2") }
      #expect(throws: SQLiteError.self) { try connection.prepare("SELECT * FROM nothing") }
    }
    for version in Int64(1)...3 {
      try connection.execute("PRAGMA user_version = \(version)")
      #expect(try connection.integer("PRAGMA user_version") == version)
    }
  }

  @Test func `a kept statement follows a changed schema`() throws {
    let connection = try connection()
    try connection.execute("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    #expect(try connection.integer("SELECT * FROM t") == 1)
    try connection.execute("DROP TABLE t; CREATE TABLE t (b, a); INSERT INTO t VALUES (2, 1)")
    #expect(try connection.integer("SELECT * FROM t") == 2)
  }

  @Test func `kept statements of many texts do not keep a file open`() throws {
    do {
      let connection = try connection()
      try connection.execute("PRAGMA journal_mode = WAL; CREATE TABLE t (a)")
      for number in 0..<300 { _ = try connection.integer("SELECT max(a) + \(number) FROM t") }
      try connection.execute("VACUUM")
    }
    #expect(folder.names == ["any.db"])
  }
}
