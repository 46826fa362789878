import LogFormat

/// Values and notes as a terminal shows them.
enum PeopleText {
  /// The text of a value, and whether it belongs at the right of its column, as numbers do.
  static func cell(_ value: SQLiteValue, _ column: Column) -> (text: String, isNumber: Bool) {
    if let number = value.number {
      switch column.kind {
      case .seconds: return (Units.duration(seconds: number), true)
      case .hours: return (Units.duration(hours: number), true)
      case .bytes: return (Units.bytes(number), true)
      case .share: return (Units.percent(number), true)
      case .epoch: return (Units.time(iso(seconds: number)), false)
      default: break
      }
    }
    switch value {
    case .null: return ("", false)
    case .integer(let number):
      // Views have times in nanoseconds since 1970, and durations in nanoseconds.
      guard column.name.hasSuffix("_ns") else { return (String(number), true) }
      return number.magnitude < 100_000_000_000_000_000
        ? (Units.duration(nanoseconds: number), true)
        : (Units.time(Timestamp.iso(number)), false)
    case .real(let number):
      // A view has both: the start of a span in seconds, and the start state of a transition.
      if ["start", "stop"].contains(column.name), number > 1e9 {
        return (Units.time(iso(seconds: number)), false)
      }
      return (TableWriter.short(number), true)
    case .blob(let bytes): return (ArgsText.binary(bytes.count), false)
    case .text(let text):
      switch column.kind {
      case .time: return (Units.time(text), false)
      case .date: return (String(Units.time(text).prefix(19)), false)
      case .exception: return (ExceptionText.forPeople(text), false)
      case .json: return (ArgsText.onTerminal(text), false)
      default: return (value.text(forPeopleIn: column), false)
      }
    }
  }

  /// Times of args are in seconds, with a fraction of a microsecond.
  private static func iso(seconds: Double) -> String {
    guard seconds.magnitude < 9e9 else { return "\(seconds)" }
    return Timestamp.iso(Int64(saturating: (seconds * 1e6).rounded()) * 1000)
  }

  /// A line about columns that a table has no room for; empty if there are none.
  static func hidden(_ names: [String], _ terminal: Terminal) -> String {
    guard !names.isEmpty else { return "" }
    return wrapped(
      "… not shown: \(names.joined(separator: ", ")); --format csv has all columns", terminal)
  }

  /// Text in lines that fit the terminal, if its words do; the lines after the first are indented.
  static func wrapped(_ text: String, _ terminal: Terminal, indent: Int = 2) -> String {
    let space = String(repeating: " ", count: indent)
    var lines = [""]
    for word in text.split(separator: " ", omittingEmptySubsequences: false) {
      let last = lines[lines.count - 1]
      if last.isEmpty || last == space {
        lines[lines.count - 1] += word
      } else if Printable.width(last) + 1 + Printable.width(String(word)) <= terminal.columns {
        lines[lines.count - 1] += " " + word
      } else {
        lines.append(space + word)
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }
}

extension SQLiteValue {
  /// The value of a number; `nil` for anything else.
  fileprivate var number: Double? {
    switch self {
    case .integer(let number): Double(number)
    case .real(let number): number
    default: nil
    }
  }
}
