import LogFormat

/// A report on a terminal: its text, then its tables, without those that have no rows.
extension Report {
  func write(to output: @escaping TextOutput, _ terminal: Terminal) throws {
    let text = try self.text?(terminal)
    if let text { output(Array(text.utf8)) }
    if text != nil, !hasTablesOnTerminal { return }
    var isFirst = text == nil
    var hasRows = false
    var hidden: [String] = []
    // Rows read before an error are written, too, and the columns that are not shown are named.
    defer { output(Array(PeopleText.hidden(hidden, terminal).utf8)) }
    for table in tables {
      let title =
        tables.count > 1 || text != nil
        ? terminal.heading(Printable.text(table.terminalTitle ?? table.title)) + "\n" : ""
      var isBegun = false
      let begin = isFirst ? title : "\n" + title
      func begun(_ bytes: [UInt8]) {
        if !isBegun { output(Array(begin.utf8)) }
        isBegun = true
        output(bytes)
      }
      for name in try write(table, begun, terminal) where !hidden.contains(name) {
        hidden.append(name)
      }
      if !isBegun, let text = table.whenEmpty { begun(Array("\(text)\n".utf8)) }
      if isBegun { (isFirst, hasRows) = (false, true) }
    }
    if !hasRows, text == nil { output(Array((none + "\n").utf8)) }
  }

  /// - Returns: the columns that there is no room for.
  private func write(
    _ table: Table, _ output: @escaping TextOutput, _ terminal: Terminal
  ) throws -> [String] {
    var writer = TableWriter(output: output, terminal: terminal, isOfReport: true)
    let order =
      table.first.compactMap { name in table.columns.firstIndex { $0.name == name } }
      + table.columns.indices.filter { !table.first.contains(table.columns[$0].name) }
    var (shown, others) = (0, 0)
    writer.start(order.map { table.columns[$0] })
    func end() {
      writer.finish()
      if others > 0 {
        output(Array("… and \(Units.count(Int64(others))) more; --format jsonl has all\n".utf8))
      }
      if shown > 0, let note = table.note?(shown) {
        output(Array(PeopleText.wrapped(note, terminal).utf8))
      }
    }
    do {
      try table.fill { row in
        guard shown < table.most, table.isShown?(row) ?? true else {
          others += 1
          return
        }
        shown += 1
        let row = table.forTerminal?(row) ?? row
        writer.row(order.map { row[$0] })
      }
    } catch {
      end()
      throw error
    }
    end()
    return writer.hidden
  }
}

extension Terminal {
  /// Text as a heading.
  func heading(_ text: String) -> String { hasColours ? "\u{1B}[1;4m\(text)\u{1B}[0m" : text }

  /// Text that stands out.
  func bold(_ text: String) -> String { hasColours ? "\u{1B}[1m\(text)\u{1B}[0m" : text }

  func red(_ text: String) -> String { hasColours ? "\u{1B}[31m\(text)\u{1B}[0m" : text }

  func green(_ text: String) -> String { hasColours ? "\u{1B}[32m\(text)\u{1B}[0m" : text }
}
