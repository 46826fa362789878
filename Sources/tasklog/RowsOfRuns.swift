import LogFormat
import Querying

/// Writes the rows of several runs as one table, whose first columns tell the run.
struct RowsOfRuns: RowWriter {
  private var writer: any RowWriter
  private var columns: [Column]?
  /// The number and the ID of the run whose rows are written next.
  var run: (number: Int64, id: String) = (0, "")

  init(_ writer: any RowWriter) { self.writer = writer }

  /// The same for each run, as the SQL is.
  mutating func start(_ columns: [Column]) {
    guard self.columns == nil else { return }
    let own = ["run_number", "run_id"].map { Column($0) }
    self.columns = own + columns
    writer.start(own + columns)
  }

  mutating func row(_ values: [SQLiteValue]) {
    writer.row([.integer(run.number), .text(run.id)] + values)
  }

  mutating func flush() { writer.flush() }

  /// The end of the rows of one run.
  mutating func finish() {}

  /// The end of all rows.
  mutating func end() {
    if columns == nil { start([]) }
    writer.finish()
  }
}
