import LogFormat
import TaskLogPlugin

/// Rows of the table `event` that are complete and not yet inserted.
///
/// They are inserted 32 at a time, by one statement: SQLite opens its cursors per statement and not
/// per row, which saves a third of the cost of a row. `OR FAIL`, because otherwise SQLite keeps a
/// statement journal for a statement of several rows; an error rolls back the transaction, and with
/// it the rows that a statement has inserted before it failed:
/// https://sqlite.org/lang_conflict.html
final class PendingRows {
  static let atOnce = 32
  /// The number of integer columns; two text columns follow.
  static let numbers = 11
  private static let columns = numbers + 2

  private let connection: Connection
  private let many: Statement
  private let one: Statement
  /// The integers, row by row.
  @exclusivity(unchecked) private var values = [Int64?](repeating: nil, count: atOnce * numbers)
  /// The ranges of a row's texts in `json`; `nil` for NULL.
  @exclusivity(unchecked) private var texts = [Range<Int>?](repeating: nil, count: atOnce * 2)
  @exclusivity(unchecked) private var count = 0
  /// The bound parameters of `many`: a good part of them need not be bound again.
  @exclusivity(unchecked) private var bound = [Int64?](repeating: nil, count: atOnce * columns)
  /// The texts of all rows, one after the other.
  @exclusivity(unchecked) var json: JSONWriter

  /// - Throws: `SQLiteError`.
  init(_ connection: Connection, json: JSONWriter) throws {
    self.connection = connection
    self.json = json
    let sql = LogWriter.insertEventSQL
    one = try connection.prepare(sql)
    let row = sql[(sql.lastIndex(of: "(") ?? sql.startIndex)...]
    many = try connection.prepare(
      sql.replacingPrefix("INSERT", with: "INSERT OR FAIL")
        + String(repeating: ", " + row, count: Self.atOnce - 1))
  }

  func removeAll() {
    count = 0
    json.removeAll()
  }

  /// Sets a column of the current row.
  @inline(__always)
  func set(_ column: Int, _ value: Int64?) {
    values[count * Self.numbers + column] = value
  }

  /// Completes a row with the ranges of its texts in `json`; when the batch is full, inserts all
  /// rows.
  ///
  /// - Throws: `SQLiteError`.
  @inline(__always)
  func add(args: Range<Int>?, snapshot: Range<Int>?) throws(SQLiteError) {
    texts[count * 2] = args
    texts[count * 2 + 1] = snapshot
    count += 1
    if count == Self.atOnce { try putMany() }
  }

  /// Inserts all pending rows.
  ///
  /// - Throws: `SQLiteError`.
  func flush() throws(SQLiteError) {
    guard count > 0 else { return }
    try withTexts { (bytes: UnsafeRawBufferPointer) throws(SQLiteError) in
      for row in 0..<count {
        for column in 0..<Self.numbers {
          try one.bind(Int32(column + 1), values[row * Self.numbers + column])
        }
        for column in 0..<2 {
          let text = texts[row * 2 + column].map { UnsafeRawBufferPointer(rebasing: bytes[$0]) }
          try one.bind(Int32(Self.numbers + column + 1), unmovedText: text)
        }
        try one.run()
      }
    }
    removeAll()
  }

  private func putMany() throws(SQLiteError) {
    try withTexts { (bytes: UnsafeRawBufferPointer) throws(SQLiteError) in
      for row in 0..<Self.atOnce {
        let place = row * Self.columns
        for column in 0..<Self.numbers {
          let value = values[row * Self.numbers + column]
          guard bound[place + column] != value else { continue }
          try many.bind(Int32(place + column + 1), value)
          bound[place + column] = value
        }
        for column in 0..<2 {
          let place = place + Self.numbers + column
          guard let text = texts[row * 2 + column] else {
            guard bound[place] != nil else { continue }
            try many.bind(Int32(place + 1), nil as Int64?)
            bound[place] = nil
            continue
          }
          let bytes = UnsafeRawBufferPointer(rebasing: bytes[text])
          try many.bind(Int32(place + 1), unmovedText: bytes)
          bound[place] = 1
        }
      }
      try many.run()
    }
    removeAll()
  }

  /// The texts do not move while the body runs.
  private func withTexts(
    _ body: (UnsafeRawBufferPointer) throws(SQLiteError) -> Void
  ) throws(SQLiteError) {
    var failure: SQLiteError?
    json.output.withUnsafeBytes { bytes in
      do throws(SQLiteError) { try body(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}

extension String {
  fileprivate func replacingPrefix(_ prefix: String, with other: String) -> String {
    hasPrefix(prefix) ? other + dropFirst(prefix.count) : self
  }
}
