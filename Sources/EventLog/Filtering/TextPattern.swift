import LogFormat

/// A text, or a pattern, matched as in `EventFilter`; see `Glob`.
package struct TextPattern: Sendable {
  package let text: String
  private let glob: Glob

  package init(_ text: String) {
    self.text = text
    glob = Glob(text)
  }

  package func matches(_ other: String) -> Bool { glob.matches(other) }
}

extension [TextPattern] {
  package func anyMatches(_ text: String) -> Bool { contains { $0.matches(text) } }
}
