import Migrations

/// The public schema of a log as created by this version.
package enum LogSchema {
  /// The views by name, with the names of their columns.
  ///
  /// - Throws: `SQLiteError`.
  package static func views() throws -> [(name: String, columns: [String])] { try found.get() }

  /// Found once: every query over logs needs them.
  private static let found = Result { try find() }

  private static func find() throws -> [(name: String, columns: [String])] {
    let connection = try Connection(path: "", mode: .memory)
    for migration in Migrations.all {
      try connection.execute(String(decoding: migration.sql, as: UTF8.self))
    }
    connection.addHeartbeatFunctions { args, _ in args }
    try connection.execute(String(decoding: Migrations.readerViews, as: UTF8.self))
    let select = try connection.prepare(
      "SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name")
    var views: [(String, [String])] = []
    while try select.step() {
      let name = select.text(0)
      let statement = try connection.prepare("SELECT * FROM \(name)")
      views.append((name, (0..<statement.columnCount).map { statement.columnName($0) }))
    }
    return views
  }
}
