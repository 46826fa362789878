import EventLog
import LogFormat
import TaskLogPlugin

/// Reports for the most common questions. Each is also a public view, where SQL can express it.
package enum Reports {
  static let run = Column("run", rank: 9)
  static let key = Column("key", leastWidth: 18)

  /// A table with the rows of a view, for some runs.
  static func view(
    _ name: String, title: String, of view: String, _ columns: [Column], path: String,
    runs: [RunInfo], condition: String = "TRUE", order: String = "", limit: Int? = nil,
    parameters: [(name: String, value: SQLiteValue)] = []
  ) -> Report.Table {
    let runIDs = runs.map { String($0.number) }.joined(separator: ", ")
    // Times are in nanoseconds in views.
    let sources = columns.map { column in
      switch column.name {
      case "time", "joined", "left", "since", "started", "stopped":
        column.kind == .time || column.kind == .date
          ? "\(names[column.name] ?? column.name)" : column.name
      default: column.name
      }
    }
    let sql = """
      SELECT \(sources.joined(separator: ", ")) FROM \(view)
      WHERE run IN (\(runIDs)) AND \(condition) \(order.isEmpty ? "" : "ORDER BY " + order)
      LIMIT \(limit ?? -1)
      """
    return Report.Table(name, title: title, columns: columns) { emit in
      try UserSQL(path: path).run(sql, parameters: parameters) { _ in
      } give: { row in
        try emit(zip(columns, row).map(shown))
      }
    }
  }

  private static let names = [
    "time": "time_ns", "joined": "joined_ns", "left": "left_ns", "since": "start_ns",
    "started": "start_ns", "stopped": "stop_ns",
  ]

  private static func shown(_ column: Column, _ value: SQLiteValue) -> SQLiteValue {
    guard column.kind == .time || column.kind == .date, case .integer(let nanoseconds) = value
    else {
      return value
    }
    return .text(Timestamp.iso(nanoseconds))
  }

  static func time(_ nanoseconds: Int64?) -> SQLiteValue {
    nanoseconds.map { .text(Timestamp.iso($0)) } ?? .null
  }

  static func text(_ text: String?) -> SQLiteValue { text.map(SQLiteValue.text) ?? .null }

  static func seconds(_ nanoseconds: Int64) -> SQLiteValue { .real(Double(nanoseconds) / 1e9) }

  static func rounded(_ number: Double?, _ digits: Double) -> SQLiteValue {
    number.map { .real(($0 * digits).rounded() / digits) } ?? .null
  }
}
