import LogFormat
import TaskLogPlugin

/// Writes each row as a JSON object: one per line, or all in one array.
struct JSONRowsWriter: RowWriter {
  private let output: TextOutput
  private let asLines: Bool
  /// The name of the table that each line begins with, if it is one of several.
  private let table: String?
  private let end: String
  private var columns: [Column] = []
  private var count = 0

  init(
    output: @escaping TextOutput, asLines: Bool, table: String? = nil, end: String = "\n"
  ) {
    self.output = output
    self.asLines = asLines
    self.table = table
    self.end = end
  }

  mutating func start(_ columns: [Column]) {
    self.columns = columns
    if !asLines { output(Array("[".utf8)) }
  }

  mutating func row(_ values: [SQLiteValue]) {
    var text: [UInt8] = []
    if !asLines { text += count == 0 ? [0x0A] : [0x2C, 0x0A] }
    count += 1
    text.append(0x7B)
    if let table {
      text += #""table":"#.utf8
      text += JSONWriter.text(.string(table)).utf8
      if !columns.isEmpty { text.append(0x2C) }
    }
    for (index, (column, value)) in zip(columns, values).enumerated() {
      if index > 0 { text.append(0x2C) }
      text += JSONWriter.text(.string(column.name)).utf8
      text.append(0x3A)
      text += json(value, column)
    }
    text.append(0x7D)
    if asLines { text.append(0x0A) }
    output(TerminalJSON.escaped(text))
  }

  mutating func finish() {
    if !asLines { output(Array(((count == 0 ? "]" : "\n]") + end).utf8)) }
  }

  private func json(_ value: SQLiteValue, _ column: Column) -> [UInt8] {
    switch value {
    case .null: return Array("null".utf8)
    case .integer(let number): return Array(String(number).utf8)
    case .real(let number):
      return Array((number.isFinite ? number.description : "null").utf8)
    case .text(let text):
      // JSON in a log is written unchanged, unless it is damaged.
      if column.kind == .json, let value = try? JSONReader.value(text) {
        // The recorder's JSON is on one line; that of another writer may not be.
        let isOneLine = !text.utf8.contains { $0 == 0x0A || $0 == 0x0D }
        return Array((isOneLine ? text : JSONWriter.text(value)).utf8)
      }
      return Array(JSONWriter.text(.string(text)).utf8)
    case .blob(let bytes): return Array(JSONWriter.text(.bytes(bytes)).utf8)
    }
  }
}
