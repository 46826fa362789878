import CSQLite

extension Connection {
  /// Allows only reading: no writing, no ATTACH, no PRAGMA that changes anything, no extensions.
  /// For SQL that a user typed, on a connection that is open for reading only.
  ///
  /// https://sqlite.org/c3ref/set_authorizer.html
  package func allowOnlyReading() {
    sqlite3_set_authorizer(handle, authorize, nil)
    limitStatements()
  }
}

/// PRAGMAs that only describe the schema.
private let readingPragmas: Set<String> = [
  "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo",
  "database_list", "function_list", "collation_list", "compile_options",
]

/// PRAGMAs that only read a setting if they have no argument.
private let settingPragmas: Set<String> = [
  "user_version", "application_id", "page_count", "page_size", "freelist_count", "journal_mode",
  "encoding", "auto_vacuum", "schema_version", "data_version",
]

private func authorize(
  _: UnsafeMutableRawPointer?, action: Int32, first: UnsafePointer<CChar>?,
  second: UnsafePointer<CChar>?, _: UnsafePointer<CChar>?, _: UnsafePointer<CChar>?
) -> Int32 {
  switch action {
  case SQLITE_SELECT, SQLITE_READ, SQLITE_RECURSIVE: return SQLITE_OK
  case SQLITE_FUNCTION:
    let name = second.map { String(cString: $0).lowercased() } ?? ""
    return name == "load_extension" ? SQLITE_DENY : SQLITE_OK
  case SQLITE_PRAGMA:
    let name = first.map { String(cString: $0).lowercased() } ?? ""
    if readingPragmas.contains(name) { return SQLITE_OK }
    return settingPragmas.contains(name) && second == nil ? SQLITE_OK : SQLITE_DENY
  default: return SQLITE_DENY
  }
}
