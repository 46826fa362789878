import EventLog
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

  private static func isReadable(_ value: Value) -> Bool {
    switch value {
    case .null, .string, .dict, .list: true
    default: false
    }
  }
}
