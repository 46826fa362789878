import LogFormat

/// A page of rows of the table `event`: row IDs and undecoded text.
package struct EventPage: Sendable {
  /// In the order of arrival, without the rows of skipped sources.
  package var rows: [EventRow] = []
  /// The bytes that `TextRange` points into.
  var text: [UInt8] = []
  /// The number of this page, by which text is found.
  var number: Int32 = 0
  /// The last row that was read.
  var position: Int64 = 0
  /// Number of rows of the run that were skipped.
  var skipped: Int64 = 0
  /// The largest row ID of a key.
  var largestKey: Int64 = 0
  /// Whether no row comes after this page so far.
  var isLast = true

  package init() {}

  /// Reads the integers of a row that was selected with `EventDecoder.columns`.
  ///
  /// - Parameter isWanted: whether an event will be decoded from it; if not, only what the causal
  ///   order needs is read.
  package mutating func append(_ row: Statement, seq: Int64, source: Int64, isWanted: Bool) {
    var taken = EventRow(
      seq: seq, source: source, sourceSeq: 0, time: 0, hook: row.integer(4),
      key: row.integer(5), start: row.integer(6), finish: row.integer(7),
      stimulus: row.integer(8), worker: 0, taskRun: row.integer(10), args: .null,
      snapshot: .null, role: isWanted ? [] : .isUnwanted)
    if isWanted {
      taken.sourceSeq = row.integer(2)
      taken.time = row.integer(3)
      taken.worker = row.integer(9)
      if let args = row.withText(11, { append($0) }) { taken.args = args }
      if let snapshot = row.withText(12, { append($0) }) { taken.snapshot = snapshot }
    }
    if taken.taskRun != 0 || !row.isNull(10) { taken.role.insert(.hasTaskRun) }
    if taken.key > largestKey { largestKey = taken.key }
    rows.append(taken)
  }

  /// Keeps a NUL after each text, so that a scan of numbers ends there.
  private mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) -> TextRange {
    let start = text.count
    // A page of such rows exceeds SQLite's limits.
    guard let place = Int32(exactly: start), let count = Int32(exactly: bytes.count) else {
      return .null
    }
    text.append(contentsOf: bytes)
    text.append(0)
    return TextRange(page: number, start: place, count: count)
  }
}

/// Reads pages of rows, each in its own transaction.
final class PageReader {
  /// Which rows are read.
  struct Choice: Sendable {
    /// The sources of the run.
    var known: Set<Int64>
    /// The sources whose events are emitted; `nil` for all.
    var wanted: Set<Int64>?
    /// Whether the other sources do not affect the order either.
    var skips: Bool
    /// The last event to read.
    var horizon: Int64
    /// Rows per page.
    var pageSize: Int
  }

  var choice: Choice {
    didSet { lastSource = .min }
  }
  private let path: String
  private let select: Statement
  /// The last source that was looked up; events of one source are often adjacent.
  private var lastSource: Int64 = .min
  private var lastIsKnown = false
  private var isLastSelected = true

  init(_ connection: Connection, path: String, _ choice: Choice) throws {
    self.path = path
    self.choice = choice
    select = try connection.prepare(
      "SELECT \(EventDecoder.columns) FROM event WHERE seq > ? ORDER BY seq")
  }

  /// Fills a page with the rows after a position.
  ///
  /// - Throws: `SQLiteError`, and `LogError` when the rows are out of order.
  func read(after position: Int64, _ number: Int32, into page: inout EventPage) throws {
    page.rows.removeAll(keepingCapacity: true)
    page.text.removeAll(keepingCapacity: true)
    page.number = number
    page.skipped = 0
    page.largestKey = 0
    page.isLast = true
    page.position = position
    defer { select.reset() }
    try select.bind(1, position)
    let (horizon, pageSize, skips) = (choice.horizon, choice.pageSize, choice.skips)
    var count = 0
    while try select.step() {
      let seq = select.integer(0)
      if seq > horizon { return }
      try LogReader.checkOrder(of: seq, after: page.position, path)
      page.position = seq
      let source = select.integer(1)
      if source != lastSource { look(at: source) }
      if lastIsKnown {
        if skips, !isLastSelected {
          page.skipped += 1
        } else {
          page.append(select, seq: seq, source: source, isWanted: isLastSelected)
        }
      }
      count += 1
      if count == pageSize {
        page.isLast = false
        return
      }
    }
  }

  private func look(at source: Int64) {
    lastSource = source
    lastIsKnown = choice.known.contains(source)
    isLastSelected = choice.wanted?.contains(source) ?? true
  }
}
