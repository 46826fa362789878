/// Writes rows as tab-separated values: a header, one line a row, no quotes. Tabs, line breaks and
/// backslashes in a field are `\t`, `\n`, `\r` and `\\`, as PostgreSQL's COPY has them.
struct TSVWriter: LineWriter {
  let output: TextOutput

  func line(_ fields: [String]) -> [UInt8] {
    let escaped = fields.map { Printable.text($0.replacing("\\", with: "\\\\")) }
    return Array((escaped.joined(separator: "\t") + "\n").utf8)
  }
}
