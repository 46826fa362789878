import LogFormat
import Migrations

/// The tables and views that versions after a log's own version have added, as TEMP objects of one
/// connection: a reader sees the newest version, and the file is not written to. The tables are
/// empty.
///
/// A view that a log of the newest version lacks is created, too: views are not part of the format, so
/// that a later release can add views without a new version.
///
/// TEMP objects hide objects of the file with the same name:
/// https://sqlite.org/lang_naming.html
enum NewerSchema {
  /// - Parameter version: the version in the log. For a version that this program does not know,
  ///   the tables tell which additions it has.
  /// - Throws: `SQLiteError`.
  static func add(to connection: Connection, of version: Int64) throws(SQLiteError) {
    for migration in Migrations.all where migration.version > 1 {
      let sections = sections(String(decoding: migration.sql, as: UTF8.self))
      let tables = sections["tables"] ?? ""
      let isKnown = version <= Int64(LogFile.newestVersion)
      let isThere =
        if isKnown { Int64(migration.version) <= version } else { try has(tables, connection) }
      guard !isThere else {
        if migration.version == LogFile.newestVersion {
          try addViews(lackingIn: connection, sections["views"] ?? "")
        }
        continue
      }
      try connection.execute("PRAGMA temp_store = MEMORY")
      try connection.execute(temporary(tables))
      try connection.execute(temporary(sections["views"] ?? ""))
    }
  }

  /// - Parameter views: the SQL of all views.
  private static func addViews(
    lackingIn connection: Connection, _ views: String
  ) throws(SQLiteError) {
    var lacking = statements(views)
    let select = try connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'view'")
    while try select.step() { lacking.removeAll { $0.name == select.text(0) } }
    guard !lacking.isEmpty else { return }
    try connection.execute("PRAGMA temp_store = MEMORY")
    for view in lacking { try connection.execute(temporary(view.sql)) }
  }

  /// The statements that create views, in their order.
  static func statements(_ views: String) -> [(name: String, sql: String)] {
    ("\n" + views).split(separator: "\nCREATE VIEW ").dropFirst().map { text in
      (String(text.prefix { $0 != " " && $0 != "\n" }), "CREATE VIEW " + text)
    }
  }

  /// Whether a log has the tables that an SQL text creates.
  private static func has(
    _ tables: String, _ connection: Connection
  ) throws(SQLiteError) -> Bool {
    let find = try connection.prepare("SELECT count(*) FROM sqlite_schema WHERE name = ?")
    for line in tables.split(separator: "\n") where line.hasPrefix("CREATE TABLE ") {
      let name = line.dropFirst(13).prefix { $0 != " " && $0 != "(" }
      find.reset()
      try find.bind(1, String(name))
      guard try find.step(), find.integer(0) > 0 else { return false }
    }
    return true
  }

  /// The parts of a migration by the names in their first lines, `-- == NAME`.
  static func sections(_ sql: String) -> [String: String] {
    var sections: [String: String] = [:]
    var name = ""
    for line in sql.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("-- == ") {
        name = String(line.dropFirst(6))
      } else {
        sections[name, default: ""] += line + "\n"
      }
    }
    return sections
  }

  /// A statement begins at the start of a line.
  private static func temporary(_ sql: String) -> String {
    ("\n" + sql)
      .replacing("\nCREATE TABLE ", with: "\nCREATE TEMP TABLE ")
      .replacing("\nCREATE VIEW ", with: "\nCREATE TEMP VIEW ")
  }
}
