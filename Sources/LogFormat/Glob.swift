/// A name or a pattern of names, as all options that select keys, workers, args and the like take
/// it.
///
/// `*` stands for any characters or none, `?` for one character, `[ab0-9]` for one of a set, and
/// `[^ab]` or `[!ab]` for one that is not in it. In a set, `]` comes first and `-` first or last to
/// stand for themselves. There is no escape character: `[*]` stands for a star. A `[` without an
/// end stands for itself, and a text that is equal to the pattern matches.
///
/// `filtering.py` and `_encode.h` of the Python package match in the same way; the cases of
/// `Tests/Python/globs.json` hold all of them equal.
package struct Glob: Sendable {
  private enum Part: Sendable {
    case byte(UInt8)
    case one
    case many
    case set([ClosedRange<UInt32>], isNegated: Bool)
  }

  private let text: [UInt8]
  private let ignoresCase: Bool
  /// Empty if the pattern is a name.
  private let parts: [Part]

  /// - Parameter ignoresCase: whether the case of ASCII letters is ignored.
  package init(_ pattern: String, ignoresCase: Bool = false) {
    self.ignoresCase = ignoresCase
    let bytes = ignoresCase ? pattern.utf8.map(Self.lowercase) : Array(pattern.utf8)
    text = bytes
    parts = Self.isPattern(pattern) ? Self.parts(String(decoding: bytes, as: UTF8.self)) : []
  }

  /// Whether it may match more than itself.
  package static func isPattern(_ text: String) -> Bool {
    text.utf8.contains { "*?[".utf8.contains($0) }
  }

  /// A pattern that matches nothing but a text.
  package static func quoted(_ text: String) -> String {
    var quoted = ""
    for character in text.unicodeScalars {
      quoted += "*?[".unicodeScalars.contains(character) ? "[\(character)]" : String(character)
    }
    return quoted
  }

  package func matches(_ name: String) -> Bool {
    var name = name
    return name.withUTF8 { matches($0) }
  }

  package func matches(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
    if equals(name) { return true }
    guard !parts.isEmpty else { return false }
    var (index, part) = (0, 0)
    // On a mismatch after a `*`, it matches one more character.
    var last: (part: Int, index: Int)?
    while index < name.count {
      if part < parts.count, case .many = parts[part] {
        part += 1
        last = (part, index)
      } else if part < parts.count, let end = end(of: parts[part], at: index, in: name) {
        part += 1
        index = end
      } else if let star = last {
        index = Self.character(in: name, at: star.index).end
        part = star.part
        last = (part, index)
      } else {
        return false
      }
    }
    return parts[part...].allSatisfy { if case .many = $0 { true } else { false } }
  }

  private func equals(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
    guard name.count == text.count else { return false }
    for index in 0..<name.count where fold(name[index]) != text[index] { return false }
    return true
  }

  /// The end of the character here, if the part matches it.
  private func end(
    of part: Part, at index: Int, in name: UnsafeBufferPointer<UInt8>
  ) -> Int? {
    switch part {
    case .byte(let byte): return fold(name[index]) == byte ? index + 1 : nil
    case .one: return Self.character(in: name, at: index).end
    case .set(let ranges, let isNegated):
      var (code, end) = Self.character(in: name, at: index)
      if code < 0x80 { code = UInt32(fold(UInt8(code))) }
      return ranges.contains { $0.contains(code) } != isNegated ? end : nil
    case .many: return nil
    }
  }

  /// A character of valid UTF-8.
  private static func character(
    in name: UnsafeBufferPointer<UInt8>, at index: Int
  ) -> (code: UInt32, end: Int) {
    let first = UInt32(name[index])
    if first < 0x80 { return (first, index + 1) }
    var code = first & (first < 0xE0 ? 0x1F : first < 0xF0 ? 0x0F : 0x07)
    var end = index + 1
    while end < name.count, name[end] & 0xC0 == 0x80 {
      code = code << 6 | UInt32(name[end] & 0x3F)
      end += 1
    }
    return (code, end)
  }

  @inline(__always)
  private func fold(_ byte: UInt8) -> UInt8 { ignoresCase ? Self.lowercase(byte) : byte }

  private static func lowercase(_ byte: UInt8) -> UInt8 {
    (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
  }

  // MARK: - Parsing

  private static func parts(_ pattern: String) -> [Part] {
    let scalars = Array(pattern.unicodeScalars)
    var parts: [Part] = []
    var index = 0
    while index < scalars.count {
      switch scalars[index] {
      case "*": parts.append(.many)
      case "?": parts.append(.one)
      case "[":
        if let set = set(scalars, at: index) {
          parts.append(.set(set.ranges, isNegated: set.isNegated))
          index = set.end
        } else {
          parts.append(.byte(UInt8(ascii: "[")))
        }
      case let scalar: parts += (UTF8.encode(scalar).map(Array.init) ?? []).map(Part.byte)
      }
      index += 1
    }
    return parts
  }

  /// - Returns: `nil` if it has no end.
  private static func set(
    _ scalars: [Unicode.Scalar], at start: Int
  ) -> (ranges: [ClosedRange<UInt32>], isNegated: Bool, end: Int)? {
    var index = start + 1
    let isNegated = index < scalars.count && ["^", "!"].contains(scalars[index])
    if isNegated { index += 1 }
    guard index < scalars.count, let end = scalars[(index + 1)...].firstIndex(of: "]") else {
      return nil
    }
    var ranges: [ClosedRange<UInt32>] = []
    while index < end {
      let first = scalars[index].value
      if index + 2 < end, scalars[index + 1] == "-" {
        let last = scalars[index + 2].value
        if first <= last { ranges.append(first...last) }
        index += 3
      } else {
        ranges.append(first...first)
        index += 1
      }
    }
    return (ranges, isNegated, end)
  }

  // MARK: - SQL

  /// The same as a pattern of SQLite's operator GLOB, but for a text that is equal to this one:
  /// https://sqlite.org/c3ref/strglob.html
  package var sql: String {
    var bytes: [UInt8] = []
    for part in parts {
      switch part {
      case .byte(UInt8(ascii: "[")): bytes += "[[]".utf8
      case .byte(let byte): bytes.append(byte)
      case .one: bytes.append(UInt8(ascii: "?"))
      case .many: bytes.append(UInt8(ascii: "*"))
      case .set(let ranges, let isNegated): bytes += Self.sql(ranges, isNegated).utf8
      }
    }
    return parts.isEmpty
      ? String(decoding: text, as: UTF8.self) : String(decoding: bytes, as: UTF8.self)
  }

  private static func sql(_ ranges: [ClosedRange<UInt32>], _ isNegated: Bool) -> String {
    // What matches no character, and what matches any.
    guard !ranges.isEmpty else { return isNegated ? "?" : "[^\u{1}-\u{10FFFF}]" }
    var special: Set<Unicode.Scalar> = []
    var plain = ""
    for range in ranges {
      var (first, last) = (range.lowerBound, range.upperBound)
      // `]`, `-` and `^` mean something else in some positions, so they are not ends of ranges.
      func isSpecial(_ code: UInt32) -> Bool {
        guard let scalar = Unicode.Scalar(code), "]-^".unicodeScalars.contains(scalar) else {
          return false
        }
        special.insert(scalar)
        return true
      }
      while first <= last, isSpecial(first) { first += 1 }
      while first < last, isSpecial(last) { last -= 1 }
      guard first <= last, let start = Unicode.Scalar(first), let end = Unicode.Scalar(last) else {
        continue
      }
      plain.unicodeScalars.append(start)
      if first < last {
        plain += "-"
        plain.unicodeScalars.append(end)
      }
    }
    if plain.isEmpty, special == ["^"], !isNegated { return "^" }
    let caret = special.contains("^") ? "^" : ""
    let hyphen = special.contains("-") ? "-" : ""
    let content = (special.contains("]") ? "]" : "") + plain
    // A caret must not be first, a hyphen is first or last.
    let end = content.isEmpty && !isNegated ? hyphen + caret : caret + hyphen
    return (isNegated ? "[^" : "[") + content + end + "]"
  }
}
