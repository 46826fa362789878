/// Splits the text of a key into tokens and what stays between them.
enum KeyParts {
  enum Part: Equatable {
    case token([UInt8])
    case separator([UInt8])
  }

  /// A byte below it separates tokens.
  static let firstOfToken = UInt8(ascii: "0")
  /// What `dask.utils.key_split` strips from a first word that does not begin with a letter.
  private static let stripped = Set("_'()\"".utf8)
  private static let angles = Set("<>".utf8)

  static func split(_ text: [UInt8]) -> [Part] {
    let (lead, trail) = strippedRanges(text)
    var parts: [Part] = []
    func separate(_ bytes: ArraySlice<UInt8>) {
      if !bytes.isEmpty { parts.append(.separator(Array(bytes))) }
    }
    separate(text[..<lead])
    appendTokens(text[lead..<trail.lowerBound], to: &parts)
    separate(text[trail])
    appendTokens(text[trail.upperBound...], to: &parts)
    return parts
  }

  private static func appendTokens(_ text: ArraySlice<UInt8>, to parts: inout [Part]) {
    var start = text.startIndex
    while start < text.endIndex {
      let isToken = text[start] >= firstOfToken
      var end = start
      while end < text.endIndex, (text[end] >= firstOfToken) == isToken { end += 1 }
      let bytes = Array(text[start..<end])
      parts.append(isToken ? .token(bytes) : .separator(bytes))
      start = end
    }
  }

  /// What `key_split` removes from the beginning and from the end of the first word: it stays, so that
  /// the same is removed from the pseudonym.
  private static func strippedRanges(_ text: [UInt8]) -> (lead: Int, trail: Range<Int>) {
    let none = (lead: 0, trail: text.count..<text.count)
    let scalars = String(decoding: text.prefix(4), as: UTF8.self).unicodeScalars
    guard let initial = scalars.first, !isAlpha(initial) else { return none }
    let word = text.prefix { $0 != UInt8(ascii: "-") }
    let core = word.prefix { $0 != UInt8(ascii: ",") }
    var lead = 0
    while lead < core.count, stripped.contains(core[lead]) { lead += 1 }
    if lead == core.count { return (lead, lead..<lead) }
    var trail = core.count
    while stripped.contains(core[trail - 1]) { trail -= 1 }
    var range = trail..<core.count
    if core[lead] == UInt8(ascii: "<") {
      // `<module.Class object at …>`, of which the name of the class is the prefix.
      while lead < trail, angles.contains(core[lead]) { lead += 1 }
      let hasSpace = core[lead..<trail].contains { $0 <= 0x20 }
      if !hasSpace, !continues(text[word.count...]) {
        while trail > lead, angles.contains(core[trail - 1]) { trail -= 1 }
        range = trail..<core.count
      }
    }
    return (lead, range)
  }

  /// Whether `key_split` adds the next word to the prefix.
  private static func continues(_ rest: ArraySlice<UInt8>) -> Bool {
    let word = rest.dropFirst().prefix { $0 != UInt8(ascii: "-") }
    return !word.isEmpty && isWord(word)
  }

  /// Whether `key_split` takes a word as a part of a name, and not as a hash or a number.
  static func isWord(_ bytes: some Sequence<UInt8>) -> Bool {
    let scalars = String(decoding: Array(bytes), as: UTF8.self).unicodeScalars
    guard scalars.allSatisfy(isAlpha) else { return false }
    return !(scalars.count == 8 && scalars.first.map { ("a"..."f").contains($0) } == true)
  }

  /// `str.isalpha` of one character.
  static func isAlpha(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) }
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
      return true
    default: return false
    }
  }
}
