import Foundation
import Migrations
import Testing

@testable import EventLog
@testable import LogFormat
@testable import TaskLogPlugin

/// Older logs are migrated along a chain that continues after the released versions with two
/// unreleased ones.
@Suite struct MigrationTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder("log.db")
    let log = try LogUnderTest(path)
    try log.append([.transition("a", .released, .waiting), .transition("a", .waiting, .processing)])
    try log.close()
  }

  private static let newest = Migrations.all.count
  private static let second = """
    ALTER TABLE event ADD COLUMN weight INTEGER;
    UPDATE event SET weight = seq * 2;
    """
  private static let third = """
    DROP VIEW gaps;
    CREATE VIEW gaps AS SELECT source.run, gap.count, event.weight
      FROM gap JOIN source ON source.id = gap.source LEFT JOIN event ON event.seq = gap.id;
    """

  private static func chain(_ more: String...) -> LogMigration.Chain {
    Migrations.all
      + more.enumerated().map { place, sql in
        (version: Int32(newest + 1 + place), sql: Array(sql.utf8))
      }
  }

  private func version() throws -> [[SQLiteValue]] { try sql("PRAGMA user_version", on: path) }

  private func expectRefusal(
    _ body: () throws -> Void, says text: String
  ) throws {
    let before = try Files.read(path)
    let error = #expect(throws: LogError.self, performing: body)
    let said = error.map { "\($0)" } ?? ""
    #expect(said.contains(text), "\(said)")
    #expect(said.hasPrefix(path))
    #expect(try Files.read(path) == before)
  }

  @Test func `a log is migrated through every missing version, and stays one file`() throws {
    let chain = Self.chain(Self.second, Self.third)
    let before = try sql("SELECT * FROM events ORDER BY seq", on: path)
    let last = Int64(Self.newest + 2)
    let wanted = LogMigration.Outcome(from: Int64(Self.newest), to: last, steps: 2)
    #expect(try LogMigration.preview(path, through: chain) == wanted)
    #expect(try version() == [[.integer(Int64(Self.newest))]])
    #expect(try LogMigration.migrate(path, through: chain) == wanted)
    #expect(try version() == [[.integer(last)]])
    #expect(try sql("SELECT weight FROM event ORDER BY seq", on: path) == [[2], [4]])
    #expect(try sql("SELECT * FROM events ORDER BY seq", on: path) == before)
    #expect(try sql("PRAGMA integrity_check", on: path) == [["ok"]])
    #expect(folder.names == ["log.db"])
    #expect(try Files.mode(path) == 0o600)
  }

  @Test func `an up-to-date log is not written to`() throws {
    let chain = Self.chain(Self.second)
    try LogMigration.migrate(path, through: chain)
    let before = try Files.read(path)
    #expect(try LogMigration.migrate(path, through: chain).isNothing)
    #expect(try Files.read(path) == before)
  }

  @Test func `the released chain has nothing to do for a log of the current version`() throws {
    let before = try Files.read(path)
    #expect(try LogMigration.migrate(path).isNothing)
    #expect(try Files.read(path) == before)
  }

  @Test func `a writer migrates the log that it opens`() throws {
    _ = try LogFile.openForWriting(path, through: Self.chain(Self.second))
    #expect(try version() == [[.integer(Int64(Self.newest + 1))]])
  }

  @Test func `a new log is created by the whole chain`() throws {
    let new = folder("new.db")
    _ = try LogFile.openForWriting(new, through: Self.chain(Self.second, Self.third))
    #expect(try sql("PRAGMA user_version", on: new) == [[.integer(Int64(Self.newest + 2))]])
  }

  @Test(arguments: [
    "ALTER TABLE event ADD COLUMN weight INTEGER; UPDATE nothing SET x = 1;",
    "DROP TABLE text;",
    "ALTER TABLE event ADD COLUMN weight INTEGER; CREATE VIEW broken AS SELECT nowhere FROM event;",
    "UPDATE event SET source = 1, source_seq = 1;",
  ])
  func `a failing version leaves the log unchanged, and the error says so`(failing: String) throws {
    let before = try sql("SELECT * FROM events ORDER BY seq", on: path)
    let error = #expect(throws: LogError.self) {
      try LogMigration.migrate(path, through: Self.chain(failing))
    }
    let said = error.map { "\($0)" } ?? ""
    #expect(said.hasPrefix("\(path): cannot be brought to format version \(Self.newest + 1): "))
    #expect(said.hasSuffix("it stays as it is, of version \(Self.newest)"))
    #expect(try version() == [[.integer(Int64(Self.newest))]])
    #expect(try sql("SELECT * FROM events ORDER BY seq", on: path) == before)
    #expect(try LogReader(path: path).all().count == 2)
  }

  @Test func `an earlier version stays applied if a later one fails`() throws {
    #expect(throws: LogError.self) {
      try LogMigration.migrate(path, through: Self.chain(Self.second, "DROP TABLE nothing;"))
    }
    #expect(try version() == [[.integer(Int64(Self.newest + 1))]])
    #expect(try LogReader(path: path).all().count == 2)
    try LogMigration.migrate(path, through: Self.chain(Self.second, Self.third))
    #expect(try version() == [[.integer(Int64(Self.newest + 2))]])
  }

  @Test func `a log with a live recorder is refused until the recorder has ended`() throws {
    let chain = Self.chain(Self.second)
    let id = RunID.make()
    let log = try LogUnderTest(path, id: id)
    let lock = try RecorderLock(log: path, run: id)
    try withExtendedLifetime(lock) {
      let error = #expect(throws: LogError.self) {
        try LogMigration.migrate(path, through: chain)
      }
      let said = error.map { "\($0)" } ?? ""
      #expect(said.contains("run #2 is still recorded into it"), "\(said)")
      // Nor does another recorder change the tables under it.
      #expect(throws: LogError.self) { try LogFile.openForWriting(path, through: chain) }
      #expect(try version() == [[.integer(Int64(Self.newest))]])
      try log.append([.transition("b", .released, .waiting)])
    }
    try log.close()
    _ = consume lock
    #expect(try LogMigration.migrate(path, through: chain).steps == 1)
  }

  @Test func `a newer log is refused`() throws {
    try sql("PRAGMA user_version = 99", on: path)
    try expectRefusal({ try LogMigration.migrate(path) }, says: "use a newer tasklog")
    try expectRefusal({ _ = try LogMigration.preview(path) }, says: "use a newer tasklog")
  }

  @Test func `a file that is not a log is refused, and nothing is created`() throws {
    for (name, content) in [("empty.db", ""), ("text.db", String(repeating: "x", count: 5000))] {
      try Files.write(Array(content.utf8), to: folder(name))
    }
    for name in ["missing.db", "empty.db", "text.db", "."] {
      let path = folder(name)
      let error = #expect(throws: LogError.self) { try LogMigration.migrate(path) }
      #expect(error.map { "\($0)".hasPrefix(path) } == true)
    }
    #expect(folder.names == ["empty.db", "log.db", "text.db"])
  }

  @Test func `a read-only log is refused, but can be read`() throws {
    try Files.setMode(0o444, path)
    try Files.setMode(0o555, folder.path)
    defer { try? Files.setMode(0o755, folder.path) }
    try Unprivileged.run {
      let error = #expect(throws: LogError.self) {
        try LogMigration.migrate(path, through: Self.chain(Self.second))
      }
      guard case .cannotWrite? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      let events = try LogReader(path: path).all()
      #expect(events.count == 2)
    }
  }

  @Test func `a concurrent reader continues with its snapshot of the log`() throws {
    let reader = try Connection(path: path, mode: .readOnly)
    try sql("PRAGMA journal_mode = WAL", on: path)
    try reader.execute("BEGIN")
    #expect(try reader.integer("SELECT count(*) FROM events") == 2)
    try LogMigration.migrate(path, through: Self.chain(Self.second))
    #expect(try reader.integer("PRAGMA user_version") == Int64(Self.newest))
    #expect(try reader.integer("SELECT count(*) FROM events") == 2)
    try reader.execute("COMMIT")
    #expect(try reader.integer("PRAGMA user_version") == Int64(Self.newest + 1))
  }
}
