import BrokerMessages
import LogFormat

/// Writes rows as a table for people.
///
/// Widths come from the first rows. On a terminal the table fits its width, see `TableLayout`, values
/// have units, see `PeopleText`, and important states are coloured; otherwise only keys are shortened,
/// and cells wider than most exceed their column.
struct TableWriter: RowWriter {
  private static let rowsToMeasure = 1000
  /// Rows are measured sooner if they are long, since they are kept until then.
  private static let bytesToMeasure = 16 << 20
  private static let widestCell = 60
  /// Without a terminal: the maximum width that other rows are padded to.
  private static let widestColumn = 200

  private struct Cell {
    var text: String
    var width: Int
    var isNumber: Bool

    init(_ text: String, isNumber: Bool = false) {
      self.text = text
      width = Printable.width(text)
      self.isNumber = isNumber
    }
  }

  private let output: TextOutput
  private let terminal: Terminal?
  private var columns: [Column] = []
  private var waiting: [[Cell]] = []
  private var waitingBytes = 0
  private var isMeasured = false
  /// The indexes of the columns that are shown, and their widths.
  private var shown: [Int] = []
  private var widths: [Int] = []
  private var isPartial = false
  /// Columns of numbers are right-aligned.
  private var isRight: [Bool] = []
  /// The common day of all measured times of a column, by column; it is omitted.
  private var days: [Int: Substring] = [:]
  /// Whether it is one of the tables of a report: what says nothing is omitted on a terminal, and the
  /// report tells which columns are not shown.
  private let isOfReport: Bool

  init(output: @escaping TextOutput, terminal: Terminal?, isOfReport: Bool = false) {
    self.output = output
    self.terminal = terminal
    self.isOfReport = isOfReport
  }

  /// The columns that the terminal has no room for.
  private(set) var hidden: [String] = []

  mutating func start(_ columns: [Column]) {
    self.columns = columns
  }

  mutating func row(_ values: [SQLiteValue]) {
    let cells = zip(columns, values).map { cell($1, $0) }
    if isMeasured {
      write(withoutDay(cells))
    } else {
      waiting.append(cells)
      waitingBytes += cells.reduce(0) { $0 + $1.text.utf8.count }
      if waiting.count == Self.rowsToMeasure || waitingBytes > Self.bytesToMeasure { measure() }
    }
  }

  mutating func flush() {
    if !isMeasured, !waiting.isEmpty { measure() }
  }

  mutating func finish() {
    guard let terminal else {
      if !isMeasured { measure() }
      return
    }
    if !isMeasured {
      guard !waiting.isEmpty else {
        if !isOfReport { output(Array("no rows\n".utf8)) }
        return
      }
      measure(isComplete: true)
    }
    if !isOfReport { output(Array(PeopleText.hidden(hidden, terminal).utf8)) }
  }

  // MARK: - Layout

  /// - Parameter isComplete: whether no rows follow.
  private mutating func measure(isComplete: Bool = false) {
    isMeasured = true
    for index in columns.indices
    where columns[index].kind == .time || terminal != nil && columns[index].kind == .epoch {
      let commonDays = Set(waiting.lazy.map { $0[index].text }.filter { !$0.isEmpty }.map(Self.day))
      if commonDays.count == 1, let day = commonDays.first { days[index] = day }
    }
    waiting = waiting.map(withoutDay)
    let headers = columns.map { Cell(Printable.text(terminal == nil ? $0.name : $0.heading)) }
    let natural = columns.indices.map { index in
      waiting.reduce(headers[index].width) { max($0, $1[index].width) }
    }
    isRight = columns.indices.map { index in
      let cells = waiting.lazy.map { $0[index] }.filter { !$0.text.isEmpty }
      return !cells.isEmpty && cells.allSatisfy(\.isNumber)
    }
    shown = Array(columns.indices)
    widths = natural.map { min($0, Self.widestColumn) }
    if let terminal {
      let isOmitted = columns.indices.map { isOfReport && isComplete && saysNothing($0) }
      var told = columns.indices.filter { !isOmitted[$0] }
      if told.isEmpty { told = Array(columns.indices) }
      let measures = told.map { index in
        let column = columns[index]
        let natural = column.kind == .json ? natural[index] : min(natural[index], Self.widestCell)
        // Rows of several runs cannot be told apart without it.
        let isOfRuns = isOfReport && column.name == "run"
        // A truncated number would be wrong.
        return TableLayout.Measure(
          natural: natural, least: isRight[index] ? natural : column.leastWidth,
          rank: isOfRuns ? 0 : column.rank)
      }
      let layout = TableLayout(measures, available: terminal.columns)
      (shown, widths, isPartial) = (layout.shown.map { told[$0] }, layout.widths, layout.isPartial)
      hidden = told.filter { !shown.contains($0) }.map { headers[$0].text }
    }
    write(headers, isHeader: true)
    for cells in waiting { write(cells) }
    waiting = []
  }

