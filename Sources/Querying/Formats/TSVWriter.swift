/// Writes rows as tab-separated values: a header, one line per row, no quotes. Tabs, line breaks
/// and backslashes in a field are written as `\t`, `\n`, `\r` and `\\`, as in PostgreSQL's COPY.
struct TSVWriter: LineWriter {
  let output: TextOutput

  func line(_ fields: [String]) -> [UInt8] {
    let escaped = fields.map { Printable.text($0.replacing("\\", with: "\\\\")) }
    return Array((escaped.joined(separator: "\t") + "\n").utf8)
  }
}
