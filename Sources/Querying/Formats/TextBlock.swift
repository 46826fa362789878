import EventLog
import LogFormat

/// Lines of text for a terminal.
package struct TextBlock {
  let terminal: Terminal
  package private(set) var text = ""

  package init(_ terminal: Terminal) { self.terminal = terminal }

  /// A blank line between parts.
  package mutating func space() {
    if !text.isEmpty { text += "\n" }
  }

  /// Prose in lines that fit the terminal.
  package mutating func prose(_ line: String, indent: Int = 0) {
    let space = String(repeating: " ", count: indent)
    let narrower = Terminal(columns: terminal.columns - indent, hasColours: false)
    for line in PeopleText.wrapped(Printable.text(line), narrower).split(separator: "\n") {
      text += "\(space)\(line)\n"
    }
  }

  /// Prose whose colour says whether something is wrong.
  package mutating func colored(_ line: String, isBad: Bool) {
    for line in PeopleText.wrapped(Printable.text(line), terminal).split(separator: "\n") {
      text += (isBad ? terminal.red(String(line)) : terminal.green(String(line))) + "\n"
    }
  }

  /// The name of what went wrong.
  mutating func trouble(_ line: String) {
    for line in PeopleText.wrapped(Printable.text(line), terminal).split(separator: "\n") {
      text += terminal.red(terminal.bold(String(line))) + "\n"
    }
  }

  /// Text of several lines as it is, but for an indent: lines of code are not broken.
  package mutating func verbatim(_ lines: String, indent: Int) {
    let space = String(repeating: " ", count: indent)
    for line in lines.split(separator: "\n", omittingEmptySubsequences: false) {
      let line = Printable.text(String(line))
      text += line.isEmpty ? "\n" : "\(space)\(line)\n"
    }
  }

  /// Keys one after the other, and how many more there are.
  mutating func keys(_ label: String, _ keys: [String], of count: Int64, indent: Int) {
    let shown = keys.map {
      Printable.withoutMiddle(Printable.text($0), width: max(18, min(60, terminal.columns - 8)))
    }
    let more = count - Int64(shown.count)
    var words = shown.enumerated().map { index, key in
      index < shown.count - 1 || more > 0 ? "\(key)," : key
    }
    if more > 0 { words.append("… and \(Units.count(more)) more") }
    let space = String(repeating: " ", count: indent)
    var line = space + label
    var isBegun = !label.isEmpty
    for word in words {
      if isBegun, Printable.width(line) + 1 + Printable.width(word) > terminal.columns {
        text += line + "\n"
        line = space + " "
      }
      line += " " + word
      isBegun = true
    }
    text += line + "\n"
  }

  /// Commands to type next, each with what it shows.
  package mutating func commands(_ commands: [(command: String, purpose: String)], indent: Int) {
    let space = String(repeating: " ", count: indent)
    let words = commands.map { Printable.text("tasklog \($0.command)\(options(of: $0.command))") }
    let width = words.map(Printable.width).max() ?? 0
    for (word, (_, purpose)) in zip(words, commands) {
      let padding = String(repeating: " ", count: width - Printable.width(word))
      let line = "\(space)\(word)\(padding)  # \(purpose)"
      text += (Printable.width(line) <= terminal.columns ? line : space + word) + "\n"
    }
  }

  /// The commands that take the filters of a report.
  private static let filtered: Set<Substring> = [
    "summary", "errors", "workers", "slowest", "critical-path", "open", "report", "export",
    "time", "jobs",
  ]

  /// The options to repeat; `check` is about all runs.
  private func options(of command: String) -> Substring {
    let options = terminal.options[...]
    if Self.filtered.contains(command.prefix { $0 != " " }) { return options + terminal.filters }
    guard command == "check", let run = options.ranges(of: " --run ").last else { return options }
    return options[..<run.lowerBound]
  }

  /// `story KEY`, if the key can be typed.
  package static func story(_ key: String) -> String? {
    guard !key.unicodeScalars.contains(where: Printable.isControl), key.utf8.count <= 500,
      !key.isEmpty
    else { return nil }
    return "story \(ShellWord.quoted(key))"
  }
}
