import CReading
import CSQLite
import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// A request for rows of a log, from JSON.
struct QueryRequest {
  var sql = ""
  var parameters: [(name: String, value: SQLiteValue)] = []
  /// The runs that the views show, by ID; `nil` for all.
  var runs: Set<String>?
  /// The index of a part whose own views and tables are read, with its own numbers of runs.
  var part: Int?
  /// The names of columns that hold times, and those whose numbers are seconds.
  var times: Set<String> = []
  var secondTimes: Set<String> = []
  /// The types of columns by index, see `tl_column_type`.
  var types: [Int: UInt8] = [:]
  var batchRows: Int64 = 65_536
  var timeoutSeconds: Double?

  /// A year, in seconds.
  private static let longestTimeout = 365 * 86_400.0

  /// - Throws: `OptionsError`.
  init(_ json: String) throws(OptionsError) {
    guard let value = try? JSONReader.value(json), let sql = value["sql"]?.string else {
      throw OptionsError(description: "the request is not JSON with 'sql'")
    }
    self.sql = sql
    if case .dict(let entries) = value["parameters"] {
      for entry in entries {
        guard let name = entry.key.string, let value = Self.value(entry.value) else {
          throw OptionsError(description: "a parameter is not a number, text, bytes or null")
        }
        parameters.append((name, value))
      }
    }
    runs = value["runs"]?.elements.map { Set($0.compactMap(\.string)) }
    part = value["part"]?.int.map { Int($0) }
    times = Set(value["times"]?.elements?.compactMap(\.string) ?? [])
    secondTimes = Set(value["second_times"]?.elements?.compactMap(\.string) ?? [])
    for type in value["types"]?.elements ?? [] {
      guard let pair = type.elements, pair.count == 2, let index = pair[0].int,
        let number = pair[1].int.flatMap({ UInt8(exactly: $0) }), number <= tl_time_text.rawValue
      else { throw OptionsError(description: "expected the index and the type of a column") }
      types[Int(index)] = number
    }
    if let rows = value["batch_rows"]?.int { batchRows = min(max(rows, 1), 1 << 24) }
    if let timeout = value["timeout"], timeout != .null {
      guard let seconds = timeout.number, (0...Self.longestTimeout).contains(seconds) else {
        throw OptionsError(description: "the timeout is no number of seconds from 0 to a year")
      }
      timeoutSeconds = seconds
    }
  }

  private static func value(_ value: Value) -> SQLiteValue? {
    switch value {
    case .null: .null
    case .bool(let value): .integer(value ? 1 : 0)
    case .int(let number): .integer(number)
    case .double(let number): .real(number)
    case .string(let text): .text(text)
    case .bytes(let bytes): .blob(bytes)
    default: nil
    }
  }
}

/// A running query: a statement, what it reads from, and the stream of its rows.
final class LogQuery {
  private let sql: UserSQL
  /// What the views are read from if they are virtual tables.
  private var databases: UnionDatabases?
  private let statement: Statement

  /// - Throws: `LogError`, `UserSQLError`, `OptionsError`.
  init(_ log: OpenLog, _ request: QueryRequest) throws {
    let runs = request.runs
    if let index = request.part {
      guard log.parts.indices.contains(index) else {
        throw OptionsError(description: "there is no part \(index)")
      }
      sql = try UserSQL(path: log.parts[index].path, timeoutSeconds: request.timeoutSeconds) {
        $0.addNames()
        let code = tl_register_tasks($0.handle)
        guard code == SQLITE_OK else { throw $0.error(code) }
        // The authorizer must not forbid what it does on first use.
        _ = try $0.integer("SELECT 1 FROM tasklog_tasks(0)")
      }
    } else if log.parts.count == 1, let direct = try Self.direct(log.parts[0], runs, request) {
      sql = direct
    } else {
      let limit = StatementLimit(seconds: request.timeoutSeconds)
      let databases = UnionDatabases(log.parts, runs, limit)
      sql = try Self.union(log.parts, databases, limit)
      self.databases = databases
    }
    statement = try sql.prepare(request.sql, parameters: request.parameters)
  }

