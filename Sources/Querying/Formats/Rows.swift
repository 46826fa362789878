import EventLog

/// A column of rows that are written.
public struct Column: Sendable {
  public enum Kind: Sendable {
    case plain
    /// Text that is JSON already.
    case json
    /// A time as ISO 8601 in UTC; a table leaves out the day when all are of the same.
    case time
    /// A time as ISO 8601 in UTC; a table shows it to the second.
    case date
    /// The address of a worker, whose end says most.
    case address
    /// A task's state, coloured on a terminal.
    case state
    /// A key, or what bundles keys, which may be of any length: cut in its middle.
    case key
  }

  public var name: String
  public var kind: Kind
  /// The higher, the earlier a narrow terminal's table does without it; 0 for columns that stay.
  public var rank: Int
  /// What a narrow terminal's table leaves of it.
  public var leastWidth: Int

  public init(
    _ name: String, _ kind: Kind = .plain, rank: Int = 0, leastWidth: Int? = nil
  ) {
    self.name = name
    self.kind = kind == .plain && Self.keys.contains(name) ? .key : kind
    self.rank = rank
    self.leastWidth =
      switch kind {
      case .time, .date, .state: .max
      default: leastWidth ?? max(8, name.count)
      }
  }
}

extension Column {
  private static let keys: Set<String> = [
    "key", "prefix", "group", "key_group", "first_key", "cause_key", "dependency",
  ]
}

/// Takes rows and writes them in some format.
public protocol RowWriter {
  mutating func start(_ columns: [Column])
  mutating func row(_ values: [SQLiteValue])
  /// Writes what it has kept back so far.
  mutating func flush()
  mutating func finish()
}

extension RowWriter {
  public mutating func flush() {}
}

/// Where written text goes, in UTF-8.
public typealias TextOutput = ([UInt8]) -> Void

/// How rows are written.
public enum RowFormat: String, Sendable, CaseIterable {
  case table, json, jsonl, csv, tsv, markdown

  public func writer(to output: @escaping TextOutput, terminal: Terminal?) -> any RowWriter {
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

/// What is known of the terminal that is written to.
public struct Terminal: Sendable {
  public var columns: Int
  public var hasColours: Bool

  public init(columns: Int, hasColours: Bool) {
    self.columns = columns
    self.hasColours = hasColours
  }
}
