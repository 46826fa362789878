/// Patterns of names: `*` matches any bytes, `?` one byte.
struct NamePatterns: Sendable {
  private let patterns: [[UInt8]]
  private let ignoresCase: Bool

  init(_ patterns: [String], ignoresCase: Bool = false) {
    self.ignoresCase = ignoresCase
    self.patterns = patterns.map {
      let bytes = Array($0.utf8)
      return ignoresCase ? bytes.map(Self.lowercase) : bytes
    }
  }

  var isEmpty: Bool { patterns.isEmpty }

  /// Whether one of the patterns matches the entire name.
  func matches(_ name: String) -> Bool {
    var name = name
    return name.withUTF8 { name in patterns.contains { matches(name, $0) } }
  }

  /// On a mismatch after a `*`, goes back to it and lets it match one more byte.
  private func matches(_ name: UnsafeBufferPointer<UInt8>, _ pattern: [UInt8]) -> Bool {
    var (index, patternIndex) = (0, 0)
    var star: (patternIndex: Int, index: Int)?
    while index < name.count {
      let byte = ignoresCase ? Self.lowercase(name[index]) : name[index]
      if patternIndex < pattern.count, pattern[patternIndex] == UInt8(ascii: "*") {
        star = (patternIndex, index)
        patternIndex += 1
      } else if patternIndex < pattern.count,
        pattern[patternIndex] == byte || pattern[patternIndex] == UInt8(ascii: "?")
      {
        index += 1
        patternIndex += 1
      } else if let last = star {
        star = (last.patternIndex, last.index + 1)
        index = last.index + 1
        patternIndex = last.patternIndex + 1
      } else {
        return false
      }
    }
    return pattern[patternIndex...].allSatisfy { $0 == UInt8(ascii: "*") }
  }

  private static func lowercase(_ byte: UInt8) -> UInt8 {
    (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
  }
}