  /// The log's own views behind temporary ones with the same names, which show the selected runs, by
  /// their IDs; `nil` if this log has temporary views itself, for what its version lacks.
  private static func direct(
    _ part: OpenLog.Part, _ runs: Set<String>?, _ request: QueryRequest
  ) throws -> UserSQL? {
    struct HasTemporaryViews: Error {}
    do {
      return try UserSQL(path: part.path, timeoutSeconds: request.timeoutSeconds) { connection in
        guard
          try connection.integer("SELECT count(*) FROM temp.sqlite_schema WHERE type = 'view'")
            == Int64(ReaderViews.names.count)
        else { throw HasTemporaryViews() }
        connection.addNames()
        try connection.execute("PRAGMA temp_store = MEMORY")
        try ReaderViews.rename(on: connection)
        for view in try LogSchema.views() {
          try connection.execute(
            ViewOfRuns(view.name, view.columns).sql(of: part.selected(runs)))
        }
      }
    } catch is HasTemporaryViews {
      return nil
    }
  }

  /// The views of all parts as virtual tables.
  private static func union(
    _ parts: [OpenLog.Part], _ databases: UnionDatabases, _ limit: StatementLimit
  ) throws -> UserSQL {
    let connection = try Connection(path: "", mode: .memory)
    let code = tl_register_union(connection.handle, databases.retained())
    guard code == SQLITE_OK else { throw connection.error(code) }
    connection.addNames()
    for view in try LogSchema.views() {
      try connection.execute(
        "CREATE VIRTUAL TABLE temp.\(view.name) "
          + "USING tasklog_union(\(view.columns.joined(separator: ", ")))")
    }
    let name = parts.count == 1 ? parts[0].name : "\(parts.count) logs"
    return UserSQL(connection, path: name, limit: limit)
  }

  /// Stops the statement. May be called from any thread.
  func interrupt() { sql.interrupt() }

  /// Moves this query into a stream of its rows.
  ///
  /// - Returns: false if there is no memory.
  func stream(
    _ request: QueryRequest, into stream: UnsafeMutablePointer<ArrowArrayStream>
  ) -> Bool {
    let columns = (0..<statement.columnCount).map { statement.columnName($0) }
    let types = columns.indices.map { request.types[$0] ?? 0 }
    let times = columns.map { name in
      let unit =
        request.secondTimes.contains(name)
        ? tl_seconds : request.times.contains(name) ? tl_nanoseconds : tl_no_time
      return UInt8(unit.rawValue)
    }
    let owner = tl_stream_owner(
      context: Unmanaged.passRetained(self).toOpaque(),
      explain: { context, code in
        guard let context else { return nil }
        let query = Unmanaged<LogQuery>.fromOpaque(context).takeUnretainedValue()
        return strdup(
          query.databases?.lastProblem ?? ReadingError.text(query.sql.explained(code: code)))
      },
      release: { context in
        if let context { Unmanaged<LogQuery>.fromOpaque(context).release() }
      })
    let isMade = tl_stream(statement.handle, types, times, request.batchRows, owner, stream)
    if !isMade, let context = owner.context { Unmanaged<LogQuery>.fromOpaque(context).release() }
    return isMade
  }
}

extension OpenLog.Part {
  /// The numbers of the selected runs, separated by commas.
  func selected(_ runs: Set<String>?) -> String {
    let selected = numbers.filter { runs?.contains($0.key) ?? true }
    return selected.values.sorted().map(String.init).joined(separator: ",")
  }
}

/// A view that shows selected runs, by their IDs.
private struct ViewOfRuns {
  let name: String
  let columns: [String]

  init(_ name: String, _ columns: [String]) {
    (self.name, self.columns) = (name, columns)
  }

