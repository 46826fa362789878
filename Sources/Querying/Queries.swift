import EventLog
import LogFormat
import TaskLogPlugin

/// The questions that have columns of their own.
public enum Queries {
  /// What `tasklog query` shows of events.
  public static let eventColumns: [Column] = [
    Column("seq", rank: 4), Column("time", .time), Column("run", rank: 7),
    // States and workers mostly tell whose event it is.
    Column("source", rank: 3, leastWidth: 9), Column("worker", .address, rank: 2),
    Column("key", leastWidth: 18), Column("start", .state), Column("finish", .state),
    Column("stimulus", rank: 5, leastWidth: 12), Column("args", .json, rank: 6, leastWidth: 16),
  ]

  /// The columns that are shown of events when nobody has said which.
  ///
  /// - Parameters:
  ///   - withHook: there are others than transitions.
  ///   - isOneRun: there is nothing to tell apart.
  public static func eventColumns(withHook: Bool, isOneRun: Bool) -> [Column] {
    var columns = eventColumns
    if withHook { columns.insert(Column("hook"), at: 5) }
    if !isOneRun, let run = columns.firstIndex(where: { $0.name == "run" }) {
      columns[run].rank = 0
    }
    return columns
  }

  public static let runColumns: [Column] = [
    Column("run"), Column("id", rank: 2, leastWidth: 36), Column("engine", rank: 1),
    Column("started", .date), Column("seconds"), Column("end", .state), Column("events"),
    Column("tasks"), Column("workers"), Column("missing"),
    Column("incomplete", rank: 1),
  ]

  /// Writes the runs of a log, or of several files: what one file has of a run comes before what the
  /// next one has, and runs are counted through all of them.
  ///
  /// - Throws: `LogError`.
  public static func runs(_ readers: [LogReader], to writer: inout any RowWriter) throws {
    try write(parts(of: readers), ofSeveral: readers.count > 1, to: &writer)
  }

  /// What files have of each run, as they are now.
  ///
  /// - Throws: `LogError`.
  public static func parts(of readers: [LogReader]) throws -> [[RunSegment]] {
    var runs: [[RunSegment]] = []
    var places: [String: Int] = [:]
    for reader in readers {
      for run in try reader.runs() {
        let part = RunSegment(reader: reader, run: run)
        if let place = places[run.id] {
          runs[place].append(part)
        } else {
          places[run.id] = runs.count
          runs.append([part])
        }
      }
    }
    return runs
  }

  /// - Parameter ofSeveral: whether they come from several files, and have a number among all.
  /// - Throws: `LogError`.
  public static func write(
    _ runs: [[RunSegment]], ofSeveral: Bool, to writer: inout any RowWriter
  ) throws {
    writer.start(runColumns)
    for (place, parts) in runs.enumerated() {
      guard let run = parts.whole else { continue }
      let totals = try parts.totals()
      let seconds = run.ended.map { Double($0 &- run.started) / 1e9 }
      let number = ofSeveral ? Int64(place + 1) : run.number
      writer.row([
        .integer(number), .text(run.id), .text("\(run.engine) \(run.engineVersion)"),
        .text(Timestamp.iso(run.started)),
        seconds.map { .real(($0 * 1000).rounded() / 1000) } ?? .null, .text(run.end.rawValue),
        .integer(totals.events), .integer(totals.tasks), .integer(totals.workers),
        .integer(totals.missing), .integer(Int64(try parts.incompleteWorkers().count)),
      ])
    }
    writer.finish()
  }

  /// Writes what a user's SQL gives.
  ///
  /// - Parameters:
  ///   - parameters: values for `:name` by name.
  ///   - timeoutSeconds: how long it may take; nothing for any time.
  ///   - limit: at most so many rows.
  /// - Throws: `LogError`, `UserSQLError`.
  public static func sql(
    _ sql: String, path: String, parameters: [(name: String, value: SQLiteValue)] = [],
    timeoutSeconds: Double? = nil, limit: Int? = nil, to writer: inout any RowWriter
  ) throws {
    // The statement itself is left as it is: it may end in a semicolon, or be no SELECT.
    struct Enough: Error {}
    var count = 0
    do {
      try UserSQL(path: path, timeoutSeconds: timeoutSeconds).run(sql, parameters: parameters) {
        names in
        writer.start(names.map(column))
        if limit == 0 { throw Enough() }
      } give: { row in
        writer.row(row)
        count += 1
        if count == limit { throw Enough() }
      }
    } catch is Enough {}
    writer.finish()
  }

  /// How a column of this name is shown.
  public static func column(_ name: String) -> Column {
    switch name {
    case "start", "finish", "state", "end": Column(name, .state)
    case "worker": Column(name, .address)
    case "time": Column(name, .time)
    case "args", "snapshot": Column(name, .json, leastWidth: 16)
    case "key": Column(name, leastWidth: 18)
    default: Column(name)
    }
  }
}
