import LogAnalysis

/// An exception as Python prints it at the end of a traceback.
package enum ExceptionText {
  /// The text of an exception that was recorded as `repr` shows it: `ValueError: no price` for
  /// `ValueError('no price')`. Anything else is returned unchanged.
  package static func forPeople(_ text: String) -> String {
    guard let shown = ExceptionRepr(text) else { return text }
    if shown.arguments.isEmpty { return String(shown.type) }
    guard let message = unquoted(shown.arguments) else { return text }
    return message.isEmpty ? String(shown.type) : "\(shown.type): \(message)"
  }

  /// The value of a literal of Python that is one text; `nil` for anything else.
  private static func unquoted(_ literal: Substring) -> String? {
    let scalars = Array(literal.unicodeScalars)
    guard scalars.count >= 2, let quote = scalars.first, quote == "'" || quote == "\"",
      scalars.last == quote
    else { return nil }
    var value = String.UnicodeScalarView()
    var index = 1
    while index < scalars.count - 1 {
      let scalar = scalars[index]
      index += 1
      // Two texts, one after the other.
      if scalar == quote { return nil }
      guard scalar == "\\" else {
        value.append(scalar)
        continue
      }
      guard index < scalars.count - 1 else { return nil }
      let escape = scalars[index]
      index += 1
      switch escape {
      case "n": value.append("\n")
      case "t": value.append("\t")
      case "r": value.append("\r")
      case "\\", "'", "\"": value.append(escape)
      case "x", "u", "U":
        let count = escape == "x" ? 2 : escape == "u" ? 4 : 8
        guard index + count < scalars.count,
          let number = UInt32(
            String(String.UnicodeScalarView(scalars[index..<index + count])), radix: 16)
        else { return nil }
        // Half of a pair has no character.
        value.append(Unicode.Scalar(number) ?? "\u{FFFD}")
        index += count
      default:
        value.append("\\")
        value.append(escape)
      }
    }
    return String(value)
  }
}
