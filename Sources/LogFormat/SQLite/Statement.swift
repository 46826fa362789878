import CSQLite

/// A prepared statement: https://sqlite.org/c3ref/stmt.html
///
/// Parameters count from 1, columns from 0, as in SQLite.
package final class Statement {
  private let connection: Connection
  package let handle: OpaquePointer
  /// Its text, if its connection keeps it for others.
  private let keptAs: String?

  /// - Throws: `SQLiteError`, also if the text contains no statement or more than one.
  convenience init(_ connection: Connection, _ sql: String, isKept: Bool) throws(SQLiteError) {
    var handle: OpaquePointer?
    var rest = ""
    let code = sql.withCString { text -> Int32 in
      var tail: UnsafePointer<CChar>?
      let code = sqlite3_prepare_v3(
        connection.handle, text, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &handle, &tail)
      if let tail { rest = String(cString: tail) }
      return code
    }
    guard code == SQLITE_OK else { throw connection.error(code, sql: sql) }
    guard let handle else {
      throw SQLiteError(code: SQLITE_ERROR, message: "there is no statement in it", sql: sql)
    }
    guard !Self.holdsStatement(rest, connection) else {
      sqlite3_finalize(handle)
      throw SQLiteError(code: SQLITE_ERROR, message: "more than one statement", sql: sql)
    }
    self.init(connection, handle, isKept ? sql : nil)
  }

  init(_ connection: Connection, _ handle: OpaquePointer, _ keptAs: String?) {
    self.connection = connection
    self.handle = handle
    self.keptAs = keptAs
  }

  deinit {
    if let keptAs {
      connection.keep(handle, keptAs)
    } else {
      sqlite3_finalize(handle)
    }
  }

  /// Whether a text contains anything but spaces, comments and semicolons.
  private static func holdsStatement(_ text: String, _ connection: Connection) -> Bool {
    guard text.utf8.contains(where: { $0 > 0x20 && $0 != UInt8(ascii: ";") }) else { return false }
    var handle: OpaquePointer?
    let code = sqlite3_prepare_v2(connection.handle, text, -1, &handle, nil)
    sqlite3_finalize(handle)
    return code != SQLITE_OK || handle != nil
  }

  private func check(_ code: Int32) throws(SQLiteError) {
    guard code == SQLITE_OK else { throw error(code) }
  }

  private func error(_ code: Int32) -> SQLiteError {
    connection.error(code, sql: sqlite3_sql(handle).map { String(cString: $0) })
  }

  /// Whether there is another row.
  @discardableResult
  package func step() throws(SQLiteError) -> Bool {
    let code = sqlite3_step(handle)
    if code == SQLITE_ROW { return true }
    guard code == SQLITE_DONE else {
      let error = error(code)
      sqlite3_reset(handle)
      throw error
    }
    return false
  }

  /// Resets the statement so that it can run again; its parameters stay bound.
  package func reset() {
    sqlite3_reset(handle)
  }

  /// Runs a statement that returns no rows.
  package func run() throws(SQLiteError) {
    try step()
    reset()
  }

  /// Whether it cannot change the database: https://sqlite.org/c3ref/stmt_readonly.html
  package var isReadOnly: Bool { sqlite3_stmt_readonly(handle) != 0 }

  // MARK: - Parameters

  package func bind(_ parameter: Int32, _ value: Int64?) throws(SQLiteError) {
    if let value {
      try check(sqlite3_bind_int64(handle, parameter, value))
    } else {
      try check(sqlite3_bind_null(handle, parameter))
    }
  }

  package func bind(_ parameter: Int32, _ text: String) throws(SQLiteError) {
    var text = text
    let code = text.withUTF8 { bytes in
      sqlite3_bind_text64(
        handle, parameter,
        UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self)
          ?? Self.emptyText, UInt64(bytes.count), Self.transient, UInt8(SQLITE_UTF8))
    }
    try check(code)
  }

  /// Text in UTF-8 that stays valid and in place until the statement has run; `nil` binds NULL.
  package func bind(
    _ parameter: Int32, unmovedText bytes: UnsafeRawBufferPointer?
  ) throws(SQLiteError) {
    guard let bytes else { return try check(sqlite3_bind_null(handle, parameter)) }
    try check(
      sqlite3_bind_text64(
        handle, parameter,
        bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
          ?? Self.emptyText, UInt64(bytes.count), nil, UInt8(SQLITE_UTF8)))
  }

  package func bind(_ parameter: Int32, blob bytes: [UInt8]) throws(SQLiteError) {
    let code = bytes.withUnsafeBytes { bytes in
      bytes.isEmpty
        ? sqlite3_bind_zeroblob(handle, parameter, 0)
        : sqlite3_bind_blob64(
          handle, parameter, bytes.baseAddress, UInt64(bytes.count), Self.transient)
    }
    try check(code)
  }

  package func bind(_ parameter: Int32, _ value: SQLiteValue) throws(SQLiteError) {
    switch value {
    case .null: try bind(parameter, nil as Int64?)
    case .integer(let number): try bind(parameter, number)
    case .real(let number): try check(sqlite3_bind_double(handle, parameter, number))
    case .text(let text): try bind(parameter, text)
    case .blob(let bytes): try bind(parameter, blob: bytes)
    }
  }

  /// The names of the parameters, such as `:key`; `nil` for those without a name.
  package var parameterNames: [String?] {
    (0..<sqlite3_bind_parameter_count(handle)).map { index in
      sqlite3_bind_parameter_name(handle, index + 1).map { String(cString: $0) }
    }
  }

  /// SQLite copies the bound value before the call returns.
  private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
  nonisolated(unsafe) private static let emptyText: UnsafePointer<CChar> = {
    let text = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
    text.initialize(to: 0)
    return UnsafePointer(text)
  }()

  // MARK: - Columns

  package var columnCount: Int32 { sqlite3_column_count(handle) }

  package func columnName(_ column: Int32) -> String {
    sqlite3_column_name(handle, column).map { String(cString: $0) } ?? ""
  }

  package func isNull(_ column: Int32) -> Bool {
    sqlite3_column_type(handle, column) == SQLITE_NULL
  }

  package func integer(_ column: Int32) -> Int64 {
    sqlite3_column_int64(handle, column)
  }

  package func optionalInteger(_ column: Int32) -> Int64? {
    isNull(column) ? nil : integer(column)
  }

  package func text(_ column: Int32) -> String {
    optionalText(column) ?? ""
  }

  /// The column as text; bytes that are not UTF-8 become replacement characters.
  package func optionalText(_ column: Int32) -> String? {
    guard let start = sqlite3_column_text(handle, column) else { return nil }
    let count = Int(sqlite3_column_bytes(handle, column))
    return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  }

  /// Calls a body with the bytes of a text column; `nil` if it is NULL. The bytes are valid until
  /// the next step.
  package func withText<Result>(
    _ column: Int32, _ body: (UnsafeBufferPointer<UInt8>) -> Result
  ) -> Result? {
    guard let start = sqlite3_column_text(handle, column) else { return nil }
    let count = Int(sqlite3_column_bytes(handle, column))
    return body(UnsafeBufferPointer(start: start, count: count))
  }

  /// The number of bytes of a text or blob column; 0 for NULL.
  package func byteCount(_ column: Int32) -> Int64 {
    isNull(column) ? 0 : Int64(sqlite3_column_bytes(handle, column))
  }

  /// The number of bytes of the text and the blobs of a row.
  package var rowBytes: Int64 {
    var bytes: Int64 = 0
    for column in 0..<columnCount {
      switch sqlite3_column_type(handle, column) {
      case SQLITE_TEXT, SQLITE_BLOB: bytes += Int64(sqlite3_column_bytes(handle, column))
      default: break
      }
    }
    return bytes
  }

  package func bytes(_ column: Int32) -> [UInt8] {
    guard let start = sqlite3_column_blob(handle, column) else { return [] }
    let count = Int(sqlite3_column_bytes(handle, column))
    return Array(UnsafeRawBufferPointer(start: start, count: count))
  }

  /// The column with the type that SQLite stores: null, integer, float, text or bytes.
  package func value(_ column: Int32) -> SQLiteValue {
    switch sqlite3_column_type(handle, column) {
    case SQLITE_INTEGER: .integer(integer(column))
    case SQLITE_FLOAT: .real(sqlite3_column_double(handle, column))
    case SQLITE_TEXT: .text(text(column))
    case SQLITE_BLOB: .blob(bytes(column))
    default: .null
    }
  }
}

/// A value as stored by SQLite: https://sqlite.org/datatype3.html
public enum SQLiteValue: Sendable, Equatable {
  case null
  case integer(Int64)
  case real(Double)
  case text(String)
  case blob([UInt8])
}
