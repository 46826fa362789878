import EventLog
import LogFormat
import TaskLogPlugin

/// Salvages a damaged log into a new one.
///
/// The file is read page by page, without SQLite. First the trees of its tables are walked from
/// their roots; then every page that no tree has reached is read by itself, and the table of its
/// rows is inferred from their shape. Of a row that is found twice, the one in the tree is used.
/// Rows keep their IDs. A missing row that events reference is replaced by a stand-in that begins
/// with `$lost`, so that no event is lost for the loss of a name; and missing numbers of a source
/// become a gap.
package final class LogSalvage {
  package struct Result: Sendable {
    package var runs: Int64 = 0
    package var events: Int64 = 0
    /// Events that are known to be lost.
    package var missing: Int64 = 0
    /// Missing names, sources and runs that were replaced by a stand-in.
    package var standIns: Int64 = 0
    /// Pages that belong to a table and were not reached by any tree.
    package var strayPages = 0
    /// Cells of pages, and complete rows, that could not be read.
    package var unreadable = 0
    /// Binary data that does not match its hash; it is omitted.
    package var wrongBlobs = 0
  }

  static let reason = "damaged, not recovered"

  private let image: DatabaseImage
  private let path: String
  private let connection: Connection
  private var inserts: [SalvagedTable: Statement] = [:]
  private var result = Result()
  private var nextSeq: Int64 = 0
  private var isVisited: [Bool]
  private let show: (_ pages: Int64, _ of: Int64) -> Void
  private var pagesRead: Int64 = 0

  /// Reads `path` and writes `newPath`, which must not exist.
  ///
  /// - Parameter show: called periodically with the number of pages read so far, and the total.
  /// - Throws: `LogError`, also if the file contains nothing of a log; no new file remains then.
  package static func salvage(
    _ path: String, into newPath: String,
    show: @escaping (_ pages: Int64, _ of: Int64) -> Void = { _, _ in }
  ) throws -> Result {
    try UnfinishedLog.checkIsNew(newPath)
    let image = try DatabaseImage(path: path)
    return try UnfinishedLog.write(to: newPath) { try salvage(image, path, $0, show) }
  }

  private static func salvage(
    _ image: DatabaseImage, _ path: String, _ newPath: String,
    _ show: @escaping (_ pages: Int64, _ of: Int64) -> Void
  ) throws -> Result {
    let connection = try LogFile.openForWriting(newPath)
    let salvage = try LogSalvage(image, path, connection, show)
    let result = try connection.transaction { try salvage.run() }
    guard result.events > 0 || result.runs > 0 else { throw LogError.nothingFound(path: path) }
    // It must be a single file, which can be renamed.
    WALPolicy.end(connection)
    return result
  }

  private init(
    _ image: DatabaseImage, _ path: String, _ connection: Connection,
    _ show: @escaping (Int64, Int64) -> Void
  ) throws {
    self.image = image
    self.path = path
    self.connection = connection
    self.show = show
    isVisited = [Bool](repeating: false, count: image.pageCount + 1)
    for table in SalvagedTable.allCases {
      let marks = Array(repeating: "?", count: table.columnCount).joined(separator: ", ")
      inserts[table] = try connection.prepare(
        "INSERT OR IGNORE INTO \(table.rawValue) VALUES (\(marks))")
    }
  }

  private func run() throws -> Result {
    for (table, root) in try roots() { try walk(root, table) }
    for number in 1..<max(2, image.pageCount + 1) where !isVisited[number] { try stray(number) }
    let mending = try SalvageMending(connection, result)
    return try mending.mend(nextSeq: nextSeq)
  }

  // MARK: - Trees

  /// The root pages of the tables, as far as the file still contains them.
  private func roots() throws -> [(SalvagedTable, Int)] {
    var roots: [(SalvagedTable, Int)] = []
    try walk(1) { row in
      guard row.values.count == 5, row.values[0] == .text("table"),
        case .text(let name) = row.values[1], let table = SalvagedTable(rawValue: name),
        case .integer(let root) = row.values[3], root > 1, root <= Int64(image.pageCount)
      else { return }
      roots.append((table, Int(root)))
    }
    return roots
  }

  private func walk(_ root: Int, _ table: SalvagedTable) throws {
    try walk(root) { row in
      if table.fits(row) { try put(row, table) } else { result.unreadable += 1 }
    }
  }

  /// Walks a tree. Each page is visited once, whatever references it.
  private func walk(_ root: Int, _ give: (BTreePage.Row) throws -> Void) throws {
    var waiting = [root]
    while let number = waiting.popLast() {
      guard number >= 1, number <= image.pageCount, !isVisited[number],
        let page = BTreePage(number, in: image), page.kind != .leafIndex,
        page.kind != .interiorIndex
      else { continue }
      visit(number)
      result.unreadable += try page.rows(give)
      waiting += page.children.reversed()
    }
  }

  private func visit(_ number: Int) {
    isVisited[number] = true
    pagesRead += 1
    if pagesRead & 0xFFF == 0 { show(pagesRead, Int64(image.pageCount)) }
  }

  // MARK: - Pages by themselves

  private func stray(_ number: Int) throws {
    guard let page = BTreePage(number, in: image) else { return }
    visit(number)
    switch page.kind {
    case .leafTable:
      var isOfTable = false
      _ = try page.rows { row in
        guard let table = SalvagedTable.of(row) else { return }
        isOfTable = true
        try put(row, table)
      }
      if isOfTable { result.strayPages += 1 }
    case .leafIndex:
      // The table `meta` has no row IDs, and so is an index.
      _ = page.rows { row in
        guard row.values.count == 2, row.values[0] == .text("next_seq"),
          case .integer(let next) = row.values[1], next < .max >> 1
        else { return }
        nextSeq = max(nextSeq, next)
      }
    case .interiorTable, .interiorIndex: break
    }
  }

  private func put(_ row: BTreePage.Row, _ table: SalvagedTable) throws {
    guard let insert = inserts[table] else { return }
    if table == .blob, case .text(let hash) = row.values[1], case .blob(let bytes) = row.values[2],
      SHA256.hash(bytes) != hash
    {
      result.wrongBlobs += 1
      return
    }
    try insert.bind(1, row.rowID)
    for (index, value) in row.values.enumerated().dropFirst() {
      try insert.bind(Int32(index + 1), value)
    }
    try insert.run()
  }
}
