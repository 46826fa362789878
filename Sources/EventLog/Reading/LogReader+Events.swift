import LogFormat
import TaskLogPlugin

/// Events as rows, counts and positions to resume from.
extension LogReader {
  /// The events that match a filter, as rows.
  ///
  /// - Parameters:
  ///   - after: only events that have arrived after this one.
  ///   - limit: the maximum number of events.
  ///   - isReversed: returns the last one first.
  /// - Throws: `LogError`.
  package func rows(
    matching filter: EventFilter, columns: [EventColumn], after: Int64 = 0, limit: Int? = nil,
    isReversed: Bool = false
  ) throws -> EventRows {
    try translating {
      try EventRows(
        self, connection, filter, columns: columns, after: after, limit: limit,
        isReversed: isReversed)
    }
  }

  /// The number of events that match a filter.
  ///
  /// - Throws: `LogError`.
  package func count(matching filter: EventFilter, after: Int64 = 0) throws -> Int64 {
    try translating {
      try makeDerivedTables()
      let sql = try sql(of: filter)
      let select = try connection.prepare(
        "SELECT count(*) FROM event WHERE \(sql.condition) AND event.seq > ?")
      try bind(sql.parameters + [.integer(after)], to: select)
      return try select.step() ? select.integer(0) : 0
    }
  }

  /// The number of matching events for each value of some columns, the most frequent first.
  ///
  /// - Throws: `LogError`.
  package func groups(
    matching filter: EventFilter, by columns: [EventColumn], after: Int64 = 0,
    give: ([SQLiteValue]) throws -> Void
  ) throws {
    let groups = columns.compactMap(\.group)
    guard groups.count == columns.count, !groups.isEmpty else { return }
    try translating {
      try makeDerivedTables()
      let sql = try sql(of: filter)
      let select = try connection.prepare(
        """
        SELECT \(groups.map(\.shown).joined(separator: ", ")), count(*) AS count
        FROM event JOIN source ON source.id = event.source LEFT JOIN key ON key.id = event.key
        WHERE \(sql.condition) AND event.seq > ?
        GROUP BY \(groups.map(\.value).joined(separator: ", "))
        ORDER BY count DESC, \(columns.indices.map { String($0 + 1) }.joined(separator: ", "))
        """)
      try bind(sql.parameters + [.integer(after)], to: select)
      while try select.step() { try give((0...Int32(columns.count)).map { select.value($0) }) }
    }
  }

  /// The seq of the last event in the file.
  ///
  /// - Throws: `LogError`.
  package func lastSeq() throws -> Int64 {
    try translating { try lastSeqInFile() }
  }

  func lastSeqInFile() throws -> Int64 {
    try connection.integer("SELECT max(seq) FROM event") ?? 0
  }

  /// The conditions of a filter, with the function for its selection of tasks.
  func sql(of filter: EventFilter) throws -> FilterSQL {
    let indexes = try eventIndexes()
    guard let tasks = filter.tasks else { return FilterSQL(filter, indexes: indexes) }
    // A function cannot be replaced while a statement uses it.
    selectionCount += 1
    let name = "tasklog_selects_\(selectionCount)"
    connection.add(tasks, as: name)
    return FilterSQL(filter, indexes: indexes, selection: name)
  }

  private static let indexNames: Set<String> = [
    "event_identity", "event_key", "event_stimulus", "event_finish", "event_failure",
  ]

  /// The indexes of `event` that this program knows, by name without `event_`, each with the condition of a partial index;
  /// empty for those that contain every event.
  func eventIndexes() throws -> [String: String] {
    let select = try connection.prepare(
      "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'event'")
    var indexes: [String: String] = [:]
    while try select.step() {
      let (name, sql) = (select.text(0), select.text(1))
      guard Self.indexNames.contains(name) else { continue }
      let condition = sql.firstRange(of: " WHERE ").map { String(sql[$0.upperBound...]) }
      indexes[String(name.dropFirst(6))] = condition ?? ""
    }
    return indexes
  }

  private func bind(_ parameters: [SQLiteValue], to statement: Statement) throws {
    for (index, parameter) in parameters.enumerated() {
      try statement.bind(Int32(index + 1), parameter)
    }
  }

  // MARK: - Positions

  /// The identity of an event as one word: run, source and number within the source. It stands for
  /// the same event in every file that contains it; `nil` if there are no events.
  ///
  /// - Throws: `LogError`.
  package func cursor(at seq: Int64) throws -> String? {
    try translating {
      let select = try connection.prepare(
        """
        SELECT run.uuid, source.server_id, event.source_seq FROM event
        JOIN source ON source.id = event.source JOIN run ON run.id = source.run
        WHERE event.seq <= ? ORDER BY event.seq DESC LIMIT 1
        """)
      try select.bind(1, seq)
      guard try select.step() else { return nil }
      return "\(select.text(0))/\(select.text(1))/\(select.integer(2))"
    }
  }

  /// The seq in this file of the event that a cursor names; `nil` if it is not in this file.
  ///
  /// - Throws: `LogError`.
  package func seq(ofCursor cursor: String) throws -> Int64? {
    let parts = cursor.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count >= 3, let number = parts.last.flatMap({ Int64($0) }) else { return nil }
    return try EventFinder(self).seq(
      run: String(parts[0]), server: parts.dropFirst().dropLast().joined(separator: "/"),
      sourceSeq: number)
  }

  /// Changes whenever another connection has changed the file:
  /// https://sqlite.org/pragma.html#pragma_data_version
  ///
  /// - Throws: `LogError`.
  package func changeCount() throws -> Int64 {
    try translating { try connection.integer("PRAGMA data_version") ?? 0 }
  }
}
