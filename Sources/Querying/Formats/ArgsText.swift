import EventLog
import LogFormat
import TaskLogPlugin

/// Args as shown to people: an exception with its text, never its pickle.
enum ArgsText {
  private static let names: Set<String> = ["exception", "traceback"]

  /// - Parameter json: an object; anything else is returned unchanged.
  static func forPeople(_ json: String) -> String {
    guard names.contains(where: { json.contains("\"\($0)\":") }),
      case .dict(let entries)? = try? JSONReader.value(json)
    else { return json }
    return JSONWriter.text(
      .dict(entries.filter { !names.contains($0.key.string ?? "") || isReadable($0.value) }))
  }

  /// The args as a terminal shows them: without the content of binary values, too.
  static func onTerminal(_ json: String) -> String {
    guard
      json.contains(#""$bytes":"#) || json.contains(#""$blob":"#)
        || names.contains(where: { json.contains("\"\($0)\":") }),
      let value = try? JSONReader.value(forPeople(json))
    else { return json }
    return JSONWriter.text(withoutBytes(value))
  }

  private static func withoutBytes(_ value: Value) -> Value {
    switch value {
    case .bytes(let bytes), .bytearray(let bytes): .string(binary(bytes.count))
    case .tagged("$blob", _), .tagged("$serialized", _): .string("binary")
    case .tagged(let name, let value): .tagged(name, withoutBytes(value))
    case .list(let elements): .list(elements.map(withoutBytes))
    case .tuple(let elements): .tuple(elements.map(withoutBytes))
    case .dict(let entries):
      .dict(
        entries.map { Value.Entry($0.key, withoutBytes($0.value)) })
    default: value
    }
  }

  static func binary(_ count: Int) -> String { "\(Units.bytes(Double(count))) binary" }

  private static func isReadable(_ value: Value) -> Bool {
    switch value {
    case .null, .string, .dict, .list: true
    default: false
    }
  }
}
