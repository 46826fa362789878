import LogFormat
import Migrations

/// Migrates an older log: the chain of `Migrations`, each version in one transaction.
///
/// An interruption (a signal, a full disk, a file that is not what its version says) leaves the log
/// intact in the older format. A log with a live recorder is not migrated: the recorder has
/// prepared its statements for the old tables. A recorder that starts later finds the newer version
/// or, if it is of an older tasklog, is refused.
package enum LogMigration {
  /// Version and SQL in UTF-8, oldest first.
  package typealias Chain = [(version: Int32, sql: [UInt8])]

  /// What was done, or would be done.
  package struct Outcome: Sendable, Equatable {
    /// The version of the format that the log had.
    package var from: Int64
    /// The version that it has now; the same if there was nothing to do.
    package var to: Int64
    /// The number of versions between them.
    package var steps: Int

    package var isNothing: Bool { steps == 0 }
  }

  /// Reports what `migrate` would do. Changes nothing.
  ///
  /// - Throws: `LogError`.
  package static func preview(_ path: String) throws -> Outcome {
    try preview(path, through: Migrations.all)
  }

  package static func preview(_ path: String, through chain: Chain) throws -> Outcome {
    let connection = try LogFile.openForReading(path)
    do {
      return try pending(connection, path, chain)
    } catch let error as SQLiteError {
      throw LogFile.error(error, path, connection)
    }
  }

  /// Migrates a log to the current format. A log that is current already is not written to.
  ///
  /// - Throws: `LogError`, also if the log has a live recorder or is newer than this program.
  @discardableResult
  package static func migrate(_ path: String) throws -> Outcome {
    try migrate(path, through: Migrations.all)
  }

  @discardableResult
  package static func migrate(_ path: String, through chain: Chain) throws -> Outcome {
    LogFile.undoInterruptedChange(path)
    let outcome = try preview(path, through: chain)
    guard !outcome.isNothing else { return outcome }
    let connection = try LogFile.openForWriting(path, through: chain)
    WALPolicy.end(connection)
    return outcome
  }

  private static func pending(
    _ connection: Connection, _ path: String, _ chain: Chain
  ) throws -> Outcome {
    let found = try version(connection)
    try checkKnown(found, path, chain)
    let steps = chain.count { $0.version > found }
    return Outcome(from: found, to: Int64(chain.last?.version ?? 0), steps: steps)
  }

  private static func version(_ connection: Connection) throws(SQLiteError) -> Int64 {
    try connection.integer("PRAGMA user_version") ?? 0
  }

  static func checkKnown(_ version: Int64, _ path: String, _ chain: Chain) throws {
    let known = chain.last?.version ?? 0
    guard version <= known else {
      throw LogError.tooNew(path: path, version: version, known: known)
    }
  }

  /// Runs the missing part of the chain; turns a blank file into a log.
  static func run(_ chain: Chain, on connection: Connection, _ path: String) throws {
    let found = try version(connection)
    // Renaming a table would fail because of views that another program has made of ours, which are gone
    // for a moment: https://sqlite.org/pragma.html#pragma_legacy_alter_table
    try connection.execute("PRAGMA legacy_alter_table = ON")
    defer { try? connection.execute("PRAGMA legacy_alter_table = OFF") }
    for migration in chain where migration.version > found {
      try connection.transaction {
        // Another process may have been faster.
        let version = try version(connection)
        try checkKnown(version, path, chain)
        guard version < migration.version else { return }
        var others: Set<String> = []
        if version > 0 {
          let survey = try LogFile.checkSchema(connection, path, of: version, isWriting: true)
          others = Set(survey.others.map(\.name))
          try checkNoRecorder(connection, path, version)
        }
        do {
          try connection.execute(String(decoding: migration.sql, as: UTF8.self))
          if version > 0, migration.version == DerivedTables.version {
            try DerivedTables(connection).rebuild()
            try StoredTotals.rebuild(connection)
          }
          try connection.execute(
            """
            PRAGMA application_id = \(LogFile.applicationID);
            PRAGMA user_version = \(migration.version)
            """)
          if migration.version == chain.last?.version { try checkViews(connection, except: others) }
        } catch let error as SQLiteError where version > 0 && !error.isBusy {
          throw LogError.notMigrated(
            path: path, from: version, to: migration.version, reason: error.message)
        }
      }
    }
  }

  private static func checkNoRecorder(
    _ connection: Connection, _ path: String, _ version: Int64
  ) throws {
    let open = try connection.prepare("SELECT id, uuid FROM run WHERE end IS NULL ORDER BY id")
    while try open.step() {
      guard !RecorderLock.isHeld(log: path, run: open.text(1)) else {
        throw LogError.recordedInOlderFormat(path: path, version: version, run: open.integer(0))
      }
    }
  }

  /// SQLite reports a view whose tables have changed only when it is queried.
  ///
  /// - Parameter others: objects of other programs, which may be broken.
  private static func checkViews(
    _ connection: Connection, except others: Set<String>
  ) throws(SQLiteError) {
    let views = try connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'view'")
    while try views.step() {
      guard !others.contains(views.text(0)) else { continue }
      let name = views.text(0).replacing("\"", with: "\"\"")
      _ = try connection.prepare("SELECT * FROM \"\(name)\"")
    }
  }
}
