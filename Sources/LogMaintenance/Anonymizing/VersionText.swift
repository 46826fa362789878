/// Versions, which an anonymised copy keeps.
enum VersionText {
  /// More numbers could be an address.
  private static let maximumNumbers = 3
  /// Enough for a year, and for the build of a system.
  private static let maximumDigits = 5

  /// The part of a version that says which release it is; `nil` if the text begins with no version.
  /// What is local to a site (`2.1+acme`, `6.1.0-acme`) is left out.
  static func known(_ text: String) -> String? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    var kept: [Substring] = []
    var numbers = 0
    var isComplete = true
    for part in parts {
      guard let number = Number(part) else {
        isComplete = !kept.isEmpty && isEnding(part)
        guard isComplete else { break }
        kept.append(part)
        continue
      }
      // Python's own: `3.11.7.final.0`.
      if kept.last != "final" { numbers += 1 }
      guard numbers <= maximumNumbers, number.digits.utf8.count <= maximumDigits else { return nil }
      kept.append(number.isRelease ? part : number.digits)
      isComplete = number.isRelease
      guard isComplete else { break }
    }
    let isSingle = parts.count == 1 && isComplete && text.utf8.count < maximumDigits
    guard kept.count > 1 || kept.count == 1 && isSingle else { return nil }
    return kept.joined(separator: ".")
  }

  /// Whether a part without a number at its beginning is of the version: `dev4`, `post1`, `final`.
  private static func isEnding(_ part: Substring) -> Bool {
    let letters = part.prefix { $0.isLetter }
    return ["final", "post", "dev"].contains(letters)
      && part.dropFirst(letters.count).utf8.allSatisfy(isDigit)
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

  /// A part that begins with a number.
  private struct Number {
    let digits: Substring
    /// Whether nothing follows it but `a`, `b` or `rc` and a number.
    let isRelease: Bool

    init?(_ part: Substring) {
      digits = part.prefix { ("0"..."9").contains($0) }
      guard !digits.isEmpty else { return nil }
      let rest = part.dropFirst(digits.count)
      let letters = rest.prefix { $0.isLetter }
      isRelease =
        ["", "a", "b", "rc"].contains(letters)
        && rest.dropFirst(letters.count).utf8.allSatisfy(VersionText.isDigit)
    }
  }
}
