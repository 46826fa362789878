import EventLog

/// Writes rows as tab-separated values: a header, one line a row, no quotes. Tabs, line breaks and
/// backslashes in a field are `\t`, `\n`, `\r` and `\\`, as PostgreSQL's COPY has them.
struct TSVWriter: RowWriter {
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
    let escaped = fields.map { Printable.text($0.replacing("\\", with: "\\\\")) }
    output(Array((escaped.joined(separator: "\t") + "\n").utf8))
  }
}
