import Migrations

/// The tables, indexes and views that this program knows by name, with the SQL of each in every version
/// of the format.
enum KnownSchema {
  enum Kind: String {
    case table, index, view
  }

  struct Object {
    var kind: Kind
    /// As SQLite stores them: from `CREATE` to the last token.
    var texts: [[UInt8]]
    /// Whether the numbers in it differ from log to log.
    var hasNumbers = false

    /// Whether SQL says the same as one of the texts: spaces and comments aside.
    func matches(_ sql: UnsafeRawBufferPointer) -> Bool {
      if texts.contains(where: { $0.elementsEqual(sql) }) { return true }
      let given = SQLText.normalized(Array(sql), hidesNumbers: hasNumbers)
      return texts.contains { SQLText.normalized($0, hidesNumbers: hasNumbers) == given }
    }
  }

  /// By name. Those of versions come first, then what can be in a log of any version.
  static let objects: [String: Object] = {
    var objects: [String: Object] = [:]
    for migration in Migrations.all {
      for (name, sql) in SQLText.statements(migration.sql) { add(sql, name, to: &objects) }
    }
    // A migration makes this table anew, under another name at first; SQLite quotes the new one.
    for text in objects.removeValue(forKey: "source_of_version_2")?.texts ?? [] {
      let sql = String(decoding: text, as: UTF8.self)
        .replacing("source_of_version_2", with: "\"source\"")
      add(Array(sql.utf8), "source", to: &objects)
    }
    // A reader adds these views; no file has them.
    for (name, _) in SQLText.statements(Migrations.readerViews) {
      objects[name] = Object(kind: .view, texts: [])
    }
    for (name, sql) in ofQueries + ofSQLite { add(Array(sql.utf8), name, to: &objects) }
    objects["event_failure"]?.hasNumbers = true
    return objects
  }()

  /// The views of the newest version, each of which a reader needs.
  static let views: [String: [UInt8]] = {
    guard let newest = Migrations.all.last else { return [:] }
    let statements = SQLText.statements(newest.sql).filter { objects[$0.name]?.kind == .view }
    return Dictionary(statements.map { ($0.name, $0.sql) }) { _, last in last }
  }()

  /// The indexes that `tasklog index` builds.
  private static let ofQueries = [
    ("event_stimulus", "CREATE INDEX event_stimulus ON event (stimulus)"),
    ("event_finish", "CREATE INDEX event_finish ON event (finish)"),
    ("event_failure", "CREATE INDEX event_failure ON event (finish) WHERE finish IN (0, 0)"),
    ("key_typed", "CREATE INDEX key_typed ON key (typed) WHERE typed != ''"),
  ]

  /// https://sqlite.org/fileformat2.html#internal_schema_objects
  private static let ofSQLite = [
    ("sqlite_sequence", "CREATE TABLE sqlite_sequence(name,seq)"),
    ("sqlite_stat1", "CREATE TABLE sqlite_stat1(tbl,idx,stat)"),
    ("sqlite_stat4", "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)"),
  ]

  private static func add(_ sql: [UInt8], _ name: String, to objects: inout [String: Object]) {
    let text = String(decoding: sql.prefix(20), as: UTF8.self)
    let kind: Kind =
      text.hasPrefix("CREATE TABLE") ? .table : text.hasPrefix("CREATE VIEW") ? .view : .index
    objects[name, default: Object(kind: kind, texts: [])].texts.append(sql)
  }
}
