import Foundation
import Testing

/// A connection of a second copy of SQLite in this process, whose locks are the process's, such as
/// a library contains that does not know our copy.
final class OtherSQLite {
  private typealias Open =
    @convention(c) (
      UnsafePointer<CChar>, UnsafeMutablePointer<OpaquePointer?>, Int32, UnsafePointer<CChar>?
    ) -> Int32
  private typealias Execute =
    @convention(c) (
      OpaquePointer?, UnsafePointer<CChar>, UnsafeRawPointer?, UnsafeRawPointer?,
      UnsafeRawPointer?
    ) -> Int32
  private typealias Close = @convention(c) (OpaquePointer?) -> Int32

  /// https://sqlite.org/rescode.html#busy
  static let busy: Int32 = 5

  private let handle: OpaquePointer
  private let executeFunction: Execute
  private let closeFunction: Close

  init(path: String) throws {
    let library = try #require(dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL))
    func function<Function>(_ name: String, _: Function.Type) throws -> Function {
      unsafeBitCast(try #require(dlsym(library, name)), to: Function.self)
    }
    executeFunction = try function("sqlite3_exec", Execute.self)
    closeFunction = try function("sqlite3_close_v2", Close.self)
    var handle: OpaquePointer?
    // For reading and writing.
    let code = try function("sqlite3_open_v2", Open.self)(path, &handle, 2, nil)
    try #require(code == 0)
    self.handle = try #require(handle)
  }

  deinit { _ = closeFunction(handle) }

  /// Returns SQLite's result code; rows are discarded.
  @discardableResult
  func execute(_ sql: String) -> Int32 { executeFunction(handle, sql, nil, nil, nil) }
}

/// A Python script that runs during a test. Foundation's `Process` now and then misses the death of
/// a child, so it is not used here.
final class PythonScript {
  private let stream: UnsafeMutablePointer<FILE>

  init(_ script: String, _ arguments: [String]) throws {
    let words = ["python3", "-c", script] + arguments
    let quoted = words.map { "'" + $0.replacingOccurrences(of: "'", with: "'\\''") + "'" }
    stream = try #require(popen(quoted.joined(separator: " "), "r"))
  }

  /// The next line that it prints, without its end; `nil` if there is none.
  func line() -> String? {
    var buffer = [CChar](repeating: 0, count: 4096)
    guard fgets(&buffer, Int32(buffer.count), stream) != nil else { return nil }
    let text = String(
      decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return text.hasSuffix("\n") ? String(text.dropLast()) : text
  }

  /// Waits for its end.
  deinit { pclose(stream) }
}

/// Runs SQL in a separate process, without waiting for locks.
///
/// - Returns: the first row as text, or `locked`.
func sqlInOtherProcess(_ text: String, on path: String) throws -> String {
  let script = """
    import sqlite3, sys
    connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
    try:
        rows = [connection.execute(sql).fetchall() for sql in sys.argv[2].split(";")][-1]
        print(rows[0] if rows else "")
    except sqlite3.OperationalError as error:
        print("locked" if "locked" in str(error) else error)
    """
  return try #require(try PythonScript(script, [path, text]).line())
}
