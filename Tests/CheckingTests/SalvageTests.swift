import Foundation
import TaskLogPlugin
import TestSupport
import TestTraits
import Testing

@testable import EventLog
@testable import LogFormat
@testable import LogMaintenance

/// Damaged logs, and what is salvaged from them.
///
/// `TASKLOG_TEST_SQLITE` names a `sqlite3` whose `.recover` works (Debian's does not: it has no
/// `sqlite_dbpage`); if it is given, every event that it recovers must be salvaged here, too.
@Suite(.exclusive(.commands)) struct SalvageTests {
  private let folder: TemporaryFolder
  private let healthy: [UInt8]
  private var path: String { folder("damaged.db") }
  private var saved: String { folder("saved.db") }

  init() throws {
    folder = try TemporaryFolder()
    let path = folder("healthy.db")
    var random = Randomness.generator(811)
    let writer = try LogWriter(path: path)
    try writer.transaction {
      for number in 0..<2 { try Self.fill(writer, number, &random) }
    }
    writer.close()
    healthy = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  private static func fill(
    _ writer: LogWriter, _ number: Int, _ random: inout SplitMix64
  ) throws {
    let run = try writer.add(
      RunHeader(
        id: RunID.make(), engine: "tasklog", engineVersion: "1", recorderVersion: "1",
        mode: "full", started: 1_000))
    let source = try writer.add(
      Source(kind: .scheduler, id: "Scheduler-\(number)", address: "inproc://\(number)"), run: run)
    for seq in 1...900 {
      try writer.append(Self.event(seq, &random), source: source, sourceSeq: Int64(seq))
    }
    try writer.end(run: run, .closed, at: 5_000)
  }

  private static func event(_ number: Int, _ random: inout SplitMix64) -> Event {
    // One in a few has bytes that are stored once, or continues on other pages.
    let args =
      random.once(in: 9)
      ? Args(named: [.init("data", .bytes((0..<400).map { _ in UInt8(random.below(256)) }))])
      : random.once(in: 20)
        ? Args(named: [.init("text", .string(String(repeating: "long ", count: 1_500)))])
        : random.args()
    return Event(
      .logEvent, time: Int64(number), key: Key("key-\(random.below(50))", number % 7),
      stimulusID: "stimulus-\(number / 3)", args: args)
  }

  /// As the header of the healthy log says.
  private var pageSize: Int { Int(healthy[16]) << 8 | Int(healthy[17]) }

  // MARK: - Damage

  enum Damage: CaseIterable {
    case nothing, zeroedPage, randomPage, flippedBits, cut, header, schema, manyPages
  }

  private func damage(_ kind: Damage, _ random: inout SplitMix64) throws -> Set<Int> {
    var bytes = healthy
    let pages = bytes.count / pageSize
    var spoilt: Set<Int> = []
    func spoil(_ page: Int, _ body: (inout [UInt8], Range<Int>) -> Void) {
      spoilt.insert(page)
      body(&bytes, (page - 1) * pageSize..<page * pageSize)
    }
    switch kind {
    case .nothing: break
    case .zeroedPage:
      spoil(2 + random.below(pages - 1)) { bytes, range in for i in range { bytes[i] = 0 } }
    case .randomPage, .manyPages:
      for _ in 0..<(kind == .randomPage ? 1 : 12) {
        spoil(2 + random.below(pages - 1)) { bytes, range in
          for i in range { bytes[i] = UInt8(truncatingIfNeeded: random.next()) }
        }
      }
    case .flippedBits:
      for _ in 0..<8 {
        spoil(2 + random.below(pages - 1)) { bytes, range in
          bytes[range.lowerBound + random.below(pageSize)] ^= 1 << UInt8(random.below(8))
        }
      }
    case .cut:
      let left = pages - 1 - random.below(pages / 2)
      for page in left + 1...pages { spoilt.insert(page) }
      bytes.removeLast((pages - left) * pageSize)
    case .header: spoil(1) { bytes, _ in for i in 0..<100 { bytes[i] = 0xAA } }
    case .schema: spoil(1) { bytes, range in for i in range.dropFirst(100) { bytes[i] = 0 } }
    }
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return spoilt
  }

  /// The numbers of the events on pages that were not damaged. An event may continue elsewhere.
  private func untouched(_ spoilt: Set<Int>) throws -> Set<Int64> {
    let whole = folder("whole.db")
    try Data(healthy).write(to: URL(fileURLWithPath: whole))
    let image = try DatabaseImage(path: whole)
    var events: Set<Int64> = []
    for number in 2...image.pageCount where !spoilt.contains(number) {
      guard let page = BTreePage(number, in: image), page.kind == .leafTable else { continue }
      _ = page.rows { if SalvagedTable.event.fits($0) { events.insert($0.rowID) } }
    }
    return events
  }

  private static func rows(_ path: String, where condition: String = "TRUE") throws -> [Int64:
    String]
  {
    let select = try Connection(path: path, mode: .readOnly).prepare(
      """
      SELECT seq, quote(source) || quote(source_seq) || quote(time) || quote(args) || quote(snapshot)
      FROM event WHERE \(condition)
      """)
    var rows: [Int64: String] = [:]
    while try select.step() { rows[select.integer(0)] = select.text(1) }
    return rows
  }

  // MARK: - Tests

  @Test(arguments: Damage.allCases)
  func `events on undamaged pages are salvaged, and the rest is a gap`(_ kind: Damage) throws {
    let original = try Self.rows(folder("healthy.db"))
    var random = Randomness.generator(UInt64(Damage.allCases.firstIndex(of: kind) ?? 0) + 13)
    for round in 0..<Randomness.setting("TASKLOG_TEST_SALVAGES", default: 6) {
      try? FileManager.default.removeItem(atPath: saved)
      let spoilt = try damage(kind, &random)
      let result = try LogSalvage.salvage(path, into: saved)
      let rows = try Self.rows(saved)
      let note = "\(kind), round \(round)"
      #expect(result.events == Int64(rows.count), "\(note)")
      // Events that continue on another page may have lost that part.
      let continued = try Self.rows(
        folder("healthy.db"), where: "length(args) + coalesce(length(snapshot), 0) > 400")
      let others = rows.filter { original[$0.key] != $0.value && continued[$0.key] == nil }.count
      // Bits may have flipped within a row, which changes the row.
      #expect(others <= (kind == .flippedBits ? 8 : 0), "\(note): \(others) are other rows")
      let lost = try untouched(spoilt).filter { rows[$0] == nil && continued[$0] == nil }
      // A row whose number within its source has changed may stand in the place of another.
      #expect(lost.count <= (kind == .flippedBits ? others : 0), "\(note): \(lost)")
      let contents: Set<Finding.Kind> = [.missingBlob, .unreadableArgs, .unreadableSnapshot]
      let findings = try LogCheck(path: saved).run().findings
        .filter { $0.severity == .error && !contents.contains($0.kind) }
      if kind != .flippedBits { #expect(findings.map { "\($0)" } == [], "\(note)") }
      if let shell = ProcessInfo.processInfo.environment["TASKLOG_TEST_SQLITE"] {
        try compare(shell, rows, note)
      }
    }
  }

  /// Whatever SQLite's own shell recovers is salvaged.
  private func compare(_ shell: String, _ rows: [Int64: String], _ note: String) throws {
    let other = folder("other.db")
    try? FileManager.default.removeItem(atPath: other)
    _ = try Child.run([
      "sh", "-c", #""$0" "$1" .recover 2>/dev/null | "$0" "$2" 2>/dev/null"#, shell, path, other,
    ])
    let known = Set(rows.values)
    var theirs = (try? Self.rows(other)).map { Array($0.values) } ?? []
    let connection = try Connection(path: other, mode: .readOnly)
    if let select = try? connection.prepare(
      """
      SELECT quote(c1) || quote(c2) || quote(c3) || quote(c11) || quote(c12) FROM lost_and_found
      WHERE nfield = 13 AND typeof(c1) = 'integer'
      """)
    {
      while try select.step() { theirs.append(select.text(0)) }
    }
    #expect(theirs.filter { !known.contains($0) } == [], "\(note)")
  }

  @Test func `a check and a salvage notice events of which nothing but their numbers is left`()
    throws
  {
    try Data(healthy).write(to: URL(fileURLWithPath: path))
    // No old row remains on a page that is free.
    try Connection(path: path, mode: .readWrite).execute(
      """
      PRAGMA secure_delete = ON;
      DELETE FROM event WHERE source = 2; DELETE FROM source WHERE id = 2;
      DELETE FROM source_total WHERE source = 2; DELETE FROM run_total WHERE run = 2;
      DELETE FROM event_total WHERE run = 2; DELETE FROM run WHERE id = 2; VACUUM
      """)
    let hole = try LogCheck(path: path).run().findings.first { $0.kind == .holeInSeq }
    #expect(hole?.count == 900)
    let result = try LogSalvage.salvage(path, into: saved)
    #expect(result.events == 900 && result.missing == 900)
    let after = try LogCheck(path: saved).run()
    #expect(after.findings.contains { $0.kind == .knownGap && $0.count == 900 })
    #expect(!after.findings.contains { $0.kind == .holeInSeq })
  }

  @Test func `events in a write-ahead log are salvaged, too`() throws {
    let writer = try LogWriter(path: path)
    try writer.transaction { try Self.fillRest(writer) }
    // The writer is still open, and so is its write-ahead log.
    let result = try LogSalvage.salvage(path, into: saved)
    #expect(result.events == 50)
    withExtendedLifetime(writer) {}
  }

  private static func fillRest(_ writer: LogWriter) throws {
    var random = Randomness.generator(3)
    let run = try writer.add(
      RunHeader(
        id: RunID.make(), engine: "tasklog", engineVersion: "1", recorderVersion: "1",
        mode: "full", started: 1_000))
    let source = try writer.add(
      Source(kind: .scheduler, id: "Scheduler", address: "inproc://"), run: run)
    for seq in 1...50 {
      try writer.append(event(seq, &random), source: source, sourceSeq: Int64(seq))
    }
  }

  @Test func `no file remains if there is nothing to salvage`() throws {
    try Data(Array(repeating: 0x41, count: 9_000)).write(to: URL(fileURLWithPath: path))
    #expect(throws: LogError.self) { try LogSalvage.salvage(path, into: saved) }
    #expect(!FileManager.default.fileExists(atPath: saved))
  }

  @Test func `a salvage removes no file that it has not made, and leaves one file`() throws {
    try Data(healthy).write(to: URL(fileURLWithPath: path))
    for suffix in ["", "-wal", "-shm", "-journal"] {
      for unfinished in [".unfinished", ".part"] {
        try folder.write("saved.db" + unfinished + suffix, "precious")
      }
    }
    let before = folder.names
    let result = try LogSalvage.salvage(path, into: saved)
    #expect(result.events == 1800 && result.missing == 0)
    #expect(folder.names == (before + ["saved.db"]).sorted())
    for name in folder.names where name.hasPrefix("saved.db.") {
      #expect(try String(contentsOfFile: folder(name), encoding: .utf8) == "precious")
    }
    // What killed ones have left: a log with its WAL, and a file in which there is nothing yet.
    let other = folder("other.db")
    try FileManager.default.copyItem(atPath: saved, toPath: other + ".unfinished")
    try folder.write("other.db.unfinished-wal", "")
    _ = try LogSalvage.salvage(path, into: other)
    try folder.write("another.db.unfinished", "")
    _ = try LogSalvage.salvage(path, into: folder("another.db"))
    try folder.write("another.db.unfinished", "")
    do {
      let blank = try Connection(path: folder("another.db.unfinished"), mode: .readWrite)
      try blank.execute("PRAGMA journal_mode = WAL")
    }
    try FileManager.default.removeItem(atPath: folder("another.db"))
    _ = try LogSalvage.salvage(path, into: folder("another.db"))
    #expect(folder.names == (before + ["another.db", "other.db", "saved.db"]).sorted())
    #expect(try Self.rows(saved).count == 1_800)
  }

  @Test func `an existing file is not overwritten`() throws {
    let taken = folder("healthy.db")
    #expect(throws: LogError.self) { try LogSalvage.salvage(taken, into: taken) }
    #expect(try Self.rows(taken).count == 1_800)
  }
}