  func sql(of runs: String) -> String {
    let numbers = columns.filter { ["run", "run1", "run2"].contains($0) }
    let shown = columns.map { column in
      numbers.contains(column)
        ? "(SELECT uuid FROM main.run WHERE id = v.\(column)) AS \(column)" : "v.\"\(column)\""
    }
    let conditions = numbers.map { "v.\($0) IN (\(runs))" }
    let source =
      ReaderViews.names.contains(name) ? "temp.\(ReaderViews.renamed(name))" : "main.\(name)"
    return
      "CREATE TEMP VIEW \(name) AS SELECT \(shown.joined(separator: ", ")) FROM \(source) AS v"
      + (conditions.isEmpty ? "" : " WHERE \(conditions.joined(separator: " AND "))")
  }
}

/// What stands for no runs; never freed.
nonisolated(unsafe) private let none: UnsafeMutablePointer<CChar> = strdup("")

/// The files behind the virtual tables of a connection. Used by one thread at a time.
private final class UnionDatabases {
  /// The number of files that stay open although no statement uses them.
  private static let idleLimit = 64

  private let parts: [OpenLog.Part]
  private let limit: StatementLimit
  /// The numbers of the selected runs of each part, as C strings that are freed with this object.
  private let runs: [UnsafeMutablePointer<CChar>]
  private var connections: [Int32: UserSQL.Source] = [:]
  private var users: [Int32: Int] = [:]
  private var problems: [Int32: any Error] = [:]
  /// What was wrong with a file.
  private(set) var lastProblem: String?

  init(_ parts: [OpenLog.Part], _ selected: Set<String>?, _ limit: StatementLimit) {
    self.parts = parts
    self.limit = limit
    runs = parts.map { strdup($0.selected(selected)) }
  }

  deinit { for text in runs { free(text) } }

  private func open(_ index: Int32) -> OpaquePointer? {
    users[index, default: 0] += 1
    if let open = connections[index] { return open.handle }
    do {
      let source = try UserSQL.Source(path: parts[Int(index)].path, limit: limit)
      connections[index] = source
      return source.handle
    } catch {
      problems[index] = error
      users[index] = 0
      return nil
    }
  }

  private func done(_ index: Int32) {
    users[index, default: 1] -= 1
    guard users[index] == 0, connections.count > Self.idleLimit else { return }
    connections[index] = nil
  }

  private func explain(_ index: Int32, _ code: Int32) -> String {
    let problem = problems.removeValue(forKey: index) ?? connections[index]?.explained(code: code)
    let text = problem.map(ReadingError.text) ?? parts[Int(index)].name
    // A statement that takes too long is no problem of the file.
    if code & 0xFF != SQLITE_INTERRUPT { lastProblem = text }
    return text
  }

  /// The functions for C, with a reference to this object that `release` gives back.
  func retained() -> tl_union {
    tl_union(
      context: Unmanaged.passRetained(self).toOpaque(), count: Int32(parts.count),
      open: { UnionDatabases.of($0)?.open($1) }, done: { UnionDatabases.of($0)?.done($1) },
      explain: { context, index, code in
        UnionDatabases.of(context).flatMap { strdup($0.explain(index, code)) }
      },
      // The context is always there.
      runs: { context, index in
        UnsafePointer(UnionDatabases.of(context).map { $0.runs[Int(index)] } ?? none)
      },
      has_run: { context, index, run in
        guard let databases = UnionDatabases.of(context), let run else { return false }
        return databases.parts[Int(index)].numbers[String(cString: run)] != nil
      },
      release: { context in
        if let context { Unmanaged<UnionDatabases>.fromOpaque(context).release() }
      })
  }

  private static func of(_ context: UnsafeMutableRawPointer?) -> UnionDatabases? {
    context.map { Unmanaged<UnionDatabases>.fromOpaque($0).takeUnretainedValue() }
  }
}
