import LogFormat

/// A result of one or more tables, each with its name and columns.
package struct Report {
  package struct Table {
    /// The name in machine-readable formats.
    package var name: String
    /// The title shown to people.
    package var title: String
    package var columns: [Column]
    /// The maximum number of rows shown to people; machine-readable formats have all.
    package var most = Int.max
    /// Selects the rows shown to people, if these are not the first ones.
    package var isShown: (([SQLiteValue]) -> Bool)?
    /// The title on a terminal, if units differ there.
    package var terminalTitle: String?
    /// The columns that come first on a terminal, by name.
    package var first: [String] = []
    /// Shown on a terminal below a table with rows, of which it is given the number.
    package var note: ((_ rows: Int) -> String?)?
    /// Shown on a terminal in place of rows if there are none; without it the table is left out.
    package var whenEmpty: String?
    /// Rows as a terminal shows them.
    package var forTerminal: (([SQLiteValue]) -> [SQLiteValue])?
    let fill: (_ emit: ([SQLiteValue]) throws -> Void) throws -> Void

    /// - Parameter fill: calls its argument with each row.
    package init(
      _ name: String, title: String, columns: [Column],
      fill: @escaping (_ emit: ([SQLiteValue]) throws -> Void) throws -> Void
    ) {
      self.name = name
      self.title = title
      self.columns = columns
      self.fill = fill
    }

    package init(_ name: String, title: String, columns: [Column], rows: [[SQLiteValue]]) {
      self.init(name, title: title, columns: columns) { emit in for row in rows { try emit(row) } }
    }

    /// The same table with other properties on a terminal.
    package func onTerminal(
      title: String? = nil, first: [String] = [], whenEmpty: String? = nil,
      note: ((_ rows: Int) -> String?)? = nil
    ) -> Table {
      var table = self
      table.terminalTitle = title
      table.first = first
      table.whenEmpty = whenEmpty
      table.note = note
      return table
    }

    /// The same table, in which a terminal shows the values of one column as sizes where the name in
    /// another column says that they are bytes.
    package func withSizes(in value: String, of name: String) -> Table {
      var table = self
      guard let value = columns.firstIndex(where: { $0.name == value }),
        let name = columns.firstIndex(where: { $0.name == name })
      else { return table }
      table.forTerminal = { row in
        guard case .text(let text) = row[name], text.hasSuffix("bytes"),
          case .integer(let count) = row[value]
        else { return row }
        var row = row
        row[value] = .text(Units.bytes(Double(count)))
        return row
      }
      return table
    }

    /// The same table with at most `most` rows shown to people.
    package func shown(
      most: Int, _ isShown: (([SQLiteValue]) -> Bool)? = nil
    ) -> Table {
      var table = self
      table.most = most
      table.isShown = isShown
      return table
    }
  }

  package var tables: [Table]
  /// Text that a terminal shows before the tables.
  package var text: ((Terminal) throws -> String)?
  /// Whether a terminal shows the tables, too.
  package var hasTablesOnTerminal = true
  /// What a terminal shows if no table has rows and there is no text.
  package var none = "no rows"

  package init(_ tables: [Table]) {
    self.tables = tables
  }

  /// The same report with other text on a terminal.
  package func onTerminal(none: String) -> Report {
    var report = self
    report.none = none
    return report
  }

  /// Writes all tables. A single table is written as rows only. Several are distinguished: by
  /// titles for people, by name in a JSON object, by a first column `table` in JSON lines, CSV and
  /// TSV, where each row has the columns of all.
  ///
  /// - Throws: the errors of filling the tables.
  package func write(
    _ format: RowFormat, to output: @escaping TextOutput, terminal: Terminal?
  ) throws {
    if format == .table, let terminal { return try write(to: output, terminal) }
    if tables.count == 1 {
      if format == .table || format == .markdown {
        return try writeForPeople(tables[0], format, output, terminal)
      }
      var writer = format.writer(to: output, terminal: terminal)
      return try write(tables[0], &writer)
    }
    switch format {
    case .table, .markdown: try writeTitled(format, output, terminal)
    case .json: try writeObject(output)
    case .jsonl:
      for table in tables {
        var writer: any RowWriter = JSONRowsWriter(
          output: output, asLines: true, table: table.name)
        try write(table, &writer)
      }
    case .csv, .tsv: try writeUnion(format, output)
    }
  }

  private func write(_ table: Table, _ writer: inout any RowWriter) throws {
    writer.start(table.columns)
    // Rows read before an error are written, too.
    defer { writer.finish() }
    try table.fill { writer.row($0) }
  }

  /// Writes the rows shown to people, and how many more there are.
  private func writeForPeople(
    _ table: Table, _ format: RowFormat, _ output: @escaping TextOutput, _ terminal: Terminal?
  ) throws {
    var writer = format.writer(to: output, terminal: terminal)
    var (shown, others) = (0, 0)
    writer.start(table.columns)
    defer {
      writer.finish()
      if others > 0 {
        // Without a blank line Markdown would make it a row.
        let space = format == .markdown ? "\n" : ""
        output(Array("\(space)… and \(others) more; --format jsonl has all\n".utf8))
      }
    }
    try table.fill { row in
      guard shown < table.most, table.isShown?(row) ?? true else {
        others += 1
        return
      }
      shown += 1
      writer.row(row)
    }
  }

  private func writeTitled(
    _ format: RowFormat, _ output: @escaping TextOutput, _ terminal: Terminal?
  ) throws {
    for (index, table) in tables.enumerated() {
      let space = index > 0 ? "\n" : ""
      let title =
        format == .markdown
        ? "### \(MarkdownWriter.text(table.title))\n\n"
        : terminal?.hasColours == true
          ? "\u{1B}[1;4m\(Printable.text(table.title))\u{1B}[0m\n"
          : "\(Printable.text(table.title))\n"
      output(Array((space + title).utf8))
      try writeForPeople(table, format, output, terminal)
    }
  }

  private func writeObject(_ output: @escaping TextOutput) throws {
    for (index, table) in tables.enumerated() {
      output(Array("\(index == 0 ? "{" : ",")\n\"\(table.name)\": ".utf8))
      var writer: any RowWriter = JSONRowsWriter(output: output, asLines: false, end: "")
      try write(table, &writer)
    }
    output(Array("\n}\n".utf8))
  }

  private func writeUnion(_ format: RowFormat, _ output: @escaping TextOutput) throws {
    var columns: [Column] = [Column("table")]
    for column in tables.flatMap(\.columns)
    where !columns.contains(where: { $0.name == column.name }) {
      columns.append(column)
    }
    var writer = format.writer(to: output, terminal: nil)
    writer.start(columns)
    defer { writer.finish() }
    for table in tables {
      let indexes = table.columns.map { column in
        columns.firstIndex { $0.name == column.name } ?? 0
      }
      try table.fill { row in
        var values = [SQLiteValue](repeating: .null, count: columns.count)
        values[0] = .text(table.name)
        for (index, value) in zip(indexes, row) { values[index] = value }
        writer.row(values)
      }
    }
  }
}
