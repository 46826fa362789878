/// Dask's two ways to bundle keys.
extension Key {
  /// The prefix: `dask.utils.key_split`.
  ///
  /// `x-1` and `('x-2', 1)` give `x`, `hello-world-1` gives `hello-world`, 32 hexadecimal digits
  /// give `data`.
  public var prefix: String {
    Self.prefix(of: value)
  }

  /// The group: `distributed.utils.key_split_group`. For a tuple, its first element unchanged.
  public var group: String {
    switch value {
    case .tuple(let elements): return elements.first.flatMap(Key.init)?.text ?? "Other"
    case .string, .wtf8:
      if text.unicodeScalars.first == "(" {
        return Self.strip(text.unicodeScalars.prefix { $0 != "," }, "()\"'")
      }
      if Self.isHash(text) { return "data" }
      if text.unicodeScalars.first == "<" { return Self.className(text) ?? "Other" }
      return Self.prefix(of: text) ?? "Other"
    default: return "Other"
    }
  }

  private static func prefix(of value: Value) -> String {
    switch value {
    case .tuple(let elements): elements.first.map(prefix(of:)) ?? "Other"
    // The display text: NUL and lone surrogates are escaped, which splits no differently.
    case .string, .wtf8: Key(value).flatMap { prefix(of: $0.text) } ?? "Other"
    default: "Other"
    }
  }

  /// As in Python everything works on code points: a combining mark is a separate character.
  private static func prefix(of text: String) -> String? {
    let words = text.unicodeScalars.split(separator: "-", omittingEmptySubsequences: false)
    guard let first = words.first, let initial = first.first else { return nil }
    var result =
      isAlpha(initial) ? String(first) : strip(first.prefix { $0 != "," }, "_'()\"")
    for word in words.dropFirst() {
      guard !word.isEmpty, word.allSatisfy(isAlpha),
        !(word.count == 8 && ("a"..."f").contains(word.first ?? " "))
      else { break }
      result += "-" + String(word)
    }
    if isHash(result) { return "data" }
    guard let initial = result.unicodeScalars.first else { return nil }
    return initial == "<" ? className(result) : result
  }

  /// `re.match("[a-f0-9]{32}")` on 32 characters.
  private static func isHash(_ text: String) -> Bool {
    text.utf8.count == 32
      && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }

  /// `<module.Class object at 0x…>` gives `Class`.
  private static func className(_ text: String) -> String? {
    let words = strip(text.unicodeScalars[...], "<>").unicodeScalars.split(whereSeparator: isSpace)
    let path = words.first?.split(separator: ".", omittingEmptySubsequences: false)
    return path?.last.map { String($0) }
  }

  /// `str.isalpha` of one character.
  private static func isAlpha(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) }
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
      return true
    default: return false
    }
  }

  /// `str.isspace` of one character.
  private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isWhitespace || ("\u{1c}"..."\u{1f}").contains(scalar)
  }

  private static func strip(
    _ text: Substring.UnicodeScalarView, _ characters: String
  ) -> String {
    var slice = text
    while let first = slice.first, characters.unicodeScalars.contains(first) {
      slice.removeFirst()
    }
    while let last = slice.last, characters.unicodeScalars.contains(last) { slice.removeLast() }
    return String(slice)
  }
}
