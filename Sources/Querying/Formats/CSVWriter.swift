import EventLog
import TaskLogPlugin

/// Writes rows as CSV (RFC 4180): a header, CRLF as the end of a line, quotes where needed.
///
/// Line breaks and tabs in a field stay, between quotes; what else could steer a terminal is escaped
/// as in a table.
struct CSVWriter: RowWriter {
  private let output: TextOutput

  init(output: @escaping TextOutput) {
    self.output = output
  }

  mutating func start(_ columns: [Column]) {
    line(columns.map(\.name))
  }

  mutating func row(_ values: [SQLiteValue]) {
    line(values.map(\.plainText))
  }

  mutating func finish() {}

  private func line(_ fields: [String]) {
    // One empty field alone would be an empty line, which readers skip.
    if fields == [""] { return output(Array("\"\"\r\n".utf8)) }
    var line: [UInt8] = []
    for (index, field) in fields.enumerated() {
      if index > 0 { line.append(UInt8(ascii: ",")) }
      write(field, to: &line)
    }
    output(line + [0x0D, 0x0A])
  }

  /// By bytes: a quote that is followed by a combining character is no `Character` of its own.
  private func write(_ field: String, to line: inout [UInt8]) {
    let field = Printable.text(field, keeping: ["\n", "\r", "\t"])
    let quote = UInt8(ascii: "\"")
    guard field.utf8.contains(where: { [quote, 0x2C, 0x0A, 0x0D].contains($0) }) else {
      line += field.utf8
      return
    }
    line.append(quote)
    for byte in field.utf8 {
      if byte == quote { line.append(quote) }
      line.append(byte)
    }
    line.append(quote)
  }
}

extension SQLiteValue {
  /// The value as text; NULL is empty, binary is base64.
  var plainText: String {
    switch self {
    case .null: ""
    case .integer(let number): String(number)
    case .real(let number): number.description
    case .text(let text): text
    case .blob(let bytes): JSONWriter.text(.bytes(bytes))
    }
  }
}
