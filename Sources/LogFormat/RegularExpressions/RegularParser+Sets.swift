/// Escapes, and sets in brackets.
extension RegularParser {
  private static let assertions: [Unicode.Scalar: RegularAssertion] = [
    "b": .wordBoundary, "B": .noWordBoundary, "<": .wordStart, ">": .wordEnd, "A": .textStart,
    "z": .textEnd, "Z": .textEnd,
  ]

  private static let sets: [Unicode.Scalar: ScalarSet] = [
    "d": .digits, "D": ScalarSet.digits.inverted, "s": .spaces, "S": ScalarSet.spaces.inverted,
    "w": .words, "W": ScalarSet.words.inverted,
  ]

  private static let controls: [Unicode.Scalar: Unicode.Scalar] = [
    "0": "\0", "a": "\u{7}", "e": "\u{1B}", "f": "\u{C}", "n": "\n", "r": "\r", "t": "\t",
    "v": "\u{B}",
  ]

  /// What follows a backslash.
  mutating func escape() throws(RegularExpression.Malformed) -> RegularSyntax {
    if let next, let assertion = Self.assertions[next] {
      index += 1
      return .assertion(assertion)
    }
    return .set(cased(try escapedSet()))
  }

  private mutating func escapedSet() throws(RegularExpression.Malformed) -> ScalarSet {
    guard let next else { throw malformed("a backslash ends it; write \\\\ for one") }
    if let set = Self.sets[next] {
      index += 1
      return set
    }
    return ScalarSet(try escapedScalar())
  }

  private mutating func escapedScalar() throws(RegularExpression.Malformed) -> Unicode.Scalar {
    guard let letter = next else { throw malformed("a backslash ends it; write \\\\ for one") }
    index += 1
    if let control = Self.controls[letter] { return control }
    switch letter {
    case "1"..."9", "k":
      throw malformed("back-references, as \\\(letter), are not supported")
    case "x": return try hexadecimal(digits: 2)
    case "u": return try hexadecimal(digits: 4)
    case "p", "P":
      throw malformed("properties of characters, as \\\(letter){L}, are not supported")
    case "A"..."Z", "a"..."z":
      throw malformed("the escape \\\(letter) is unknown; write \(letter) for the letter")
    default: return letter
    }
  }

  /// `41`, or any number of digits in braces: `{1F600}`.
  private mutating func hexadecimal(
    digits: Int
  ) throws(RegularExpression.Malformed) -> Unicode.Scalar {
    let isBraced = take("{")
    var text = ""
    while let next, text.utf8.count < (isBraced ? 6 : digits), next.properties.isASCIIHexDigit {
      text.unicodeScalars.append(next)
      index += 1
    }
    guard isBraced ? take("}") : text.utf8.count == digits, let value = UInt32(text, radix: 16),
      let scalar = Unicode.Scalar(value)
    else { throw malformed("the number of a character is not one; write \\x41 or \\x{1F600}") }
    return scalar
  }

  /// What follows `[`.
  mutating func bracket() throws(RegularExpression.Malformed) -> ScalarSet {
    let isNegated = take("^")
    let first = index
    var set = ScalarSet()
    while next != "]" || index == first {
      guard next != nil else { throw malformed("a [ is not closed; write \\[ for a bracket") }
      set = set.union(try bracketItem())
    }
    index += 1
    let cased = cased(set)
    return isNegated ? cased.inverted : cased
  }

  private mutating func bracketItem() throws(RegularExpression.Malformed) -> ScalarSet {
    if continues("[:") { return try namedSet() }
    if continues("[.") || continues("[=") {
      throw malformed("[. and [= in a set are not supported; write \\[ for a bracket")
    }
    if next == "\\", index + 1 < scalars.count, let set = Self.sets[scalars[index + 1]] {
      index += 2
      return set
    }
    let start = try bracketScalar()
    // A minus at the end is one.
    guard next == "-", index + 1 < scalars.count, scalars[index + 1] != "]" else {
      return ScalarSet(start)
    }
    index += 1
    let end = try bracketScalar()
    guard start <= end else {
      throw malformed("the range \(start)-\(end) has its larger end first")
    }
    return ScalarSet([start.value...end.value])
  }

  private mutating func bracketScalar() throws(RegularExpression.Malformed) -> Unicode.Scalar {
    guard let scalar = next else {
      throw malformed("a [ is not closed; write \\[ for a bracket")
    }
    if scalar == "\\", index + 1 < scalars.count, Self.sets[scalars[index + 1]] != nil {
      throw malformed("a range in a set ends with \\\(scalars[index + 1])")
    }
    index += 1
    guard scalar == "\\" else { return scalar }
    // In a set, it is a backspace.
    if take("b") { return "\u{8}" }
    return try escapedScalar()
  }

  /// `[:alpha:]`, within brackets.
  private mutating func namedSet() throws(RegularExpression.Malformed) -> ScalarSet {
    index += 2
    let isNegated = take("^")
    var name = ""
    while let next, ScalarSet.words.contains(next.value) {
      name.unicodeScalars.append(next)
      index += 1
    }
    guard take(":]"), let set = ScalarSet.named[name] else {
      throw malformed(
        "[:\(name) is no set; sets are " + ScalarSet.named.keys.sorted().joined(separator: ", "))
    }
    return isNegated ? set.inverted : set
  }
}
