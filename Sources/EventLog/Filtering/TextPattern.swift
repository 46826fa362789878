import CSQLite

/// A text, or a pattern of SQL's GLOB, matched as in `EventFilter`: a text with brackets in it (a
/// key, an IPv6 address) matches itself, too. https://sqlite.org/c3ref/strglob.html
package struct TextPattern: Sendable {
  package let text: String

  package init(_ text: String) {
    self.text = text
  }

  package func matches(_ other: String) -> Bool {
    other.utf8.elementsEqual(text.utf8)
      || text.utf8.contains { "*?[".utf8.contains($0) } && sqlite3_strglob(text, other) == 0
  }
}

extension [TextPattern] {
  package func anyMatches(_ text: String) -> Bool { contains { $0.matches(text) } }
}
