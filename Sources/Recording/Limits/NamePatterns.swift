/// Patterns of names: `*` is any bytes, `?` is one.
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

  /// Whether one of the patterns matches all of a name.
  func matches(_ name: String) -> Bool {
    var name = name
    return name.withUTF8 { name in patterns.contains { matches(name, $0) } }
  }

  /// On a mismatch behind a `*` goes back to it and lets it take one more byte.
  private func matches(_ name: UnsafeBufferPointer<UInt8>, _ pattern: [UInt8]) -> Bool {
    var (place, part) = (0, 0)
    var star: (part: Int, place: Int)?
    while place < name.count {
      let byte = ignoresCase ? Self.lowercase(name[place]) : name[place]
      if part < pattern.count, pattern[part] == UInt8(ascii: "*") {
        star = (part, place)
        part += 1
      } else if part < pattern.count,
        pattern[part] == byte || pattern[part] == UInt8(ascii: "?")
      {
        place += 1
        part += 1
      } else if let last = star {
        star = (last.part, last.place + 1)
        place = last.place + 1
        part = last.part + 1
      } else {
        return false
      }
    }
    return pattern[part...].allSatisfy { $0 == UInt8(ascii: "*") }
  }

  private static func lowercase(_ byte: UInt8) -> UInt8 {
    (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
  }
}
