import BrokerMessages
import CSQLite
import EventLog
import Glibc
import LogFormat
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
  /// What the spools next to the file say of it, by run.
  var spoolHeaders: [String: SpoolHeader] = [:]

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
    guard let others = surveySchema() else {
      return Result(runs: 0, events: 0, findings: list.sorted)
    }
    // Before the state of the log that is checked: a live recorder continues.
    readSpoolHeaders()
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
    runCheck("file") {
      isSound = try checkPages(isQuick: isQuick, hasOthers: !others.isEmpty)
      checkMode()
      if !runs.contains(where: { $0.end == .running }) { checkWAL() }
    }
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
    runCheck("commits") { try checkCommits(runs) }
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
      reportUnreadable(subject, reason)
    }
  }

  func reportUnreadable(_ subject: String, _ reason: String) {
    list.add(
      .unreadable, subject: subject, at: subject,
      "cannot be read to its end: \(reason); 'tasklog recover --into NEW' saves what can be")
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
  ///
  /// - Parameter hasOthers: whether there are objects that must not be read: then the tables are checked one
  ///   by one, and the pages that no table uses are not.
  private func checkPages(isQuick: Bool, hasOthers: Bool) throws -> Bool {
    let pragma = isQuick ? "quick_check" : "integrity_check"
    let tables = hasOthers ? try ownTables() : ["1000"]
    var isSound = true
    for table in tables {
      let check = try connection.prepare("PRAGMA \(pragma)(\(table))")
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
    }
    return isSound
  }

  private func ownTables() throws -> [String] {
    let select = try connection.prepare(
      "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    var names: [String] = []
    while try select.step() {
      if SchemaSurvey.isOurs(select.text(0)) { names.append("'\(select.text(0))'") }
    }
    return names
  }

  /// SQLite ignores a write-ahead log whose header is damaged, with all that is in it:
  /// https://sqlite.org/fileformat2.html#walformat
  private func checkWAL() {
    let wal = WALPolicy.wal(of: path)
    guard WriteAheadLog.hasDamagedHeader(wal) else { return }
    list.add(
      .unreadable, subject: "wal", at: wal,
      "the header of the write-ahead log is damaged, so what was recorded last is not read; 'tasklog "
        + "recover --into NEW' saves the rest")
  }

  private func checkMode() {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & 0o077 != 0 {
      let mode = String(status.st_mode & 0o777, radix: 8)
      list.add(
        .readableByOthers, at: path,
        "has mode \(mode); logs are private to their owner: chmod 600 makes it so again")
    }
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
