import LogFormat
import TaskLogPlugin

/// Iterates over the events that match a filter, as rows of SQL values, in the order of arrival or
/// in reverse.
///
/// Finds seqs first and then reads a page of rows at a time, each in its own transaction. At the
/// end it keeps its position: the next call returns what has arrived since.
package final class EventRows {
  private static let pageSize = 1024

  private let reader: LogReader
  private let selectNumbers: Statement
  private let selectRows: Statement
  private let parameters: [SQLiteValue]
  private let columnCount: Int32
  private let isReversed: Bool
  private let findsAllAtOnce: Bool
  private var remaining: Int
  /// Everything up to this seq has been checked; in reverse, everything from it on.
  package private(set) var position: Int64
  private var numbers: ArraySlice<Int64> = []
  private var isAtEnd = false
  private var page: [[SQLiteValue]] = []
  private var nextInPage = 0

  init(
    _ reader: LogReader, _ connection: Connection, _ filter: EventFilter, columns: [EventColumn],
    after: Int64, limit: Int?, isReversed: Bool
  ) throws {
    self.reader = reader
    self.isReversed = isReversed
    remaining = limit ?? .max
    position = isReversed ? .max : after
    try reader.makeDerivedTables()
    let sql = try reader.sql(of: filter)
    parameters = sql.parameters
    // An index does not return events in the order of arrival: all of them are found and sorted at
    // once.
    findsAllAtOnce = sql.leader != nil
    let (sign, order) = isReversed ? ("<", "DESC") : (">", "ASC")
    let bound = isReversed ? " AND event.seq > \(after)" : ""
    selectNumbers = try connection.prepare(
      """
      SELECT event.seq FROM event WHERE \(sql.condition) AND event.seq \(sign) ?\(bound)
      ORDER BY event.seq \(order) LIMIT ?
      """)
    columnCount = Int32(columns.count)
    selectRows = try connection.prepare(
      """
      SELECT \(columns.map(\.sql).joined(separator: ", ")) FROM events AS event
      WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq \(order)
      """)
  }

  /// The next row; `nil` at the end. A later call returns rows that have arrived since.
  ///
  /// - Throws: `LogError`.
  package func next() throws -> [SQLiteValue]? {
    try reader.translating {
      while true {
        if nextInPage < page.count {
          nextInPage += 1
          return page[nextInPage - 1]
        }
        if numbers.isEmpty {
          if isAtEnd {
            isAtEnd = false
            return nil
          }
          guard remaining > 0 else { return nil }
          try findNumbers()
        }
        try readPage()
      }
    }
  }

  private func findNumbers() throws {
    let wanted = findsAllAtOnce ? remaining : min(remaining, Self.pageSize)
    let last = isReversed ? 0 : try reader.lastSeqInFile()
    for (index, parameter) in parameters.enumerated() {
      try selectNumbers.bind(Int32(index + 1), parameter)
    }
    try selectNumbers.bind(Int32(parameters.count + 1), position)
    try selectNumbers.bind(Int32(parameters.count + 2), wanted == .max ? -1 : Int64(wanted))
    var found: [Int64] = []
    while try selectNumbers.step() { found.append(selectNumbers.integer(0)) }
    selectNumbers.reset()
    numbers = found[...]
    if remaining != .max { remaining -= found.count }
    isAtEnd = found.count < wanted || wanted == .max
    if let last = found.last { position = last }
    // Events that the filter rejected are not checked again.
    if isAtEnd, !isReversed { position = max(position, last) }
  }

  private func readPage() throws {
    page.removeAll(keepingCapacity: true)
    nextInPage = 0
    guard !numbers.isEmpty else { return }
    let part = numbers.prefix(Self.pageSize)
    numbers.removeFirst(part.count)
    try selectRows.bind(1, "[" + part.map(String.init).joined(separator: ",") + "]")
    while try selectRows.step() { page.append((0..<columnCount).map { selectRows.value($0) }) }
    // The consumer may be slow, and must not keep a transaction open meanwhile.
    selectRows.reset()
  }
}

/// A column of rows of events.
package struct EventColumn: Sendable, Equatable {
  package var name: String
  /// Its expression in a SELECT over the view `events` AS event.
  let sql: String
  /// Its expression when events are counted by it, over `event`, `source` and `key`.
  let group: (value: String, shown: String)?

  package static func == (a: EventColumn, b: EventColumn) -> Bool { a.name == b.name }

  /// The columns of the view `events`.
  package static let known = [
    "seq", "time", "run", "source", "hook", "key", "start", "finish", "stimulus", "worker",
    "task_run", "args", "snapshot", "time_ns", "server_id", "source_seq", "key_typed", "prefix",
    "key_group", "raw_time_ns", "life",
  ]

  /// The column with a name; `nil` if there is none. `args.NAME` is one of the args.
  package init?(_ name: String) {
    self.name = name
    if name.hasPrefix("args."), name.utf8.count > 5 {
      let argument = String(name.dropFirst(5))
      sql = FilterSQL.argument(argument, time: "event.time_ns")
      let value = FilterSQL.argument(argument)
      group = (value, value)
      return
    }
    guard Self.known.contains(name) else { return nil }
    sql = name == "args" ? FilterSQL.args(time: "event.time_ns") : "event.\(name)"
    func text(_ column: String) -> (String, String) {
      (column, "(SELECT text FROM text WHERE id = \(column))")
    }
    switch name {
    case "hook", "start", "finish", "stimulus": group = text("event.\(name)")
    case "prefix", "key_group": group = text("key.\(name)")
    case "key": group = ("event.key", "key.text")
    case "run": group = ("source.run", "source.run")
    case "source": group = ("source.kind", "source.kind")
    case "server_id": group = ("source.server_id", "source.server_id")
    case "task_run": group = ("event.task_run", "event.task_run")
    case "worker":
      let shown = """
        CASE source.kind WHEN 'worker' THEN source.address
          ELSE (SELECT text FROM text WHERE id = event.worker) END
        """
      group = (shown, shown)
    default: group = nil
    }
  }

  /// Whether events can be counted by it.
  package var isGroup: Bool { group != nil }
}
