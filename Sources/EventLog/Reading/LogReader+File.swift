import LogFormat

/// Properties of the file itself.
extension LogReader {
  package struct FileProperty: Sendable {
    package var name: String
    package var value: SQLiteValue

    package init(name: String, value: SQLiteValue) {
      (self.name, self.value) = (name, value)
    }
  }

  /// The number that tells this log from others; 0 if it has none.
  ///
  /// - Throws: `LogError`.
  package func logIdentity() throws -> UInt64 {
    try translating { try connection.logIdentity() }
  }

  /// Version, size, and the existing indexes.
  ///
  /// - Throws: `LogError`.
  package func fileFacts() throws -> [FileProperty] {
    try translating {
      func number(_ sql: String) throws -> SQLiteValue {
        .integer(try connection.integer(sql) ?? 0)
      }
      /// What `meta` says, else what is counted.
      func count(_ name: String, _ sql: String) throws -> SQLiteValue {
        try number("SELECT coalesce((SELECT value FROM meta WHERE name = '\(name)'), (\(sql)))")
      }
      let pageSize = try connection.integer("PRAGMA page_size") ?? 0
      let pages = try connection.integer("PRAGMA page_count") ?? 0
      let free = try connection.integer("PRAGMA freelist_count") ?? 0
      let indexes = try eventIndexes().keys.filter { $0 != "identity" }.sorted()
      return [
        FileProperty(name: "format", value: try number("PRAGMA user_version")),
        FileProperty(name: "bytes", value: .integer(pages * pageSize)),
        FileProperty(name: "free_bytes", value: .integer(free * pageSize)),
        FileProperty(name: "keys", value: try count("keys", "SELECT count(*) FROM key")),
        FileProperty(name: "texts", value: try count("texts", "SELECT count(*) FROM text")),
        FileProperty(name: "blobs", value: try count("blobs", "SELECT count(*) FROM blob")),
        FileProperty(
          name: "blob_bytes",
          value: try count("blob_bytes", "SELECT coalesce(sum(length(bytes)), 0) FROM blob")),
        FileProperty(name: "indexes", value: .text(indexes.joined(separator: " "))),
      ]
    }
  }
}
