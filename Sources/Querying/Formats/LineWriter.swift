import LogFormat
import TaskLogPlugin

/// Writes a header and then rows, each as one line of fields.
protocol LineWriter: RowWriter {
  var output: TextOutput { get }

  /// The fields as a line, including the line end.
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
  /// Dask's keys have a few dozen characters; users' keys may be long documents.
  private static let widestKey = 120

  /// The value as shown to people.
  func text(forPeopleIn column: Column) -> String {
    switch column.kind {
    case .key: Printable.withoutMiddle(plainText, width: Self.widestKey)
    case .json: ArgsText.forPeople(plainText)
    default: plainText
    }
  }

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
