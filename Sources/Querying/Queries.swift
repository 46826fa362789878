import EventLog
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

  /// Writes the events that a filter lets through.
  ///
  /// - Throws: `LogError`.
  public static func events(
    _ reader: LogReader, _ filter: EventFilter, limit: Int?, to writer: inout any RowWriter
  ) throws {
    let withHook = filter.hooks != ["transition"]
    var columns = eventColumns
    if withHook { columns.insert(Column("hook"), at: 5) }
    // With one run there is nothing to tell apart.
    if filter.runs?.count != 1, let run = columns.firstIndex(where: { $0.name == "run" }) {
      columns[run].rank = 0
    }
    writer.start(columns)
    try reader.rows(matching: filter, columns: columns.map(\.name), limit: limit) {
      writer.row($0)
    }
    writer.finish()
  }

  public static let runColumns: [Column] = [
    Column("run"), Column("id", rank: 2, leastWidth: 36), Column("engine", rank: 1),
    Column("started", .date), Column("seconds"), Column("end", .state), Column("events"),
    Column("tasks"), Column("workers"), Column("missing"),
  ]

  /// Writes the runs of a log.
  ///
  /// - Throws: `LogError`.
  public static func runs(_ reader: LogReader, to writer: inout any RowWriter) throws {
    writer.start(runColumns)
    for run in try reader.runs() {
      let totals = try reader.totals(of: run)
      let seconds = run.ended.map { Double($0 - run.started) / 1e9 }
      writer.row([
        .integer(run.number), .text(run.id), .text("\(run.engine) \(run.engineVersion)"),
        .text(Timestamp.iso(run.started)),
        seconds.map { .real(($0 * 1000).rounded() / 1000) } ?? .null, .text(run.end.rawValue),
        .integer(totals.events), .integer(totals.tasks), .integer(totals.workers),
        .integer(totals.missing),
      ])
    }
    writer.finish()
  }

  /// Writes what a user's SQL gives.
  ///
  /// - Parameter limit: at most so many rows.
  /// - Throws: `LogError`, `UserSQLError`.
  public static func sql(
    _ sql: String, path: String, limit: Int? = nil, to writer: inout any RowWriter
  ) throws {
    // The statement itself is left as it is: it may end in a semicolon, or be no SELECT.
    struct Enough: Error {}
    var count = 0
    do {
      try UserSQL(path: path).run(sql) { names in
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

  private static func column(_ name: String) -> Column {
    switch name {
    case "start", "finish", "state", "end": Column(name, .state)
    case "worker": Column(name, .address)
    case "time": Column(name, .time)
    case "key": Column(name, leastWidth: 18)
    default: Column(name)
    }
  }
}

/// Times as text.
public enum Timestamp {
  /// ISO 8601 in UTC with microseconds.
  public static func iso(_ nanoseconds: Int64) -> String {
    let days = floorDivide(nanoseconds, 86_400_000_000_000)
    let rest = nanoseconds - days * 86_400_000_000_000
    let (year, month, day) = date(days)
    let seconds = rest / 1_000_000_000
    return "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T\(pad(seconds / 3600, 2)):"
      + "\(pad(seconds / 60 % 60, 2)):\(pad(seconds % 60, 2))."
      + "\(pad(rest / 1000 % 1_000_000, 6))Z"
  }

  private static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
    a >= 0 ? a / b : -((-a + b - 1) / b)
  }

  private static func pad(_ number: Int64, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  /// The Gregorian date so many days after 1970-01-01.
  private static func date(_ days: Int64) -> (Int64, Int64, Int64) {
    let shifted = days + 719_468
    let era = floorDivide(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
  }
}
