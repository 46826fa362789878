import CSQLite

extension Connection {
  /// Implements SQL's operator REGEXP: https://sqlite.org/lang_expr.html#regexp
  package func addRegularExpressions() {
    sqlite3_create_function_v2(
      handle, "regexp", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nil, regexp, nil, nil, nil)
  }

  /// Registers the SQL function `tasklog_matches(pattern, name)`, which compares as all options that
  /// take a name or a pattern do: see `Glob`.
  package func addNames() {
    sqlite3_create_function_v2(
      handle, "tasklog_matches", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nil, matches, nil, nil, nil)
  }
}

private typealias Arguments = UnsafeMutablePointer<OpaquePointer?>

/// `regexp(pattern, text)`.
private func regexp(_ context: OpaquePointer?, _: Int32, _ arguments: Arguments?) {
  guard let arguments, let text = sqlite3_value_text(arguments[1]) else {
    return sqlite3_result_null(context)
  }
  do {
    guard let expression = try pattern(context, arguments, { try RegularExpression($0) }) else {
      return sqlite3_result_null(context)
    }
    text.withMemoryRebound(to: CChar.self, capacity: Int(sqlite3_value_bytes(arguments[1])) + 1) {
      sqlite3_result_int(context, expression.matches($0) ? 1 : 0)
    }
  } catch let error as RegularExpression.Malformed {
    sqlite3_result_error(context, "REGEXP: \(error.reason)", -1)
  } catch {
    sqlite3_result_error(context, "REGEXP: \(error)", -1)
  }
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
  let pattern = try parse(String(cString: text))
  sqlite3_set_auxdata(context, 0, Unmanaged.passRetained(pattern).toOpaque()) {
    if let retained = $0 { Unmanaged<AnyObject>.fromOpaque(retained).release() }
  }
  return pattern
}
