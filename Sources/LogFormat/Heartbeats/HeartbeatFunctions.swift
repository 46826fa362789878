import CSQLite
import TaskLogPlugin

extension Connection {
  /// Registers the SQL functions that the views of heartbeats need: `tasklog_metrics(args, time_ns)`,
  /// an object with each number of the metrics by its name; `tasklog_activity(args, time_ns)`, a list
  /// of `[context, prefix, activity, unit, value]`; and `tasklog_metric_unit(name)`.
  ///
  /// - Parameter unpack: returns the args of an event at a time as an object.
  ///
  /// Invariant of the unsafe code: each function owns a reference to `unpack`, which SQLite gives
  /// back with the destructor once, after the last call.
  package func addHeartbeatFunctions(_ unpack: @escaping (_ args: String, _ time: Int64) -> String)
  {
    for (name, function) in [("tasklog_metrics", metrics), ("tasklog_activity", activity)] {
      sqlite3_create_function_v2(
        handle, name, 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
        Unmanaged.passRetained(Unpacking(unpack)).toOpaque(), function, nil, nil
      ) {
        if let unpacking = $0 { Unmanaged<Unpacking>.fromOpaque(unpacking).release() }
      }
    }
    sqlite3_create_function_v2(
      handle, "tasklog_metric_unit", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nil, unit, nil, nil, nil
    )
  }
}

private final class Unpacking {
  let unpack: (String, Int64) -> String

  init(_ unpack: @escaping (String, Int64) -> String) { self.unpack = unpack }
}

private typealias Arguments = UnsafeMutablePointer<OpaquePointer?>
private typealias Function = @convention(c) (OpaquePointer?, Int32, Arguments?) -> Void

private let metrics: Function = { context, _, arguments in
  make(context, arguments) { args in
    var members: [UInt8] = []
    HeartbeatMetrics.forEach(in: args) { name, number in
      members.append(UInt8(ascii: members.isEmpty ? "{" : ","))
      members += JSONWriter.text(.string(String(decoding: name, as: UTF8.self))).utf8
      members.append(UInt8(ascii: ":"))
      members += number
    }
    return members.isEmpty ? Array("{}".utf8) : members + [UInt8(ascii: "}")]
  }
}

private let activity: Function = { context, _, arguments in
  make(context, arguments) { args in
    var rows: [Value] = []
    HeartbeatMetrics.activities(in: args) {
      rows.append(
        .list([
          .string($0.context), $0.prefix.map(Value.string) ?? .null, .string($0.name),
          .string($0.unit), Int64(exactly: $0.value).map(Value.int) ?? .double($0.value),
        ]))
    }
    return Array(JSONWriter.text(.list(rows)).utf8)
  }
}

private let unit: Function = { context, _, arguments in
  guard let arguments, let name = sqlite3_value_text(arguments[0]),
    let unit = MetricUnit.unit(of: String(cString: name))
  else { return sqlite3_result_null(context) }
  give(context, Array(unit.utf8))
}

/// Gives the JSON that a closure makes of the unpacked args.
private func make(
  _ context: OpaquePointer?, _ arguments: Arguments?,
  _ body: (UnsafeBufferPointer<UInt8>) -> [UInt8]
) {
  guard let arguments, let text = sqlite3_value_text(arguments[0]),
    let unpacking = sqlite3_user_data(context)
  else { return sqlite3_result_null(context) }
  let args = String(
    decoding: UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(arguments[0]))),
    as: UTF8.self)
  var json = Unmanaged<Unpacking>.fromOpaque(unpacking).takeUnretainedValue()
    .unpack(args, sqlite3_value_int64(arguments[1]))
  give(context, json.withUTF8 { body($0) })
}

private func give(_ context: OpaquePointer?, _ text: [UInt8]) {
  text.withUnsafeBytes { bytes in
    bytes.withMemoryRebound(to: CChar.self) {
      sqlite3_result_text64(
        context, $0.baseAddress, UInt64($0.count),
        unsafeBitCast(-1, to: sqlite3_destructor_type.self), UInt8(SQLITE_UTF8))
    }
  }
}
