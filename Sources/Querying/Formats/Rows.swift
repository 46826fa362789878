import LogFormat

/// A column of written rows.
package struct Column: Sendable {
  package enum Kind: Sendable {
    case plain
    /// Text that is already JSON.
    case json
    /// A time as ISO 8601 in UTC; a table omits the day if it is the same in all rows.
    case time
    /// A time as ISO 8601 in UTC; a table shows it to the second.
    case date
    /// The address of a worker, whose end is most significant.
    case address
    /// A task's state, coloured on a terminal.
    case state
    /// A key, prefix or group, which may have any length: shortened in the middle.
    case key
    /// A duration in seconds.
    case seconds
    /// A time of threads in hours.
    case hours
    /// A size in bytes.
    case bytes
    /// A part of a whole, of which 1 is all.
    case share
    /// A time in seconds since 1970 UTC.
    case epoch
    /// An exception as Python's `repr` shows it.
    case exception
  }

  package var name: String
  package var kind: Kind
  /// Columns with higher ranks are dropped first on a narrow terminal; columns with 0 stay.
  package var rank: Int
  /// The minimum width on a narrow terminal.
  package var leastWidth: Int
  /// The name on a terminal, if the name tells a unit that is not shown there.
  package var heading: String {
    switch kind {
    case .seconds where name == "seconds": "duration"
    case .hours where name.hasSuffix("_hours"): String(name.dropLast("_hours".count))
    default: name
    }
  }
  /// Whether a terminal does not show the column if it is the same in all rows: the run that was
  /// selected, the first life of each worker.
  package var isOmittedIfSame: Bool { name == "run" && rank > 0 || name == "life" }

  package init(
    _ name: String, _ kind: Kind = .plain, rank: Int = 0, leastWidth: Int? = nil
  ) {
    self.name = name
    self.kind = kind == .plain && Self.keys.contains(name) ? .key : kind
    self.rank = rank
    self.leastWidth =
      switch kind {
      case .time, .date, .state, .epoch, .seconds, .hours, .bytes, .share: .max
      default: leastWidth ?? max(8, name.count)
      }
  }
}

extension Column {
  private static let keys: Set<String> = [
    "key", "prefix", "group", "key_group", "first_key", "cause_key", "dependency",
  ]
}

/// Writes rows in a format.
package protocol RowWriter {
  mutating func start(_ columns: [Column])
  mutating func row(_ values: [SQLiteValue])
  /// Writes what is buffered so far.
  mutating func flush()
  mutating func finish()
}

extension RowWriter {
  package mutating func flush() {}
}

/// Receives written text, in UTF-8.
package typealias TextOutput = ([UInt8]) -> Void

/// The output formats for rows.
package enum RowFormat: String, Sendable, CaseIterable {
  case table, json, jsonl, csv, tsv, markdown

  package func writer(to output: @escaping TextOutput, terminal: Terminal?) -> any RowWriter {
    switch self {
    case .table: TableWriter(output: output, terminal: terminal)
    case .json: JSONRowsWriter(output: output, asLines: false)
    case .jsonl: JSONRowsWriter(output: output, asLines: true)
    case .csv: CSVWriter(output: output)
    case .tsv: TSVWriter(output: output)
    case .markdown: MarkdownWriter(output: output)
    }
  }
}

/// The properties of the output terminal.
package struct Terminal: Sendable {
  package var columns: Int
  package var hasColours: Bool
  /// The options that a command shown there needs to read the same log and run, each after a space.
  package var options: String
  /// The filters of the command, for those that take them, too; each after a space.
  package var filters = ""

  package init(columns: Int, hasColours: Bool, options: String = "") {
    self.columns = columns
    self.hasColours = hasColours
    self.options = options
  }
}
