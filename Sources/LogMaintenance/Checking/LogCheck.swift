import BrokerMessages
import CSQLite
import EventLog
import Glibc
import LogFormat
import Migrations
import TaskLogPlugin

/// Checks a whole log and reports everything that is wrong with it.
///
/// The promises of a log (see the design: numbers without holes except for recorded gaps, rows that
/// reference only existing rows, args that can be decoded, ends of runs that agree with their
/// recorders) are checked one by one. Unreadable data ends only the check that encountered it.
/// Nothing is written. A live log is checked as of one moment: in a read transaction, during which
/// its write-ahead log grows until the check is over.
package final class LogCheck {
  package struct Result: Sendable {
    package var runs: Int
    /// The number of readable events.
    package var events: Int64
    /// The most severe first.
    package var findings: [Finding]

    /// Whether there is a problem that the log itself does not record.
    package var hasErrors: Bool { findings.contains { $0.severity == .error } }
    package var hasWarnings: Bool { findings.contains { $0.severity == .warning } }
  }

  let path: String
  let connection: Connection
  var list = FindingList()
  var events: Int64 = 0
  /// The row IDs of the runs whose remaining events may be in other logs.
  var partialRuns: Set<Int64> = []

  /// - Throws: `LogError` if the file is not a log.
  package init(path: String) throws {
    self.path = path
    connection = try LogFile.openForChecking(path)
  }

  /// - Parameters:
  ///   - isQuick: skips what takes most of the time: the contents of args, snapshots and blobs, and
  ///     whether indexes agree with their tables.
  ///   - show: called periodically with the number of events read so far.
  /// - Throws: `LogError` if nothing can be read.
  package func run(isQuick: Bool = false, show: @escaping (Int64) -> Void = { _ in }) throws
    -> Result
  {
    var runs: [RunInfo] = []
    runCheck("runs") { runs = try LogReader(path: path).runs() }
    partialRuns = Set(runs.filter(\.isPartial).map(\.number))
    do {
      try connection.execute("BEGIN")
    } catch {
      throw LogFile.error(error, path, connection)
    }
    defer { try? connection.execute("ROLLBACK") }
    var isSound = false
    runCheck("file") { isSound = try checkFile(isQuick: isQuick) }
    runCheck("schema") { try checkSchema() }
    let references = References(connection)
    runCheck("meta") { try checkNumbers() }
    var totals: TotalsCheck?
    runCheck("events") {
      var scan = try EventScan(self, references, isQuick: isQuick, show: show)
      try scan.run()
      totals = scan.stored
    }
    runCheck("totals") {
      try totals?.compare { run, detail in
        list.add(.wrongTotals, run: run, at: run.map { "run #\($0)" } ?? "totals", detail)
      }
    }
    runCheck("sources") { try checkSources() }
    let unchained = runs.filter(\.limits.hasHookFilter).map(\.number)
    runCheck("chains") { try checkChains(references, except: Set(unchained)) }
    runCheck("filters") { try reportFilters(runs) }
    runCheck("parts") { try reportParts(runs) }
    runCheck("runs") { try checkRuns(runs) }
    runCheck("workers") { try checkWorkers(runs) }
    if !isQuick { runCheck("blobs") { try checkBlobs() } }
    checkSpools(runs)
    if !isSound { reportReadable() }
    return Result(runs: runs.count, events: events, findings: list.sorted)
  }

  /// Runs one check; unreadable data ends it and is a finding.
  private func runCheck(_ subject: String, _ body: () throws -> Void) {
    do {
      try body()
    } catch {
      let reason =
        switch error {
        case let error as SQLiteError: error.message
        case LogError.damaged(_, let reason): reason
        default: String(describing: error)
        }
      list.add(
        .unreadable, subject: subject, at: subject,
        "cannot be read to its end: \(reason); 'tasklog recover --into NEW' saves what can be")
    }
  }

  private func reportReadable() {
    let total = (try? connection.integer("SELECT sum(events) FROM run")).flatMap { $0 }
    list.add(
      .unreadable, subject: "total", at: path,
      "\(events) of \(total.map(String.init) ?? "an unknown number of") events can be read in "
        + "their order; 'tasklog recover --into NEW' saves the readable rest")
  }

  // MARK: - The file

  /// https://sqlite.org/pragma.html#pragma_integrity_check
  private func checkFile(isQuick: Bool) throws -> Bool {
    let check = try connection.prepare(
      "PRAGMA \(isQuick ? "quick_check" : "integrity_check")(1000)")
    var isSound = true
    while try check.step() {
      let message = check.text(0)
      guard message != "ok" else { continue }
      isSound = false
      for line in message.split(separator: "\n") {
        list.add(
          .damagedPage, at: String(line.prefix(120)),
          "what SQLite's integrity check says first; 'tasklog recover --into NEW' saves what can be read"
        )
      }
    }
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & 0o077 != 0 {
      let mode = String(status.st_mode & 0o777, radix: 8)
      list.add(
        .readableByOthers, at: path,
        "has mode \(mode); logs are private to their owner: chmod 600 makes it so again")
    }
    return isSound
  }

  /// Checks that tables, indexes and views are those of the file's version.
  private func checkSchema() throws {
    let version = try connection.integer("PRAGMA user_version") ?? 0
    if version > LogFile.newestVersion {
      list.add(
        .newerVersion, at: path,
        "is of format version \(version), this tasklog knows up to \(LogFile.newestVersion); what is "
          + "new in it is not checked")
      return
    }
    let expected = try Connection(path: "", mode: .memory)
    for migration in Migrations.all where Int64(migration.version) <= version {
      try expected.execute(String(decoding: migration.sql, as: UTF8.self))
    }
    let existing = try Self.objects(connection)
    for (name, object) in try Self.objects(expected).sorted(by: { $0.key < $1.key }) {
      guard let sql = existing[name]?.sql else {
        list.add(
          .missingObject, subject: name, at: name,
          "the \(object.type) is missing; 'tasklog recover --into NEW' rebuilds the log")
        continue
      }
      guard object.type != "view" || isWorking(name) else { continue }
      if sql != object.sql {
        list.add(
          .changedObject, subject: name, at: name,
          "the \(object.type) differs from that of format version \(version)")
      }
    }
  }

  private func isWorking(_ view: String) -> Bool {
    do {
      _ = try connection.prepare("SELECT * FROM main.\(view)")
      return true
    } catch {
      list.add(.brokenView, subject: view, at: view, "cannot be asked: \(error.message)")
      return false
    }
  }

  private static func objects(
    _ connection: Connection
  ) throws -> [String: (type: String, sql: String)] {
    let select = try connection.prepare(
      "SELECT name, type, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    var objects: [String: (String, String)] = [:]
    while try select.step() { objects[select.text(0)] = (select.text(1), select.text(2)) }
    return objects
  }

  // MARK: - Blobs

  private func checkBlobs() throws {
    let select = try connection.prepare("SELECT id, hash, bytes FROM blob ORDER BY id")
    while try select.step() {
      let hash = SHA256.hash(select.bytes(2))
      if hash != select.text(1) {
        list.add(
          .wrongBlob, at: "blob \(select.integer(0))",
          "its bytes do not match its hash; events that reference it decode to a wrong value"
        )
      }
    }
  }
}
