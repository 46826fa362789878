import EventLog
import LogFormat
import TaskLogPlugin

/// EventQueries for events and runs, with their columns, and user SQL.
package enum EventQueries {
  /// The event columns shown by `tasklog query`.
  package static let eventColumns: [Column] = [
    Column("seq", rank: 4), Column("time", .time), Column("run", rank: 7),
    // States and workers usually identify the source.
    Column("source", rank: 3, leastWidth: 9), Column("worker", .address, rank: 2),
    Column("key", leastWidth: 18), Column("start", .state), Column("finish", .state),
    Column("stimulus", rank: 5, leastWidth: 12), Column("args", .json, rank: 6, leastWidth: 16),
  ]

  /// The default event columns.
  ///
  /// - Parameters:
  ///   - withHook: whether there are events other than transitions.
  ///   - isOneRun: whether there is only one run.
  package static func eventColumns(withHook: Bool, isOneRun: Bool) -> [Column] {
    var columns = eventColumns
    if withHook { columns.insert(Column("hook"), at: 5) }
    if !isOneRun, let run = columns.firstIndex(where: { $0.name == "run" }) {
      columns[run].rank = 0
    }
    return columns
  }

  package static let runColumns: [Column] = [
    Column("run"), Column("id", rank: 2, leastWidth: 36), Column("engine", rank: 1),
    Column("started", .date), Column("seconds", .seconds), Column("end", .state), Column("events"),
    Column("tasks"), Column("workers"), Column("missing"),
    Column("incomplete", rank: 1), Column("labels", .json, rank: 3, leastWidth: 12),
    Column("host", rank: 4), Column("user", rank: 5),
    Column("git_revision", rank: 6, leastWidth: 10),
  ]

  /// Writes runs: the parts of a run are merged in file order.
  ///
  /// - Parameter ofSeveral: whether the runs come from several files and are numbered across them.
  /// - Throws: `LogError`.
  package static func write(
    _ runs: [[RunSegment]], ofSeveral: Bool, to writer: inout any RowWriter
  ) throws {
    writer.start(runColumns)
    var origins: [ObjectIdentifier: [Int64: RunOrigin]] = [:]
    for (index, parts) in runs.enumerated() {
      guard let run = parts.whole else { continue }
      let totals = try parts.totals()
      let seconds = run.ended.map { Double($0 - run.started) / 1e9 }
      let number = ofSeveral ? Int64(index + 1) : run.number
      // The last segment has the labels that were added later.
      let last = parts[parts.count - 1]
      let known = try origins[ObjectIdentifier(last.reader)] ?? last.reader.origins()
      origins[ObjectIdentifier(last.reader)] = known
      let origin = known[last.run.number] ?? RunOrigin()
      func optional(_ text: String?) -> SQLiteValue { text.map { .text($0) } ?? .null }
      writer.row([
        .integer(number), .text(run.id), .text("\(run.engine) \(run.engineVersion)"),
        .text(Timestamp.iso(run.started)),
        seconds.map { .real(($0 * 1000).rounded() / 1000) } ?? .null, .text(run.endText),
        .integer(totals.events), .integer(totals.tasks), .integer(totals.workers),
        .integer(totals.missing), .integer(Int64(try parts.incompleteWorkers().count)),
        optional(origin.labels), optional(origin.host), optional(origin.user),
        optional(origin.gitRevision),
      ])
    }
    writer.finish()
  }

  /// Writes the result of a user's SQL.
  ///
  /// - Parameters:
  ///   - parameters: values for `:name` by name.
  ///   - timeoutSeconds: the maximum duration; `nil` for none.
  ///   - limit: the maximum number of rows.
  /// - Throws: `LogError`, `UserSQLError`.
  package static func sql(
    _ sql: String, path: String, parameters: [(name: String, value: SQLiteValue)] = [],
    timeoutSeconds: Double? = nil, limit: Int? = nil, to writer: inout any RowWriter
  ) throws {
    // The statement itself is not changed to limit it: it may end in a semicolon, or not be a
    // SELECT.
    struct LimitReached: Error {}
    var count = 0
    do {
      try UserSQL(path: path, timeoutSeconds: timeoutSeconds).run(sql, parameters: parameters) {
        names in
        writer.start(names.map(column))
        if limit == 0 { throw LimitReached() }
      } give: { row in
        writer.row(row)
        count += 1
        if count == limit { throw LimitReached() }
      }
    } catch is LimitReached {}
    writer.finish()
  }

  /// The display settings of a column with this name.
  package static func column(_ name: String) -> Column {
    switch name {
    case "start", "finish", "state", "end": Column(name, .state)
    case "worker": Column(name, .address)
    case "time": Column(name, .time)
    case "args", "snapshot": Column(name, .json, leastWidth: 16)
    case "key": Column(name, leastWidth: 18)
    case "seconds", "duration", "elapsed", "busy", "compute": Column(name, .seconds)
    case "utilization", "share": Column(name, .share)
    case "nbytes", "bytes", "args_bytes", "snapshot_bytes": Column(name, .bytes)
    case "exception", "first_exception": Column(name, .exception)
    default: Column(name)
    }
  }
}
