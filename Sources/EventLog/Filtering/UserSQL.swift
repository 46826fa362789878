import CSQLite
import Glibc
import LogFormat
import Synchronization
import TaskLogPlugin

/// Runs a user's SQL on a log, read-only.
public final class UserSQL {
  private let connection: Connection
  private let path: String
  package let limit: StatementLimit

  /// - Parameter timeoutSeconds: how long a statement may take; `nil` for no limit.
  /// - Throws: `LogError`.
  public convenience init(path: String, timeoutSeconds: Double? = nil) throws {
    try self.init(path: path, timeoutSeconds: timeoutSeconds) { _ in }
  }

  /// - Parameters:
  ///   - timeoutSeconds: how long a statement may take; `nil` for no limit.
  ///   - prepare: called with the connection before it allows only reading.
  /// - Throws: `LogError`, and what `prepare` throws.
  package convenience init(
    path: String, timeoutSeconds: Double? = nil, prepare: (Connection) throws -> Void
  ) throws {
    let connection = try Self.openForReading(path)
    try prepare(connection)
    self.init(connection, path: path, timeoutSeconds: timeoutSeconds)
  }

  /// - Parameters:
  ///   - connection: a connection that only this object uses.
  ///   - path: what it is connected to, for errors.
  package convenience init(_ connection: Connection, path: String, timeoutSeconds: Double? = nil) {
    self.init(connection, path: path, limit: StatementLimit(seconds: timeoutSeconds))
  }

  package init(_ connection: Connection, path: String, limit: StatementLimit) {
    self.path = path
    self.connection = connection
    connection.addRegularExpressions { limit.isReached }
    connection.addSearch()
    // SQLite creates these tables on first use, which the authorizer must not forbid.
    for table in ["json_each('[]')", "json_tree('[]')", "pragma_table_info('')"] {
      _ = try? connection.integer("SELECT 1 FROM \(table)")
    }
    connection.allowOnlyReading()
    self.limit = limit
    limit.watch(connection)
  }

  deinit { limit.stopWatching(connection) }

  /// Stops a running statement, and all later ones. May be called from any thread.
  package func interrupt() { limit.interrupt() }

  /// Runs one statement.
  ///
  /// - Parameters:
  ///   - parameters: values for `:name`, `@name` or `$name` by name.
  ///   - start: called once with the names of the columns.
  ///   - give: called with each row.
  /// - Throws: `UserSQLError`, `LogError`, or what the closures throw.
  public func run(
    _ sql: String, parameters: [(name: String, value: SQLiteValue)] = [],
    start: ([String]) throws -> Void, give: ([SQLiteValue]) throws -> Void
  ) throws {
    let statement = try prepare(sql, parameters: parameters)
    let columns = 0..<statement.columnCount
    try start(columns.map { statement.columnName($0) })
    // From the environment: once for all rows.
    let mostBytes = SQLMemory.valueBytes
    do {
      while try limit.during({ () throws(SQLiteError) in try statement.step() }) {
        guard statement.rowBytes <= mostBytes else { throw UserSQLError.tooLong }
        try give(columns.map { statement.value($0) })
      }
    } catch let error as SQLiteError {
      throw explained(error)
    }
  }

  /// Prepares one statement with its parameters. It must not outlive this object.
  ///
  /// - Throws: `UserSQLError`, `LogError`.
  package func prepare(
    _ sql: String, parameters: [(name: String, value: SQLiteValue)] = []
  ) throws -> Statement {
    if let problem = SQLMemory.problem { throw UserSQLError.wrong(problem) }
    do {
      let statement = try connection.prepareOnce(sql)
      guard statement.isReadOnly, statement.columnCount > 0 else { throw UserSQLError.writes }
      try bind(parameters, to: statement)
      return statement
    } catch let error as SQLiteError {
      throw explained(error)
    }
  }

  /// The meaning of the last error of the connection, with this result code.
  package func explained(code: Int32) -> any Error { explained(connection.error(code)) }

  private func explained(_ error: SQLiteError) -> any Error {
    // What is denied inside a statement (CREATE, a function) is reported as a plain error.
    if error.isRefused || error.message.hasPrefix("not authorized") { return UserSQLError.writes }
    // A virtual table, a view.
    if error.message.hasSuffix("may not be modified") || error.message.hasPrefix("cannot modify ") {
      return UserSQLError.writes
    }
    switch error.primaryCode {
    case SQLITE_INTERRUPT:
      guard !limit.isInterrupted, let seconds = limit.seconds else {
        return UserSQLError.interrupted
      }
      return UserSQLError.tookTooLong(seconds: seconds)
    case SQLITE_TOOBIG where error.message.hasPrefix("string or blob"):
      return UserSQLError.tooLong
    case SQLITE_NOMEM: return UserSQLError.outOfMemory
    case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_IOERR, SQLITE_CANTOPEN:
      return LogError(error, path: path)
    default: return UserSQLError.wrong(error.message)
    }
  }

  private func bind(
    _ parameters: [(name: String, value: SQLiteValue)], to statement: Statement
  ) throws {
    let names = statement.parameterNames
    for (index, name) in names.enumerated() {
      guard let name, !name.hasPrefix("?") else { throw UserSQLError.unnamedParameter }
      guard let given = parameters.last(where: { $0.name == name.dropFirst() }) else {
        throw UserSQLError.missingParameter(name)
      }
      try statement.bind(Int32(index + 1), given.value)
    }
    for (name, _) in parameters where !names.contains(where: { $0?.dropFirst() == name[...] }) {
      throw UserSQLError.unusedParameter(name)
    }
  }
}

