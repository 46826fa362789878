import EventLog
import TaskLogPlugin

/// Writes a header and then rows, each as one line of fields.
protocol LineWriter: RowWriter {
  var output: TextOutput { get }

  /// The fields as a line, with its end.
  func line(_ fields: [String]) -> [UInt8]
}

extension LineWriter {
  mutating func start(_ columns: [Column]) {
    output(line(columns.map(\.name)))
  }

  mutating func row(_ values: [SQLiteValue]) {
    output(line(values.map(\.plainText)))
  }

  mutating func finish() {}
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