  /// Whether a column has no values, or one that the reader knows, such as the selected run.
  private func saysNothing(_ index: Int) -> Bool {
    let first = waiting.first?[index].text ?? ""
    guard first.isEmpty || columns[index].isOmittedIfSame else { return false }
    if columns[index].name == "life", first != "1", !first.isEmpty { return false }
    return columns.count > 1 && waiting.allSatisfy { $0[index].text == first }
  }

  private func cell(_ value: SQLiteValue, _ column: Column) -> Cell {
    guard terminal == nil else {
      let cell = PeopleText.cell(value, column)
      return Cell(Printable.text(cell.text), isNumber: cell.isNumber)
    }
    switch value {
    case .integer(let number): return Cell(String(number), isNumber: true)
    case .real(let number): return Cell(Self.short(number), isNumber: true)
    default: break
    }
    let text = Printable.text(value.text(forPeopleIn: column))
    guard column.kind == .date, Self.day(text) != nil else { return Cell(text) }
    return Cell(String(text.prefix(19)).replacing("T", with: " "))
  }

  /// The day of a time in ISO 8601 or as `Units.time` writes it, or `nil` for any other text.
  private static func day(_ text: String) -> Substring? {
    let bytes = Array(text.utf8.prefix(20))
    guard bytes.count == 20, bytes[10] == UInt8(ascii: "T") || bytes[10] == UInt8(ascii: " "),
      bytes[13] == UInt8(ascii: ":")
    else {
      return nil
    }
    return text.prefix(10)
  }

  private func withoutDay(_ cells: [Cell]) -> [Cell] {
    var cells = cells
    for (index, day) in days where Self.day(cells[index].text) == day {
      let text = cells[index].text.dropFirst(11)
      cells[index] = Cell(String(text.hasSuffix("Z") ? text.dropLast() : text))
    }
    return cells
  }

  /// Formats a number for people: to microseconds, without an exponent.
  static func short(_ number: Double) -> String {
    let millionths = (number.magnitude * 1e6).rounded()
    guard number.magnitude < 1e12, millionths >= 1 || number == 0 else { return number.description }
    guard number.magnitude < 1e-4 else { return ((number * 1e6).rounded() / 1e6).description }
    var digits = String(Int(saturating: millionths))
    digits = String(repeating: "0", count: 6 - digits.count) + digits
    while digits.hasSuffix("0"), digits.count > 1 { digits.removeLast() }
    return (number < 0 ? "-0." : "0.") + digits
  }

  // MARK: - Lines

  private func write(_ cells: [Cell], isHeader: Bool = false) {
    var line = ""
    // Spaces are only written before further text.
    var spaces = 0
    for (position, index) in shown.enumerated() {
      let cell = fit(cells[index], widths[position], columns[index])
      let padding = max(0, widths[position] - cell.width)
      if isRight[index] { spaces += padding }
      if cell.width > 0 {
        line += String(repeating: " ", count: spaces) + colour(cell.text, columns[index], isHeader)
        spaces = 0
      }
      if !isRight[index] { spaces += padding }
      spaces += TableLayout.gap
    }
    if isHeader, isPartial { line += String(repeating: " ", count: spaces) + "…" }
    output(Array((line + "\n").utf8))
  }

  /// Shortens a cell to the width of its column on a terminal. Addresses keep their end, keys both
  /// ends.
  private func fit(_ cell: Cell, _ width: Int, _ column: Column) -> Cell {
    guard terminal != nil, cell.width > width else { return cell }
    if column.kind == .key { return Cell(Printable.withoutMiddle(cell.text, width: width)) }
    var kept: [Character] = []
    var used = 1
    let fromEnd = column.kind == .address
    for character in fromEnd ? Array(cell.text.reversed()) : Array(cell.text) {
      used += Printable.width(character)
      if used > width { break }
      kept.append(character)
    }
    return Cell(fromEnd ? "…" + String(kept.reversed()) : String(kept) + "…")
  }

  private func colour(_ text: String, _ column: Column, _ isHeader: Bool) -> String {
    guard terminal?.hasColours == true else { return text }
    if isHeader { return "\u{1B}[1m\(text)\u{1B}[0m" }
    guard column.kind == .state else { return text }
    switch text {
    case "erred", "error", "died", "missing", "no-worker": return "\u{1B}[31m\(text)\u{1B}[0m"
    case "memory", "closed": return "\u{1B}[32m\(text)\u{1B}[0m"
    case "processing", "executing", "long-running", "running", "flight", "waiting", "queued":
      return "\u{1B}[33m\(text)\u{1B}[0m"
    default: return text
    }
  }
}