extension UserSQL {
  /// A log whose views the SQL of another connection reads.
  package final class Source {
    private let connection: Connection
    private let path: String
    private let limit: StatementLimit

    /// - Parameter limit: that of the statement which reads from it.
    /// - Throws: `LogError`.
    package init(path: String, limit: StatementLimit) throws {
      self.path = path
      self.limit = limit
      connection = try UserSQL.openForReading(path)
      connection.allowOnlyReading()
      limit.watch(connection)
    }

    deinit { limit.stopWatching(connection) }

    package var handle: OpaquePointer { connection.handle }

    /// The meaning of the last error of the connection, with this result code.
    package func explained(code: Int32) -> any Error {
      LogFile.error(connection.error(code), path, connection)
    }
  }

  fileprivate static func openForReading(_ path: String) throws -> Connection {
    let connection = try LogFile.openForReading(path)
    connection.addArgs(LogBlobs(path: path))
    do {
      try DerivedTables.makeTemporary(connection)
      try ReaderViews.add(to: connection)
    } catch let error as SQLiteError {
      throw LogError(error, path: path)
    }
    return connection
  }
}

/// Errors in a user's SQL.
public enum UserSQLError: Error, Sendable, CustomStringConvertible {
  case wrong(String)
  case writes
  case unnamedParameter
  case missingParameter(String)
  case unusedParameter(String)
  case tookTooLong(seconds: Double)
  case interrupted
  /// A value or a row of the result is longer than is allowed.
  case tooLong
  case outOfMemory

  public var description: String {
    switch self {
    case .wrong(let message): "SQL: \(message)"
    case .writes:
      "SQL: only reading is allowed: one SELECT, no ATTACH, no extensions, no PRAGMA that changes "
        + "anything"
    case .unnamedParameter: "SQL: a parameter needs a name, as :key; give it with -p key=value"
    case .missingParameter(let name):
      "SQL: \(name) has no value; give it with -p \(name.dropFirst())=value"
    case .unusedParameter(let name): "SQL: -p \(name): there is no :\(name) in it"
    case .interrupted: "SQL: stopped before its end"
    case .tooLong:
      "SQL: a value or a row is longer than \(Quantity.text(bytes: SQLMemory.valueBytes)), "
        + "1/\(SQLMemory.shareOfValue) of the memory allowed; TASKLOG_SQL_MEMORY=\(Self.more) allows more"
    case .outOfMemory:
      "SQL: takes more than \(Quantity.text(bytes: SQLMemory.bytes)) of memory; "
        + "TASKLOG_SQL_MEMORY=\(Self.more) allows more"
    case .tookTooLong(let seconds):
      "SQL: stopped after \(seconds.description.hasSuffix(".0") ? String(Int(saturating: seconds)) : String(seconds)) "
        + "seconds; --timeout gives it longer, 0 any time"
    }
  }

  /// Four times the memory that is allowed now.
  private static var more: String { "\(max(1, SQLMemory.bytes / 1_000_000_000 * 4))GB" }
}

/// Interrupts statements that take too long, or that their caller has given up:
/// https://sqlite.org/c3ref/progress_handler.html
///
/// Not by `sqlite3_interrupt`, which does nothing before a statement has begun.
///
/// Invariant of the unsafe code: the owner of a watched connection keeps this object until it stops
/// watching, and does not use the connection after that.
package final class StatementLimit: Sendable {
  /// How long statements may take; `nil` for no limit.
  package let seconds: Double?
  private let end: ContinuousClock.Instant?
  private let interrupted = Atomic(false)
  /// Odd while a statement runs; see `waitUntilStuck`.
  private let steps = Atomic(0)

  package init(seconds: Double?) {
    self.seconds = seconds
    end = seconds.map { .now + .seconds($0) }
  }

  var isInterrupted: Bool { interrupted.load(ordering: .relaxed) }

  func interrupt() { interrupted.store(true, ordering: .relaxed) }

  /// Whether statements have to stop.
  package var isReached: Bool { isInterrupted || end.map { ContinuousClock.now >= $0 } ?? false }

  func watch(_ connection: Connection) {
    sqlite3_progress_handler(
      connection.handle, 10_000,
      { limit in
        guard let limit else { return 0 }
        return Unmanaged<StatementLimit>.fromOpaque(limit).takeUnretainedValue().isReached ? 1 : 0
      }, Unmanaged.passUnretained(self).toOpaque())
  }

  /// Runs a step of a statement.
  fileprivate func during(_ step: () throws(SQLiteError) -> Bool) throws(SQLiteError) -> Bool {
    steps.add(1, ordering: .relaxed)
    defer { steps.add(1, ordering: .relaxed) }
    return try step()
  }

  /// Waits until the time is over and a statement still does not stop: it is in one function, which SQLite
  /// cannot interrupt. Does not return otherwise.
  package func waitUntilStuck() {
    guard let end else { return }
    var last = 0
    while true {
      usleep(Self.graceMicroseconds)
      guard ContinuousClock.now >= end else { continue }
      let now = steps.load(ordering: .relaxed)
      if now == last, now % 2 == 1 { return }
      last = now
    }
  }

  /// How long a statement may take to notice that its time is over.
  private static let graceMicroseconds: UInt32 = 500_000

  func stopWatching(_ connection: Connection) {
    sqlite3_progress_handler(connection.handle, 0, nil, nil)
  }
}
