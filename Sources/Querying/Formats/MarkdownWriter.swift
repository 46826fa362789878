import EventLog

/// Writes rows as a table of GitHub's Markdown, to be pasted into an issue.
struct MarkdownWriter: RowWriter {
  private let output: TextOutput

  init(output: @escaping TextOutput) {
    self.output = output
  }

  mutating func start(_ columns: [Column]) {
    line(columns.map { Self.text($0.name) })
    line(columns.map { _ in "---" })
  }

  mutating func row(_ values: [SQLiteValue]) {
    line(values.map { Self.text($0.plainText) })
  }

  mutating func finish() {}

  private func line(_ cells: [String]) {
    output(Array("| \(cells.joined(separator: " | ")) |\n".utf8))
  }

  /// What Markdown or HTML would take for markup stands for itself.
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
