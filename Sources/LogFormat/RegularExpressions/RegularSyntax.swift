/// What a regular expression says, as a tree.
indirect enum RegularSyntax {
  case empty
  case set(ScalarSet)
  case assertion(RegularAssertion)
  case sequence([RegularSyntax])
  case alternatives([RegularSyntax])
  /// - most: `nil` for any number.
  case repeated(RegularSyntax, least: Int, most: Int?)
}

/// A condition on a position between two characters.
enum RegularAssertion: Sendable {
  case textStart, textEnd, lineStart, lineEnd, wordBoundary, noWordBoundary, wordStart, wordEnd

  /// Whether it depends only on the character before.
  var looksBack: Bool { self == .textStart || self == .lineStart }
}

/// Parses the text of a regular expression.
struct RegularParser {
  /// What parentheses can change.
  struct Flags {
    var ignoresCase = false
    var isMultiline = false
  }

  private static let deepest = 100
  private static let longest = 10_000
  private static let mostRepetitions = 1000

  var scalars: [Unicode.Scalar]
  var index = 0
  var flags = Flags()
  private var depth = 0

  /// - Throws: `RegularExpression.Malformed`.
  static func parse(_ pattern: String) throws(RegularExpression.Malformed) -> RegularSyntax {
    guard pattern.unicodeScalars.count <= longest else {
      throw RegularExpression.Malformed(
        reason: "it has \(pattern.unicodeScalars.count) characters, of at most \(longest)")
    }
    var parser = RegularParser(scalars: Array(pattern.unicodeScalars))
    let syntax = try parser.alternatives()
    guard parser.next == nil else { throw parser.malformed("a ) closes no group; write \\)") }
    return syntax
  }

  private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

  var next: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }

  /// Whether the text continues so.
  func continues(_ text: String) -> Bool { scalars[index...].starts(with: text.unicodeScalars) }

  mutating func take(_ text: String) -> Bool {
    guard continues(text) else { return false }
    index += text.unicodeScalars.count
    return true
  }

  func malformed(_ reason: String) -> RegularExpression.Malformed {
    RegularExpression.Malformed(reason: reason)
  }

  private mutating func alternatives() throws(RegularExpression.Malformed) -> RegularSyntax {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.deepest else {
      throw malformed("groups are nested deeper than \(Self.deepest)")
    }
    var parts = [try sequence()]
    while take("|") { parts.append(try sequence()) }
    return parts.count == 1 ? parts[0] : .alternatives(parts)
  }

  private mutating func sequence() throws(RegularExpression.Malformed) -> RegularSyntax {
    var parts: [RegularSyntax] = []
    while let next, next != "|", next != ")" { parts.append(try repeated()) }
    return parts.count == 1 ? parts[0] : .sequence(parts)
  }

  // MARK: - Quantifiers

  private mutating func repeated() throws(RegularExpression.Malformed) -> RegularSyntax {
    guard try quantifier() == nil else { throw malformed("there is nothing before a quantifier") }
    let atom = try atom()
    guard let (least, most) = try quantifier() else { return atom }
    // How much is taken makes no difference to whether there is a match.
    if !take("?"), next == "+" {
      throw malformed("possessive quantifiers, as a*+, are not supported")
    }
    guard try quantifier() == nil else {
      throw malformed("a quantifier follows another one; put what is repeated in a group")
    }
    if case .assertion = atom { throw malformed("there is nothing before a quantifier") }
    return .repeated(atom, least: least, most: most)
  }

  private mutating func quantifier() throws(RegularExpression.Malformed) -> (Int, Int?)? {
    if take("*") { return (0, nil) }
    if take("+") { return (1, nil) }
    if take("?") { return (0, 1) }
    return next == "{" ? try interval() : nil
  }

  /// `{2}`, `{2,}`, `{,3}` or `{2,3}`; any other brace is a character.
  private mutating func interval() throws(RegularExpression.Malformed) -> (Int, Int?)? {
    let start = index
    index += 1
    let first = number()
    let hasComma = take(",")
    let second = hasComma ? number() : first
    guard take("}"), first != nil || second != nil else {
      index = start
      return nil
    }
    if max(first ?? 0, second ?? 0) > Self.mostRepetitions {
      throw malformed("more than \(Self.mostRepetitions) repetitions; repeat a group of them")
    }
    guard (first ?? 0) <= second ?? .max else {
      throw malformed("{\(first ?? 0),\(second ?? 0)} has its larger number first")
    }
    return (first ?? 0, second)
  }

  /// Decimal digits; a number that is too large is more than is allowed, too.
  private mutating func number() -> Int? {
    var value: Int?
    while let digit = next, ("0"..."9").contains(digit) {
      value = min((value ?? 0) * 10 + Int(digit.value - 0x30), Self.mostRepetitions + 1)
      index += 1
    }
    return value
  }

  // MARK: - Atoms

  private mutating func atom() throws(RegularExpression.Malformed) -> RegularSyntax {
    guard let scalar = next else { return .empty }
    index += 1
    switch scalar {
    case "(": return try group()
    case "[": return .set(try bracket())
    case "\\": return try escape()
    case ".": return .set(.all)
    case "^": return .assertion(flags.isMultiline ? .lineStart : .textStart)
    case "$": return .assertion(flags.isMultiline ? .lineEnd : .textEnd)
    default: return .set(cased(ScalarSet(scalar)))
    }
  }

  func cased(_ set: ScalarSet) -> ScalarSet { flags.ignoresCase ? set.withBothCases : set }

  private mutating func group() throws(RegularExpression.Malformed) -> RegularSyntax {
    let outer = flags
    if take("?") {
      if take("=") || take("!") || take("<=") || take("<!") {
        throw malformed("look-around, as (?=a), is not supported")
      }
      if take(">") { throw malformed("atomic groups, as (?>a), are not supported") }
      if take("P<") || take("<") {
        try groupName()
      } else if !take(":") {
        // `(?i)` holds to the end of the group around it.
        if try takeFlags() == ")" { return .empty }
      }
    }
    let inner = try alternatives()
    guard take(")") else { throw malformed("a ( is not closed; write \\( for a parenthesis") }
    flags = outer
    // Not what it holds: an assertion in a group can be repeated.
    return .sequence([inner])
  }

  private mutating func groupName() throws(RegularExpression.Malformed) {
    let start = index
    while let next, ScalarSet.words.contains(next.value) { index += 1 }
    guard index > start, take(">") else { throw malformed("the name of a group is not one") }
  }

  /// - Returns: what ends the flags: `)` or `:`.
  private mutating func takeFlags() throws(RegularExpression.Malformed) -> Unicode.Scalar {
    var isOn = true
    while let flag = next {
      index += 1
      switch flag {
      case "i": flags.ignoresCase = isOn
      case "m": flags.isMultiline = isOn
      // A dot matches the end of a line anyway.
      case "s" where isOn: break
      case "-" where isOn: isOn = false
      case ")", ":": return flag
      default: throw malformed("(?\(flag) is unknown; flags are i and m")
      }
    }
    throw malformed("a ( is not closed; write \\( for a parenthesis")
  }
}
