/// Writes rows as CSV (RFC 4180): a header, CRLF line ends, quotes where needed.
///
/// Line breaks and tabs in a field are kept inside quotes; other control characters are escaped as
/// in a table.
struct CSVWriter: LineWriter {
  let output: TextOutput

  func line(_ fields: [String]) -> [UInt8] {
    // A single empty field would be an empty line, which readers skip.
    if fields == [""] { return Array("\"\"\r\n".utf8) }
    var line: [UInt8] = []
    for (index, field) in fields.enumerated() {
      if index > 0 { line.append(UInt8(ascii: ",")) }
      write(field, to: &line)
    }
    return line + [0x0D, 0x0A]
  }

  private static let quote = UInt8(ascii: "\"")
  private static let kept: Set<Unicode.Scalar> = ["\n", "\r", "\t"]

  /// Works on bytes: a quote followed by a combining character is not a separate `Character`.
  private func write(_ field: String, to line: inout [UInt8]) {
    // Nearly all fields need no escaping.
    if Printable.isPlain(field), !field.utf8.contains(where: { $0 == Self.quote || $0 == 0x2C }) {
      line += field.utf8
      return
    }
    let field = Printable.text(field, keeping: Self.kept)
    guard
      field.utf8.contains(where: { $0 == Self.quote || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D })
    else {
      line += field.utf8
      return
    }
    line.append(Self.quote)
    for byte in field.utf8 {
      if byte == Self.quote { line.append(Self.quote) }
      line.append(byte)
    }
    line.append(Self.quote)
  }
}
