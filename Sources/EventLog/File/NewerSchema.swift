import Migrations

/// The tables and views that versions after a log's own have added, as TEMP objects of one
/// connection: a reader sees the newest version, and the file is not written to. The tables are empty.
///
/// TEMP objects hide those of the file that have the same name:
/// https://sqlite.org/lang_naming.html
enum NewerSchema {
  /// - Throws: `SQLiteError`.
  static func add(to connection: Connection, of version: Int64) throws(SQLiteError) {
    let newer = Migrations.all.filter { Int64($0.version) > version }
    guard !newer.isEmpty else { return }
    try connection.execute("PRAGMA temp_store = MEMORY")
    for migration in newer {
      let sections = sections(String(decoding: migration.sql, as: UTF8.self))
      for name in ["tables", "views"] {
        try connection.execute(temporary(sections[name] ?? ""))
      }
    }
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

  /// A statement begins at the beginning of a line.
  private static func temporary(_ sql: String) -> String {
    ("\n" + sql)
      .replacing("\nCREATE TABLE ", with: "\nCREATE TEMP TABLE ")
      .replacing("\nCREATE VIEW ", with: "\nCREATE TEMP VIEW ")
  }
}
