import TaskLogPlugin

/// What a log has in the place of the tables, indexes and views that this program knows.
///
/// A statement of ours does what the schema of the file says: a view or a trigger in the place of a table
/// runs SQL of a stranger, and may never end. So nothing is read from or written to a log unless
/// each name of ours has the SQL of a known version. Objects under other names are left alone.
package struct SchemaSurvey {
  /// Why nothing may be read from the log, or written to it.
  package private(set) var objections: [String] = []
  /// What would run when the log is written to, in addition.
  package private(set) var writingObjections: [String] = []
  /// Whether an object of ours has other SQL than in any known version.
  package private(set) var hasUnknownSQL = false
  /// Objects under other names.
  package private(set) var others: [(type: String, name: String)] = []
  /// The tables that this program knows and the log has.
  package private(set) var tables: Set<String> = []
  /// Whether every view of the newest version is there with its own SQL. If not, readers have their own
  /// views instead of all of them: those of the file may refer to each other.
  package private(set) var hasNewestViews = true

  /// Whether the log is of a version that this program does not know: its tables may have other columns.
  private let isNewer: Bool

  /// - Parameters:
  ///   - isNewer: whether the log is of a version that this program does not know.
  ///   - isDamaged: whether SQLite accepts a schema that it can read only in part: it then has as much of it
  ///     as is read here.
  /// - Throws: `SQLiteError`.
  package init(
    _ connection: Connection, isNewer: Bool, isDamaged: Bool = false
  ) throws(SQLiteError) {
    self.isNewer = isNewer
    let select = try connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema")
    var newestViews = 0
    var indexes: [(name: String, table: String)] = []
    do {
      while try select.step() {
        let (type, name) = (select.text(0), select.text(1))
        if type == "trigger" {
          addTrigger(name, on: select.text(2))
        } else if let object = KnownSchema.objects[Self.folded(name)] {
          select.withText(3) { add(object, name, type, UnsafeRawBufferPointer($0), &newestViews) }
        } else if !Self.folded(name).hasPrefix("sqlite_") {
          // Not those of PRIMARY KEY and UNIQUE, which have no SQL.
          others.append((type, name))
          if type == "index" { indexes.append((name, select.text(2))) }
        }
      }
    } catch {
      guard isDamaged, error.isCorrupt else { throw error }
    }
    hasNewestViews = newestViews == KnownSchema.views.count
    // Their expressions are evaluated only by writers, which refuse newer logs.
    for (name, table) in indexes where !isNewer && Self.isOurs(table) {
      try addIndex(name, on: table, connection)
    }
  }

  private mutating func add(
    _ object: KnownSchema.Object, _ name: String, _ type: String, _ sql: UnsafeRawBufferPointer,
    _ newestViews: inout Int
  ) {
    guard type == object.kind.rawValue else {
      return objections.append("a \(type) is in the place of the \(object.kind.rawValue) '\(name)'")
    }
    switch object.kind {
    case .view:
      if KnownSchema.views[name]?.elementsEqual(sql) == true { newestViews += 1 }
      return
    case .table:
      tables.insert(name)
      if object.matches(sql) || isNewer && Self.isPlain(Array(sql)) { return }
    case .index:
      // The SQL of one with numbers becomes part of statements.
      if object.matches(sql) || isNewer && !object.hasNumbers { return }
    }
    hasUnknownSQL = true
    objections.append("the \(type) '\(name)' has other SQL than that of any known version")
  }

  /// Whether this program knows a table, an index or a view of this name.
  package static func isOurs(_ name: String) -> Bool { KnownSchema.objects[folded(name)] != nil }

  private mutating func addTrigger(_ name: String, on table: String) {
    if Self.isOurs(table) {
      objections.append("the trigger '\(name)' is on '\(table)'")
    } else if Self.isOurs(name) {
      objections.append("a trigger has the name '\(name)'")
    } else {
      others.append(("trigger", name))
    }
  }

  /// An index under another name on a table of ours: SQLite keeps it up to date, which runs its expressions.
  private mutating func addIndex(
    _ name: String, on table: String, _ connection: Connection
  ) throws(SQLiteError) {
    let find = try connection.prepare(
      """
      SELECT 1 FROM pragma_index_list(?1) WHERE name = ?2 AND "unique" = 0 AND partial = 0
        AND NOT EXISTS (SELECT 1 FROM pragma_index_xinfo(?2) WHERE cid = -2)
      """)
    try find.bind(1, table)
    try find.bind(2, name)
    guard try !find.step() else { return }
    writingObjections.append(
      "the index '\(name)' is on '\(table)', with an expression, a condition or UNIQUE")
  }

  /// Whether reading a table evaluates nothing: https://sqlite.org/gencol.html
  private static func isPlain(_ sql: [UInt8]) -> Bool {
    !SQLText.contains(sql, ["VIRTUAL", "AS", "GENERATED"])
  }

  /// SQLite compares names without regard to case, in ASCII.
  private static func folded(_ name: String) -> String {
    name.utf8.contains { (0x41...0x5A).contains($0) } ? name.lowercased() : name
  }
}
