import LogFormat

/// Writes rows as a GitHub Markdown table, to be pasted into an issue.
struct MarkdownWriter: LineWriter {
  let output: TextOutput
  private var columns: [Column] = []

  init(output: @escaping TextOutput) {
    self.output = output
  }

  mutating func start(_ columns: [Column]) {
    self.columns = columns
    output(line(columns.map(\.name)))
    output(Array("|\(String(repeating: " --- |", count: columns.count))\n".utf8))
  }

  mutating func row(_ values: [SQLiteValue]) {
    output(line(zip(values, columns).map { $0.text(forPeopleIn: $1) }))
  }

  func line(_ fields: [String]) -> [UInt8] {
    Array("| \(fields.map(Self.text).joined(separator: " | ")) |\n".utf8)
  }

  /// Escapes everything that Markdown or HTML would interpret as markup.
  static func text(_ text: String) -> String {
    var escaped = ""
    for character in Printable.text(text).unicodeScalars {
      switch character {
      case "\\", "|", "`", "*", "_", "[", "]", "~", "#": escaped += "\\"
      case "<", ">", "&":
        escaped += character == "<" ? "&lt;" : character == ">" ? "&gt;" : "&amp;"
        continue
      default: break
      }
      escaped.unicodeScalars.append(character)
    }
    return escaped
  }
}
