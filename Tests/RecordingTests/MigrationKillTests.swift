import EventLog
import Foundation
import LogFormat
import Migrations
import TaskLogKit
import TestSupport
import TestTraits
import Testing

/// A migration that is killed with SIGKILL, at many moments, leaves an intact log.
@Suite(.exclusive(.services)) struct MigrationKillTests {
  private static let kills = 8
  private static let next = Migrations.all.count + 1
  /// Writes so much that SQLite writes pages to the file long before the commit.
  private static let sql = """
    ALTER TABLE event ADD COLUMN weight TEXT;
    UPDATE event SET weight = hex(zeroblob(2000));
    """

  private static func logOfManyEvents(_ path: String) throws {
    let writer = try LogWriter(path: path)
    try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: RunID.make(), engine: "tasklog", engineVersion: "1", recorderVersion: "1",
          mode: "full", started: 1))
      let source = try writer.add(
        Source(kind: .scheduler, id: "s", address: "a", name: .null), run: run)
      for number in 1...20_000 {
        try writer.append(
          Event(
            .transition, time: Int64(number), key: Key("task", number), start: .released,
            finish: .waiting), source: source, sourceSeq: Int64(number))
      }
      try writer.end(run: run, .closed, at: 30_000)
    }
    writer.close()
  }

  private static func start(_ log: String, _ migration: String) throws -> pid_t {
    let program = Programs.path("recording-victim")
    let words = [program, "migrate", log, migration]
    var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for word in argv { free(word) } }
    var child = pid_t()
    try #require(posix_spawn(&child, words[0], nil, nil, &argv, environ) == 0)
    return child
  }

  private static func size(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }

  /// Waits until the migration has written this much or has ended; returns whether it was killed.
  private static func kill(_ child: pid_t, log: String, afterBytes bytes: Int) throws -> Bool {
    var status: Int32 = 0
    let deadline = Deadline(seconds: 120)
    while size(log + "-wal") < bytes {
      if waitpid(child, &status, WNOHANG) != 0 { return status & 0x7F == SIGKILL }
      try #require(!deadline.hasPassed, "the migration has not written \(bytes) bytes")
      usleep(200)
    }
    Glibc.kill(child, SIGKILL)
    waitpid(child, &status, 0)
    return status & 0x7F == SIGKILL
  }

  private static func facts(_ path: String) throws -> [Int64?] {
    let connection = try Connection(path: path, mode: .readOnly)
    return [
      try connection.integer("SELECT count(*) FROM events"),
      try connection.integer("SELECT sum(seq * time_ns) FROM events"),
    ]
  }

  @Test func `a killed migration leaves the older log intact, and can be repeated`()
    throws
  {
    let folder = try TemporaryLog()
    let original = folder.folder.appendingPathComponent("original.db").path
    try Self.logOfManyEvents(original)
    let facts = try Self.facts(original)
    let migration = folder.folder.appendingPathComponent("next.sql").path
    try Self.sql.write(toFile: migration, atomically: true, encoding: .utf8)

    var kills = 0
    for round in 0..<Self.kills {
      let log = folder.folder.appendingPathComponent("\(round).db").path
      try FileManager.default.copyItem(atPath: original, toPath: log)
      let child = try Self.start(log, migration)
      // From the first page that is written to more than half of all.
      if try Self.kill(child, log: log, afterBytes: 1 + round * 6_000_000) { kills += 1 }

      let connection = try Connection(path: log, mode: .readOnly)
      let version = try connection.integer("PRAGMA user_version")
      #expect(version == Int64(Self.next - 1) || version == Int64(Self.next))
      #expect(try connection.integer("SELECT count(*) FROM pragma_integrity_check") == 1)
      #expect(try Self.facts(log) == facts)

      var status: Int32 = 0
      #expect(try waitpid(Self.start(log, migration), &status, 0) > 0)
      #expect(status == 0)
      let again = try Connection(path: log, mode: .readOnly)
      #expect(try again.integer("PRAGMA user_version") == Int64(Self.next))
      #expect(try again.integer("SELECT min(length(weight)) FROM event") == 4000)
      #expect(try Self.facts(log) == facts)
    }
    #expect(kills >= Self.kills / 2, "the migrations were too quick to be killed")
  }
}
