import LogFormat
import Migrations

/// The views that need functions of this program: TEMP views of a connection, since another SQLite
/// could not read them.
package enum ReaderViews {
  package static let names = statements.map(\.name)

  private static let statements = NewerSchema.statements(
    String(decoding: Migrations.readerViews, as: UTF8.self))

  /// - Throws: `SQLiteError`.
  static func add(to connection: Connection) throws(SQLiteError) {
    try connection.execute("PRAGMA temp_store = MEMORY")
    for view in statements { try add(view.name, view.sql, to: connection) }
  }

  private static func add(
    _ name: String, _ sql: String, to connection: Connection
  ) throws(SQLiteError) {
    let head = "CREATE VIEW " + sql.dropFirst(12).prefix { $0 != " " }
    try connection.execute("CREATE TEMP VIEW \(name)" + sql.dropFirst(head.count))
  }
}
