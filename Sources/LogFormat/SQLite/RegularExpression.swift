import CSQLite
import Glibc

/// A POSIX extended regular expression, as in `grep -E`.
///
/// Invariant of the unsafe code: `compiled` was filled by a successful `regcomp` and is freed once.
package final class RegularExpression {
  /// Why a pattern is invalid.
  package struct Malformed: Error, Sendable {
    package var reason: String
  }

  private let compiled: UnsafeMutablePointer<regex_t>

  /// - Throws: `Malformed`.
  package init(_ pattern: String) throws(Malformed) {
    let compiled = UnsafeMutablePointer<regex_t>.allocate(capacity: 1)
    let code = regcomp(compiled, pattern, REG_EXTENDED | REG_NOSUB)
    guard code == 0 else {
      var text = [CChar](repeating: 0, count: 256)
      let length = regerror(code, compiled, &text, text.count)
      compiled.deallocate()
      throw Malformed(
        reason: String(
          decoding: text.prefix(max(0, min(length, text.count) - 1)).map(UInt8.init(bitPattern:)),
          as: UTF8.self))
    }
    self.compiled = compiled
  }

  deinit {
    regfree(compiled)
    compiled.deallocate()
  }

  fileprivate func matches(_ text: UnsafePointer<CChar>) -> Bool {
    regexec(compiled, text, 0, nil, 0) == 0
  }
}

extension Connection {
  /// Implements SQL's operator REGEXP: https://sqlite.org/lang_expr.html#regexp
  package func addRegularExpressions() {
    sqlite3_create_function_v2(
      handle, "regexp", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nil, regexp, nil, nil, nil)
  }
}

/// `regexp(pattern, text)`. The pattern is compiled once per statement if it is a constant:
/// https://sqlite.org/c3ref/get_auxdata.html
private func regexp(
  _ context: OpaquePointer?, _: Int32, _ arguments: UnsafeMutablePointer<OpaquePointer?>?
) {
  guard let arguments, let text = sqlite3_value_text(arguments[1]) else {
    return sqlite3_result_null(context)
  }
  let expression: RegularExpression
  if let cached = sqlite3_get_auxdata(context, 0) {
    expression = Unmanaged<RegularExpression>.fromOpaque(cached).takeUnretainedValue()
  } else {
    guard let pattern = sqlite3_value_text(arguments[0]) else {
      return sqlite3_result_null(context)
    }
    do {
      expression = try RegularExpression(String(cString: pattern))
    } catch {
      return sqlite3_result_error(context, "REGEXP: \(error.reason)", -1)
    }
    sqlite3_set_auxdata(context, 0, Unmanaged.passRetained(expression).toOpaque()) {
      if let retained = $0 { Unmanaged<RegularExpression>.fromOpaque(retained).release() }
    }
  }
  text.withMemoryRebound(to: CChar.self, capacity: Int(sqlite3_value_bytes(arguments[1])) + 1) {
    sqlite3_result_int(context, expression.matches($0) ? 1 : 0)
  }
}
