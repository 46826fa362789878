/// Errors of a query's cursor.
package enum EventQueryError: Error, Sendable, Equatable, CustomStringConvertible {
  case cursorCount(Int, logs: Int)
  case unknownCursor(String, log: String)

  package var description: String {
    switch self {
    case .cursorCount(let cursors, let logs):
      "--after-cursor: expected one cursor per log, but got \(cursors) for "
        + Printable.count(logs, "log")
    case .unknownCursor(let cursor, let log):
      "--after-cursor \(cursor): this event is not in \(log)"
    }
  }
}
