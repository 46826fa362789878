/// A set of Unicode scalars, as ranges in their order that do not touch.
struct ScalarSet: Equatable {
  private(set) var ranges: [ClosedRange<UInt32>]

  init(_ ranges: [ClosedRange<UInt32>] = []) {
    self.ranges = []
    let sorted = ranges.sorted { $0.lowerBound < $1.lowerBound }
    for range in sorted {
      if let last = self.ranges.last, range.lowerBound <= last.upperBound &+ 1 {
        let end = max(last.upperBound, range.upperBound)
        self.ranges[self.ranges.count - 1] = last.lowerBound...end
      } else {
        self.ranges.append(range)
      }
    }
  }

  init(_ scalar: Unicode.Scalar) { ranges = [scalar.value...scalar.value] }

  private static let last: UInt32 = 0x10_FFFF

  /// Every character. Surrogates are no characters, and have no bytes in UTF-8.
  static let all = ScalarSet([0...0xD7FF, 0xE000...last])

  func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

  var inverted: ScalarSet {
    var rest: [ClosedRange<UInt32>] = []
    for part in Self.all.ranges {
      var start = part.lowerBound
      for range in ranges where range.overlaps(part) {
        if range.lowerBound > start { rest.append(start...(range.lowerBound - 1)) }
        start = range.upperBound + 1
      }
      if start <= part.upperBound { rest.append(start...part.upperBound) }
    }
    return ScalarSet(rest)
  }

  /// With the other cases of its letters.
  var withBothCases: ScalarSet {
    var added: [ClosedRange<UInt32>] = []
    for letters in LetterCases.groups {
      guard letters.contains(where: contains) else { continue }
      added += letters.map { $0...$0 }
    }
    return ScalarSet(ranges + added)
  }

  func contains(_ scalar: UInt32) -> Bool {
    // Most sets have few ranges.
    ranges.contains { $0.contains(scalar) }
  }
}

/// The sets with names. They are of ASCII, as in RE2: a log is searched for names and numbers.
extension ScalarSet {
  private init(_ ranges: ClosedRange<Unicode.Scalar>...) {
    self.init(ranges.map { $0.lowerBound.value...$0.upperBound.value })
  }

  static let digits = ScalarSet("0"..."9")
  static let spaces = ScalarSet("\t"..."\r", " "..." ")
  static let words = ScalarSet("0"..."9", "A"..."Z", "_"..."_", "a"..."z")

  /// The sets by the names that POSIX gives them in brackets: `[[:alpha:]]`.
  static let named: [String: ScalarSet] = [
    "alpha": ScalarSet("A"..."Z", "a"..."z"), "digit": digits, "space": spaces, "word": words,
    "alnum": ScalarSet("0"..."9", "A"..."Z", "a"..."z"), "upper": ScalarSet("A"..."Z"),
    "lower": ScalarSet("a"..."z"), "blank": ScalarSet("\t"..."\t", " "..." "),
    "punct": ScalarSet("!"..."/", ":"..."@", "["..."`", "{"..."~"),
    "print": ScalarSet(" "..."~"), "graph": ScalarSet("!"..."~"),
    "cntrl": ScalarSet("\0"..."\u{1F}", "\u{7F}"..."\u{7F}"),
    "xdigit": ScalarSet("0"..."9", "A"..."F", "a"..."f"),
  ]
}

/// Letters that are the same but for their case.
private enum LetterCases {
  /// No script with cases is beyond.
  private static let end: UInt32 = 0x1E944

  /// Found once, and only if an expression ignores case.
  static let groups: [[UInt32]] = {
    var groups: [UInt32: [UInt32]] = [:]
    for value in 0...end {
      guard let scalar = Unicode.Scalar(value), scalar.properties.isCased else { continue }
      groups[lower(upper(scalar)).value, default: []].append(value)
    }
    return groups.values.filter { $0.count > 1 }
  }()

  private static func upper(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
    only(scalar.properties.uppercaseMapping) ?? scalar
  }

  private static func lower(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
    only(scalar.properties.lowercaseMapping) ?? scalar
  }

  private static func only(_ text: String) -> Unicode.Scalar? {
    text.unicodeScalars.count == 1 ? text.unicodeScalars.first : nil
  }
}
