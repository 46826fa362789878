import LogFormat
import TaskLogPlugin

/// The name of a key, or a pattern: see `Glob`.
///
/// Keys of several types may have the same text: `1` is a number and a text. After `json:` the key
/// is given as JSON, and only that key matches: `json:1`, `json:"1"`, `json:{"$tuple":["x",1]}`.
package struct KeyPattern: Sendable {
  private static let exactPrefix = "json:"

  private let glob: Glob
  private let exact: Key?

  package init(_ text: String) {
    glob = Glob(text)
    exact = Self.exact(text)
  }

  /// Matches like `EventFilter.keys`; by the text of the key if only that is given.
  package func matches(_ key: Key) -> Bool {
    if let exact { return key == exact }
    return glob.matches(key.text)
  }

  /// The one key that a `json:` name stands for; `nil` if it is text or a pattern.
  static func exact(_ name: String) -> Key? {
    guard name.hasPrefix(exactPrefix) else { return nil }
    return (try? JSONReader.value(String(name.dropFirst(exactPrefix.count)))).flatMap(Key.init)
  }

  /// The name that matches a key and no other.
  package static func exactName(of key: Key) -> String {
    exactPrefix + (key.typed.isEmpty ? JSONWriter.text(.string(key.text)) : key.typed)
  }
}
