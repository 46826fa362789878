import CSQLite
import CSupport

extension Connection {
  /// Implements SQL's operator REGEXP: https://sqlite.org/lang_expr.html#regexp
  ///
  /// - Parameter isInterrupted: whether the statement is to stop, asked during long searches.
  package func addRegularExpressions(
    unless isInterrupted: @escaping @Sendable () -> Bool = { false }
  ) {
    let context = Unmanaged.passRetained(Interruption(isInterrupted)).toOpaque()
    sqlite3_create_function_v2(
      handle, "regexp", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, context, regexp, nil, nil,
      { if let context = $0 { Unmanaged<Interruption>.fromOpaque(context).release() } })
  }

  /// Replaces SQL's `instr(text, part)`, which compares the whole part at each place of the text:
  /// https://sqlite.org/lang_corefunc.html#instr
  package func addSearch() {
    sqlite3_create_function_v2(
      handle, "instr", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nil, instr, nil, nil, nil)
  }

  /// Registers the SQL function `tasklog_matches(pattern, name)`, which compares as all options that
  /// take a name or a pattern do: see `Glob`.
  package func addNames() {
    sqlite3_create_function_v2(
      handle, "tasklog_matches", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nil, matches, nil, nil, nil)
  }
}

private typealias Arguments = UnsafeMutablePointer<OpaquePointer?>

/// The context of `regexp`.
private final class Interruption: Sendable {
  let isRequested: @Sendable () -> Bool

  init(_ isRequested: @escaping @Sendable () -> Bool) { self.isRequested = isRequested }
}

/// `regexp(pattern, text)`.
private func regexp(_ context: OpaquePointer?, _: Int32, _ arguments: Arguments?) {
  guard let arguments, let text = sqlite3_value_text(arguments[1]),
    let data = sqlite3_user_data(context)
  else { return sqlite3_result_null(context) }
  do {
    guard let expression = try pattern(context, arguments, { try RegularExpression($0) }) else {
      return sqlite3_result_null(context)
    }
    // SQLite retains it as long as the function is there.
    let interruption = Unmanaged<Interruption>.fromOpaque(data).takeUnretainedValue()
    let bytes = UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(arguments[1])))
    if let isMatch = expression.matches(bytes, unless: interruption.isRequested) {
      sqlite3_result_int(context, isMatch ? 1 : 0)
    } else {
      sqlite3_result_error_code(context, SQLITE_INTERRUPT)
    }
  } catch let error as RegularExpression.Malformed {
    sqlite3_result_error(context, "REGEXP: \(error.reason)", -1)
  } catch {
    sqlite3_result_error(context, "REGEXP: \(error)", -1)
  }
}

/// `instr(text, part)`: the position of the part in bytes of a blob or in characters of a text.
private func instr(_ context: OpaquePointer?, _: Int32, _ arguments: Arguments?) {
  guard let arguments, sqlite3_value_type(arguments[0]) != SQLITE_NULL,
    sqlite3_value_type(arguments[1]) != SQLITE_NULL
  else { return sqlite3_result_null(context) }
  let areBlobs =
    sqlite3_value_type(arguments[0]) == SQLITE_BLOB
    && sqlite3_value_type(arguments[1]) == SQLITE_BLOB
  func bytes(_ argument: OpaquePointer?) -> UnsafeRawBufferPointer {
    let start =
      areBlobs
      ? sqlite3_value_blob(argument) : UnsafeRawPointer(sqlite3_value_text(argument))
    return UnsafeRawBufferPointer(
      start: start, count: start == nil ? 0 : Int(sqlite3_value_bytes(argument)))
  }
  let (text, part) = (bytes(arguments[0]), bytes(arguments[1]))
  guard let wanted = part.baseAddress, !part.isEmpty else {
    return sqlite3_result_int(context, 1)
  }
  guard let start = text.baseAddress, let found = tl_find(start, text.count, wanted, part.count)
  else { return sqlite3_result_int(context, 0) }
  let before = text[..<(found - start)]
  // Each character has one byte that continues none.
  let count = areBlobs ? before.count : before.count { $0 & 0xC0 != 0x80 }
  sqlite3_result_int64(context, Int64(count) + 1)
}

private final class NamePattern {
  let glob: Glob

  init(_ text: String) { glob = Glob(text) }
}

/// `tasklog_matches(pattern, name)`.
private func matches(_ context: OpaquePointer?, _: Int32, _ arguments: Arguments?) {
  guard let arguments, let name = sqlite3_value_text(arguments[1]),
    let pattern = pattern(context, arguments, NamePattern.init)
  else { return sqlite3_result_null(context) }
  let bytes = UnsafeBufferPointer(start: name, count: Int(sqlite3_value_bytes(arguments[1])))
  sqlite3_result_int(context, pattern.glob.matches(bytes) ? 1 : 0)
}

/// The first argument, parsed once per statement if it is a constant:
/// https://sqlite.org/c3ref/get_auxdata.html
///
/// - Returns: `nil` if the argument is NULL.
private func pattern<Pattern: AnyObject>(
  _ context: OpaquePointer?, _ arguments: Arguments, _ parse: (String) throws -> Pattern
) rethrows -> Pattern? {
  if let cached = sqlite3_get_auxdata(context, 0) {
    return Unmanaged<Pattern>.fromOpaque(cached).takeUnretainedValue()
  }
  guard let text = sqlite3_value_text(arguments[0]) else { return nil }
  let bytes = UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(arguments[0])))
  let pattern = try parse(String(decoding: bytes, as: UTF8.self))
  sqlite3_set_auxdata(context, 0, Unmanaged.passRetained(pattern).toOpaque()) {
    if let retained = $0 { Unmanaged<AnyObject>.fromOpaque(retained).release() }
  }
  return pattern
}
