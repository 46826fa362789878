import CSQLite
import TaskLogPlugin

/// A name of a key, or a pattern of SQL's GLOB: https://sqlite.org/c3ref/strglob.html
public struct KeyPattern: Sendable {
  private let text: String

  public init(_ text: String) {
    self.text = text
  }

  /// As `EventFilter.keys` does, by the text of the key.
  public func matches(_ key: Key) -> Bool {
    key.text.utf8.elementsEqual(text.utf8) || sqlite3_strglob(text, key.text) == 0
  }
}
