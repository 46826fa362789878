/// Makes text safe to display: it stays on one line and cannot control a terminal.
package enum Printable {
  /// Escapes everything that a terminal interprets as a command, that breaks a line or that changes
  /// the direction of text.
  ///
  /// - Parameter kept: characters that the output format can represent itself.
  package static func text(_ text: String, keeping kept: Set<Unicode.Scalar> = []) -> String {
    guard !isPlain(text), text.unicodeScalars.contains(where: isControl) else { return text }
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case _ where kept.contains(scalar): escaped.unicodeScalars.append(scalar)
      case "\n": escaped += "\\n"
      case "\r": escaped += "\\r"
      case "\t": escaped += "\\t"
      case _ where isControl(scalar): escaped += "\\u{\(String(scalar.value, radix: 16))}"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }

  /// Whether the text is printable ASCII only, as nearly all text in a log is.
  static func isPlain(_ text: String) -> Bool {
    text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
  }

  static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    guard scalar.isASCII else { return isOtherControl(scalar) }
    return scalar.value < 0x20 || scalar.value == 0x7F
  }

  /// Whether a scalar is a control character that JSON does not escape.
  static func isOtherControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: return true
    default: return false
    }
  }

  /// The number of terminal columns of a text.
  package static func width(_ text: String) -> Int {
    if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
    return text.reduce(0) { $0 + width($1) }
  }

  /// The number of terminal columns of a character; East Asian characters and emoji have two.
  static func width(_ character: Character) -> Int {
    guard let scalar = character.unicodeScalars.first else { return 0 }
    if character.unicodeScalars.contains("\u{FE0F}") || scalar.properties.isEmojiPresentation {
      return 2
    }
    switch scalar.value {
    case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3,
      0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F,
      0x1F900...0x1F9FF, 0x20000...0x3FFFD:
      return 2
    default:
      switch scalar.properties.generalCategory {
      case .nonspacingMark, .enclosingMark: return 0
      default: return 1
      }
    }
  }

  /// A text shortened to at most `width` columns: its start and end, with a mark between them.
  static func withoutMiddle(_ text: String, width: Int) -> String {
    // There may be any number of zero-width characters: none is inspected beyond what could be
    // shown.
    guard text.utf8.count > width, Self.width(String(text.prefix(width + 1))) > width else {
      return text
    }
    let room = max(0, width - 1)
    func kept(_ characters: some Sequence<Character>, _ width: Int) -> [Character] {
      var used = 0
      return Array(
        characters.prefix { character in
          used += Self.width(character)
          return used <= width
        })
    }
    let head = kept(text, (room + 1) / 2)
    let tail = kept(text.reversed(), room / 2)
    return String(head) + "…" + String(tail.reversed())
  }

  /// A count with its noun: `1 event`, `2 events`.
  package static func count(_ number: some BinaryInteger, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
  }
}
