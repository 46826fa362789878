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

  func matches(_ text: UnsafePointer<CChar>) -> Bool {
    regexec(compiled, text, 0, nil, 0) == 0
  }
}
