import CSQLite
import LogFormat

/// Selects events by their task, in ways that SQL cannot express.
package protocol TaskSelection: AnyObject, Sendable {
  /// Called on the thread that reads the events.
  ///
  /// - Parameters:
  ///   - key: the row ID of the task's key.
  ///   - source: the row ID of the event's source.
  func contains(key: Int64, source: Int64) throws -> Bool
}

extension Connection {
  /// Registers a selection as an SQL function of a key and a source.
  ///
  /// Invariant of the unsafe code: SQLite calls the destructor once, after the last call.
  func add(_ selection: any TaskSelection, as name: String) {
    sqlite3_create_function_v2(
      handle, name, 2, SQLITE_UTF8, Unmanaged.passRetained(SelectionBox(selection)).toOpaque(),
      selectionFunction, nil, nil
    ) {
      if let box = $0 { Unmanaged<SelectionBox>.fromOpaque(box).release() }
    }
  }
}

private final class SelectionBox {
  let selection: any TaskSelection

  init(_ selection: any TaskSelection) {
    self.selection = selection
  }
}

private func selectionFunction(
  _ context: OpaquePointer?, _: Int32, _ arguments: UnsafeMutablePointer<OpaquePointer?>?
) {
  guard let arguments, let key = arguments[0], let source = arguments[1],
    let box = sqlite3_user_data(context)
  else { return sqlite3_result_null(context) }
  guard sqlite3_value_type(key) == SQLITE_INTEGER else { return sqlite3_result_int(context, 0) }
  let selection = Unmanaged<SelectionBox>.fromOpaque(box).takeUnretainedValue().selection
  do {
    let isIn = try selection.contains(
      key: sqlite3_value_int64(key), source: sqlite3_value_int64(source))
    sqlite3_result_int(context, isIn ? 1 : 0)
  } catch {
    sqlite3_result_error(context, "\(error)", -1)
  }
}
