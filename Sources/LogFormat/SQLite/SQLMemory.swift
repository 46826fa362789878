import CSQLite
import Glibc
import TaskLogPlugin

/// The memory that a user's SQL may take: `TASKLOG_SQL_MEMORY`.
package enum SQLMemory {
  package static let standardBytes: Int64 = 1_000_000_000
  /// What a value, and a row of the result, may take of it.
  package static let shareOfValue: Int64 = 16
  /// With less, the views of a log cannot be read.
  private static let leastBytes: Int64 = 16_000_000

  private static let variable = EnvironmentVariable.sqlMemory.rawValue

  private static var given: String? {
    getenv(variable).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
  }

  /// What is wrong with the variable; `nil` if nothing is.
  package static var problem: String? {
    guard let given else { return nil }
    return parsed(given) == nil
      ? "\(variable)=\(given): expected a size of 16MB or more, such as 4GB" : nil
  }

  private static func parsed(_ text: String) -> Int64? {
    Quantity.bytes(text).map(Int64.init).flatMap { $0 >= leastBytes ? $0 : nil }
  }

  package static var bytes: Int64 { given.flatMap(parsed) ?? standardBytes }

  package static var valueBytes: Int64 { bytes / shareOfValue }

  /// Limits the memory of SQLite in the whole process, which must be our own: a library shares the process
  /// with its host. https://sqlite.org/c3ref/hard_heap_limit64.html
  package static func limitProcess() { sqlite3_hard_heap_limit64(bytes) }
}

extension Connection {
  /// Limits what a statement of a user can make of little: https://sqlite.org/c3ref/limit.html
  ///
  /// The length of values also limits the time of a function of SQL, which nothing interrupts.
  func limitStatements() {
    let bytes = Int32(clamping: SQLMemory.valueBytes)
    for (limit, value) in [
      (SQLITE_LIMIT_LENGTH, bytes), (SQLITE_LIMIT_SQL_LENGTH, 1_000_000),
      (SQLITE_LIMIT_EXPR_DEPTH, 200), (SQLITE_LIMIT_COMPOUND_SELECT, 100),
      (SQLITE_LIMIT_VDBE_OP, 250_000), (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
      (SQLITE_LIMIT_WORKER_THREADS, 0), (SQLITE_LIMIT_ATTACHED, 0),
    ] {
      sqlite3_limit(handle, limit, value)
    }
  }
}
