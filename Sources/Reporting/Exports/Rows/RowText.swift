import LogFormat
import Querying

/// Writes a row field by field: a JSON object on one line, or a line of CSV (RFC 4180).
///
/// No field can control a terminal: JSON has its escapes, and CSV fields are escaped as in `query`,
/// except line breaks and tabs, which are quoted.
struct RowText {
  var bytes: [UInt8] = []
  private let asCSV: Bool
  private var isFirst = true
  /// The last written second.
  private var second: (number: Int64, text: [UInt8]) = (.min, [])

  init(asCSV: Bool) {
    self.asCSV = asCSV
  }

  /// Returns and removes the written bytes, as the start of later rows.
  mutating func take() -> [UInt8] {
    defer { bytes.removeAll(keepingCapacity: true) }
    return bytes
  }

  mutating func end() {
    if asCSV { bytes.raw("\r\n") } else { bytes.raw("}\n") }
  }

  // MARK: - Fields

  private mutating func begin(_ name: StaticString) {
    if asCSV {
      if !isFirst { bytes.append(0x2C) }
    } else {
      bytes.append(isFirst ? 0x7B : 0x2C)
      bytes.append(0x22)
      bytes.raw(name)
      bytes.raw("\":")
    }
    isFirst = false
  }

  mutating func number(_ name: StaticString, _ number: Int64?) {
    begin(name)
    if let number { bytes.json(number) } else if !asCSV { bytes.raw("null") }
  }

  mutating func text(_ name: StaticString, _ text: String?) {
    begin(name)
    guard let text else {
      if !asCSV { bytes.raw("null") }
      return
    }
    if asCSV { field(text) } else { bytes.json(text) }
  }

  /// JSON as recorded in the log.
  mutating func json(_ name: StaticString, _ text: String?) {
    begin(name)
    guard let text else {
      if !asCSV { bytes.raw("null") }
      return
    }
    if asCSV { field(text) } else { bytes.json(recorded: text) }
  }

  /// ISO 8601 in UTC, with microseconds.
  mutating func time(_ name: StaticString, _ nanoseconds: Int64) {
    begin(name)
    let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    if !asCSV { bytes.append(0x22) }
    if nanoseconds < 0 {
      bytes.append(contentsOf: Timestamp.iso(nanoseconds).utf8)
    } else {
      if second.number != seconds {
        second = (seconds, Array(Timestamp.iso(seconds * 1_000_000_000).utf8.prefix(20)))
      }
      bytes += second.text
      var divisor: Int64 = 100_000_000
      while divisor >= 1000 {
        bytes.append(0x30 + UInt8(truncatingIfNeeded: rest / divisor % 10))
        divisor /= 10
      }
      bytes.append(UInt8(ascii: "Z"))
    }
    if !asCSV { bytes.append(0x22) }
  }

  private mutating func field(_ text: String) {
    var text = text
    let needs = text.withUTF8 { bytes in
      var (quotes, escapes) = (false, false)
      for byte in bytes {
        if byte == 0x22 || byte == 0x2C || byte == 0x0A || byte == 0x0D { quotes = true }
        if byte < 0x20 || byte >= 0x7F { escapes = true }
      }
      return (quotes: quotes, escapes: escapes)
    }
    if needs.escapes { text = Printable.text(text, keeping: ["\n", "\r", "\t"]) }
    text.withUTF8 { field in
      guard needs.quotes else { return bytes.append(contentsOf: field) }
      bytes.append(0x22)
      var start = 0
      for index in field.indices where field[index] == 0x22 {
        bytes.append(contentsOf: field[start...index])
        start = index
      }
      bytes.append(contentsOf: field[start...])
      bytes.append(0x22)
    }
  }
}

extension [UInt8] {
  /// Recorded JSON on one line, without characters that could control a terminal. Damaged JSON
  /// becomes a string.
  mutating func json(recorded text: String) {
    var text = text
    let isPlain = text.withUTF8 { bytes -> Bool in
      guard JSONScanner.isOneLine(bytes), bytes.allSatisfy({ $0 < 0x7F }) else { return false }
      append(contentsOf: bytes)
      return true
    }
    if isPlain { return }
    let isJSON = text.withUTF8 { bytes in
      var scanner = JSONScanner(bytes)
      return scanner.skip() && scanner.peek() == 0
    }
    guard isJSON else { return json(text) }
    // Controls are only allowed between values.
    append(contentsOf: TerminalJSON.escaped(text.utf8.map { $0 < 0x20 ? 0x20 : $0 }))
  }
}
