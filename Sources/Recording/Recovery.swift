import BrokerMessages
import CSupport
import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// Recovers the spools of dead recorders into the log.
///
/// Each event is recovered exactly once: under the lock of the recorder's own folder, from the
/// position stored in the log, which advances in the same transaction as the rows. Live recorders
/// are left alone.
package enum Recovery {
  /// A recovered run.
  package struct Recovered: Sendable {
    package var run: String
    /// The number of events that were in the spool and not yet in the log.
    package var events: Int64
    /// The number of missing events: recorded when the process died, but dropped for lack of room,
    /// or lost in a damaged spool.
    package var missing: Int64
    /// How the run ended: `closed` if only the log could not be written then.
    package var end = RunEnd.died
    /// Why its spool was left alone; `nil` if it was recovered.
    package var objection: String?

    /// Whether there is something to tell about it.
    package var isNotable: Bool { events > 0 || objection != nil }

    /// A summary for the log of a program.
    package var text: String {
      if let objection { return "run \(run): its spool is not recovered: \(objection)" }
      let message =
        end == .closed
        ? "run \(run): \(events) events that could not be written at its end were recovered from "
          + "its spool"
        : "run \(run) died; \(events) events were recovered from its spool"
      return message + (missing > 0 ? "; \(missing) events are missing" : "")
    }
  }

  /// The spool folder of a recorder, live or dead, next to the log.
  package struct PendingSpool: Sendable {
    package var run: String
    package var bytes: Int64
  }

  /// The spools next to a log, sorted by name.
  package static func spools(log path: String) -> [PendingSpool] {
    let parent = RecorderLock.parent(ofLog: path)
    func names(_ folder: String) -> [String] { (try? FolderListing.names(folder)) ?? [] }
    return names(parent).map { run in
      let bytes = names("\(parent)/\(run)").reduce(Int64(0)) { sum, name in
        var status = stat()
        let isThere = lstat("\(parent)/\(run)/\(name)", &status) == 0
        return isThere ? sum + Int64(status.st_size) : sum
      }
      return PendingSpool(run: run, bytes: bytes)
    }
  }

  /// Runs without an end in the log whose recorder is dead. Removes folders that hold nothing.
  ///
  /// - Throws: `LogError`.
  package static func orphans(log path: String) throws -> [RunInfo] {
    LogFile.undoInterruptedChange(path)
    // Most logs have no recorder, live or dead: then the log need not be opened.
    guard access(RecorderLock.parent(ofLog: path), F_OK) == 0 else { return [] }
    let runs = try LogReader(path: path).runs()
    OrphanedFolders.remove(log: path, runs: runs)
    return runs.filter { run in
      guard !run.isEndInLog, run.end != .running,
        let folder = RecorderLock.folder(log: path, run: run.id)
      else {
        return false
      }
      return access(folder, F_OK) == 0
    }
  }

  /// Recovers every run whose recorder is dead, and marks it as died.
  ///
  /// - Throws: `LogError`.
  @discardableResult
  package static func recover(log path: String) throws -> [Recovered] {
    let writer = try LogWriter(path: path)
    defer { writer.close() }
    return try recover(writer)
  }

  static func recover(_ writer: LogWriter) throws -> [Recovered] {
    do {
      let recovered = try writer.openRuns().compactMap { try recover($0, writer) }
      if access(RecorderLock.parent(ofLog: writer.path), F_OK) == 0 {
        OrphanedFolders.remove(log: writer.path, runs: try LogReader(path: writer.path).runs())
      }
      return recovered
    } catch let error as SQLiteError {
      throw LogError.cannotWrite(path: writer.path, reason: error.message)
    }
  }

  /// Recovers one run; `nil` if it has ended or its recorder is alive.
  static func recover(
    _ run: LogWriter.OpenRun, _ writer: LogWriter
  ) throws -> Recovered? {
    guard !RecorderLock.isHeld(log: writer.path, run: run.id) else { return nil }
    guard let folder = RecorderLock.folder(log: writer.path, run: run.id),
      access(folder, F_OK) == 0
    else {
      // A run that was consumed from a queue continues there, as far as this log knows, and has no
      // spool here.
      guard try !writer.isPartial(run: run.number) else { return nil }
      try writer.transaction { try writer.endAsDied(run: run.number) }
      return nil
    }
    if isLink(folder) {
      return try LinkedSpool(run: run.id, folder: folder, writer: writer).recover()
    }
    if let objection = SpoolOwners(ofLog: writer.path).objection(log: writer.path, run: run.id) {
      return Recovered(run: run.id, events: 0, missing: 0, objection: objection)
    }
    guard let lock = RecorderLock(takingOver: run.id, log: writer.path) else { return nil }
    defer { withExtendedLifetime(lock) {} }
    guard try !writer.isPartial(run: run.number) else {
      lock.removeFolder()
      return nil
    }
    if let objection = identityObjection(folder, try writer.logIdentity()) {
      lock.leaveFolder()
      return Recovered(run: run.id, events: 0, missing: 0, objection: objection)
    }
    // Another process may have recovered it between reading the log and taking the lock.
    guard let current = try writer.run(id: run.id),
      try writer.openRuns().contains(where: { $0.id == run.id })
    else { return nil }
    let recovered = try drain(current, folder, writer)
    endPreviousFile(writer, current)
    SpoolFolder.removeFiles(folder)
    return recovered
  }

  private static func isLink(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
  }

  /// Why a spool is not that of the log, by its own words.
  private static func identityObjection(_ folder: String, _ identity: UInt64) -> String? {
    let names = (try? FolderListing.names(folder)) ?? []
    let isForeign = names.contains { name in
      guard UInt32(name) != nil || name.hasPrefix("control") else { return false }
      return SpoolHeader(folder + "/" + name).map { !$0.belongs(to: identity) } ?? false
    }
    return isForeign ? "\(folder) belongs to another log" : nil
  }

  private static func drain(
    _ run: LogWriter.OpenRun, _ folder: String, _ writer: LogWriter
  ) throws -> Recovered {
    let segments: SpoolFolder
    do {
      segments = try SpoolFolder(folder)
    } catch {
      throw LogError.unreadable(path: folder, reason: error.description)
    }
    defer { segments.unmap() }
    let start =
      run.spoolPosition.map { SpoolPosition(word: UInt64(bitPattern: $0)) } ?? segments.first
    var reader = SpoolReader(from: max(start, segments.first)) { segments.mappings[$0] }
    var drain = SpoolDrain(run: run.number, sources: try writer.sources(ofRun: run.number))
    let before = try counts(run, writer)
    let closed = EndMark.read(in: folder)
    let behind = try lostSeqs(folder, writer)
    var isAtEnd = false
    while !isAtEnd {
      try writer.transaction {
        for _ in 0..<20_000 {
          switch reader.next(before: segments.end) {
          case .record(let content, let position):
            try drain.take(content, at: position, into: writer)
          // No producer is left to fill it.
          case .hole: reader.skip(to: segments.end)
          case .end: isAtEnd = true
          }
          if isAtEnd { break }
        }
        let position = drain.position(readTo: reader.position)
        try writer.setSpoolPosition(run: run.number, Int64(bitPattern: position.word))
      }
    }
    try writer.transaction(synced: true) {
      if let behind { writer.reserveSeq(from: behind) }
      for (number, last) in segments.lastSourceSeqs {
        let reason = closed == nil ? GapReason.lostInDeath : GapReason.lostInSpool
        try drain.fill(number, through: last, reason, Clock.now(), writer)
      }
      if let closed {
        try writer.setSpoolPosition(run: run.number, nil)
        try writer.end(run: run.number, .closed, at: closed)
      } else {
        try writer.endAsDied(run: run.number)
      }
    }
    let after = try counts(run, writer)
    return Recovered(
      run: run.id, events: after.events - before.events, missing: after.missing - before.missing,
      end: closed == nil ? .died : .closed)
  }

  /// The seq after those that the log had assigned, if it has less than was committed to it: what the spool
  /// does not give back either is missing, whatever its run.
  private static func lostSeqs(_ folder: String, _ writer: LogWriter) throws -> Int64? {
    guard let header = SpoolHeader(Spool.control(folder, 0)) else { return nil }
    let last = try writer.nextNumber() - 1
    let missing = header.missing(from: try writer.logIdentity(), lastSeq: last)
    let (next, overflow) = last.addingReportingOverflow(missing + 1)
    return missing > 0 && !overflow ? next : nil
  }

  private static func counts(
    _ run: LogWriter.OpenRun, _ writer: LogWriter
  ) throws -> (events: Int64, missing: Int64) {
    try writer.counts(ofRun: run.number)
  }
}
