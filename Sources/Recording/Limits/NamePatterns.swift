import LogFormat

/// Patterns of names: see `Glob`.
struct NamePatterns: Sendable {
  private let globs: [Glob]

  init(_ patterns: [String], ignoresCase: Bool = false) {
    globs = patterns.map { Glob($0, ignoresCase: ignoresCase) }
  }

  var isEmpty: Bool { globs.isEmpty }

  /// Whether one of the patterns matches the entire name.
  func matches(_ name: String) -> Bool {
    var name = name
    return name.withUTF8 { name in globs.contains { $0.matches(name) } }
  }
}
