/// Makes the codes of the tokens of keys; see `KeyPseudonyms`.
///
/// A code is a character that is a letter if the token's first one is, letters that sort as all tokens
/// do, and a last character by which `key_split` takes it for a word or not, as it did the token. A
/// token of 32 hexadecimal digits, which it takes for a hash, has a code of as many.
enum TokenCodes {
  /// Texts that `key_split` makes itself, as the prefix of a hash and of what is no text.
  static func isReserved(_ text: String) -> Bool { text == "data" || text == "Other" }

  private static let letters = Array("abcdef".utf8)
  /// How many values there are for each token: each has a random one of them.
  private static let valuesPerToken: UInt64 = 36
  private static let hashLength = 32
  /// The length of a word that begins with a letter up to f, and is taken for a hash.
  private static let shortHashLength = 8

  /// - Parameter tokens: all of them, in ascending order.
  static func make(
    _ tokens: [[UInt8]], _ generator: inout some RandomNumberGenerator
  ) -> [[UInt8]: String] {
    var codes: [[UInt8]: String] = [:]
    codes.reserveCapacity(tokens.count)
    var length = 1
    var values = UInt64(letters.count)
    while values < (UInt64(tokens.count) + 1) * valuesPerToken {
      values *= UInt64(letters.count)
      length += 1
    }
    // With the first and the last character.
    if length + 2 == shortHashLength { length += 1 }
    var markers = Markers()
    for (index, token) in tokens.enumerated() {
      let marker = markers.next(token)
      if isReserved(String(decoding: token, as: UTF8.self)) {
        codes[token] = String(decoding: token, as: UTF8.self)
        continue
      }
      let value =
        UInt64(index) * valuesPerToken + .random(in: 0..<valuesPerToken, using: &generator)
      var code = Array(marker.utf8) + text(of: value, length)
      let isWord = KeyParts.isWord(token)
      if isHash(token) {
        code += [UInt8](repeating: letters[0], count: hashLength - 1 - code.count)
      }
      code.append(isWord ? letters[0] : UInt8(ascii: "0"))
      codes[token] = String(decoding: code, as: UTF8.self)
    }
    return codes
  }

  private static func text(of value: UInt64, _ length: Int) -> [UInt8] {
    var value = value
    var digits: [UInt8] = []
    for _ in 0..<length {
      digits.append(letters[Int(value % UInt64(letters.count))])
      value /= UInt64(letters.count)
    }
    return digits.reversed()
  }

  private static func isHash(_ token: [UInt8]) -> Bool {
    token.count == hashLength
      && token.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }

  /// The first characters of codes, which ascend with the tokens.
  private struct Markers {
    /// Letters and others in turn, for tokens that begin beyond ASCII.
    private static let alternating = Array("ª«µ¶º»À×Ø÷øˁ˂ˆ˒ˠ˥ˬ˭ˮ˯")
    private var place = 0

    mutating func next(_ token: [UInt8]) -> String {
      switch token[0] {
      case ..<UInt8(ascii: "<"): return "0"
      case UInt8(ascii: "<"): return "<"
      case ..<UInt8(ascii: "A"): return "="
      // On either side of the words that stay. All that a hash begins with is hexadecimal.
      case ...UInt8(ascii: "Z"): return isBefore("Other", token) ? "B" : "P"
      case ..<UInt8(ascii: "_"): return "["
      case UInt8(ascii: "_"): return "_"
      case ..<UInt8(ascii: "a"): return "`"
      case ...UInt8(ascii: "z"): return isBefore("data", token) ? "b" : "e"
      case ..<0x80: return "{"
      default: return nextBeyondASCII(token)
      }
    }

    private func isBefore(_ word: String, _ token: [UInt8]) -> Bool {
      token.lexicographicallyPrecedes(Array(word.utf8))
    }

    private mutating func nextBeyondASCII(_ token: [UInt8]) -> String {
      let initial = String(decoding: token, as: UTF8.self).unicodeScalars.first
      let isLetter = initial.map(KeyParts.isAlpha) == true
      if (place % 2 == 0) != isLetter {
        // After the last two, the order is no longer kept.
        place += place + 1 < Self.alternating.count ? 1 : -1
      }
      return String(Self.alternating[place])
    }
  }
}
