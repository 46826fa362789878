import LogFormat
import Migrations

/// The tables and views that versions after a log's own version have added, as TEMP objects of one
/// connection: a reader sees the newest version, and the file is not written to. The tables are
/// empty.
///
/// Views are not part of the format, so that a later release can add or mend some without a new version:
/// if a log of the newest version lacks one, or one has other SQL, readers get their own instead of all.
///
/// TEMP objects hide objects of the file with the same name:
/// https://sqlite.org/lang_naming.html
enum NewerSchema {
  /// - Parameter version: the version in the log. For a version that this program does not know,
  ///   the tables tell which additions it has.
  /// - Throws: `SQLiteError`.
  static func add(
    to connection: Connection, of version: Int64, _ survey: SchemaSurvey
  ) throws(SQLiteError) {
    for migration in Migrations.all where migration.version > 1 {
      let isNewest = migration.version == LogFile.newestVersion
      let isKnown = version <= Int64(LogFile.newestVersion)
      if isKnown, Int64(migration.version) <= version, !isNewest || survey.hasNewestViews {
        continue
      }
      let sections = sections(String(decoding: migration.sql, as: UTF8.self))
      let tables = sections["tables"] ?? ""
      let isThere =
        isKnown ? Int64(migration.version) <= version : has(tables, survey)
      if isThere, !isNewest || survey.hasNewestViews { continue }
      try connection.execute("PRAGMA temp_store = MEMORY")
      if !isThere { try connection.execute(temporary(tables)) }
      try connection.execute(temporary(sections["views"] ?? ""))
    }
  }

  /// The statements that create views, in their order.
  static func statements(_ views: String) -> [(name: String, sql: String)] {
    ("\n" + views).split(separator: "\nCREATE VIEW ").dropFirst().map { text in
      (String(text.prefix { $0 != " " && $0 != "\n" }), "CREATE VIEW " + text)
    }
  }

  /// Whether a log has the tables that an SQL text creates.
  private static func has(_ tables: String, _ survey: SchemaSurvey) -> Bool {
    tables.split(separator: "\n").allSatisfy { line in
      guard line.hasPrefix("CREATE TABLE ") else { return true }
      return survey.tables.contains(
        String(line.dropFirst(13).prefix { $0 != " " && $0 != "(" }))
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

  /// A statement begins at the start of a line.
  private static func temporary(_ sql: String) -> String {
    ("\n" + sql)
      .replacing("\nCREATE TABLE ", with: "\nCREATE TEMP TABLE ")
      .replacing("\nCREATE VIEW ", with: "\nCREATE TEMP VIEW ")
  }
}
