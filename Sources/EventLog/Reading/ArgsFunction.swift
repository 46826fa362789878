import CSQLite
import LogFormat

extension Connection {
  /// Registers the SQL function `tasklog_args(args, time_ns)`: the args of an event as an object,
  /// also if the log has those of a heartbeat packed.
  ///
  /// Invariant of the unsafe code: SQLite calls the destructor once, after the last call.
  ///
  /// With it come the functions of `addHeartbeatFunctions`.
  func addArgs(_ blobs: LogBlobs) {
    addHeartbeatFunctions { blobs.args($0, time: $1) }
    sqlite3_create_function_v2(
      handle, "tasklog_args", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
      Unmanaged.passRetained(blobs).toOpaque(), argsFunction, nil, nil
    ) {
      if let blobs = $0 { Unmanaged<LogBlobs>.fromOpaque(blobs).release() }
    }
  }
}

private func argsFunction(
  _ context: OpaquePointer?, _: Int32, _ arguments: UnsafeMutablePointer<OpaquePointer?>?
) {
  guard let arguments, let args = arguments[0], let blobs = sqlite3_user_data(context) else {
    return sqlite3_result_null(context)
  }
  // An object is passed on unchanged.
  guard let text = sqlite3_value_text(args), text[0] == UInt8(ascii: "\"") else {
    return sqlite3_result_value(context, args)
  }
  let packed = String(
    decoding: UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(args))),
    as: UTF8.self)
  var json = Unmanaged<LogBlobs>.fromOpaque(blobs).takeUnretainedValue()
    .args(packed, time: sqlite3_value_int64(arguments[1]))
  json.withUTF8 { bytes in
    bytes.withMemoryRebound(to: CChar.self) {
      sqlite3_result_text64(
        context, $0.baseAddress, UInt64($0.count),
        unsafeBitCast(-1, to: sqlite3_destructor_type.self), UInt8(SQLITE_UTF8))
    }
  }
}
