import CSupport
import EventLog
import Glibc
import TaskLogPlugin

/// Puts into the log what dead recorders have left in their spools.
///
/// Exactly once: under the lock of the recorder's own folder, from the position that the log holds,
/// with that position moved in the same transaction as the rows. Recorders that live are left alone.
public enum Recovery {
  /// A run that was recovered.
  public struct Recovered: Sendable {
    public var run: String
    /// Events that were in the spool and not yet in the log.
    public var events: Int64
    /// Events that are missing: they had been recorded when the process died, but there was no room
    /// for them, or the spool is damaged.
    public var missing: Int64
  }

  /// What lies in the folder of a recorder beside the log, alive or dead.
  public struct Undrained: Sendable {
    public var run: String
    public var bytes: Int64
  }

  /// The spools beside a log, in the order of their names.
  public static func spools(log path: String) -> [Undrained] {
    let parent = RecorderLock.parent(ofLog: path)
    return SpoolFolder.names(parent).sorted().map { run in
      let bytes = SpoolFolder.names("\(parent)/\(run)").reduce(Int64(0)) { sum, name in
        var status = stat()
        let isThere = lstat("\(parent)/\(run)/\(name)", &status) == 0
        return isThere ? sum + Int64(status.st_size) : sum
      }
      return Undrained(run: run, bytes: bytes)
    }
  }

  /// Runs without an end whose recorder is dead.
  ///
  /// - Throws: `LogError`.
  public static func orphans(log path: String) throws -> [RunInfo] {
    // Most logs have no recorder, dead or alive: then nobody has to open the log to learn it.
    guard access(RecorderLock.parent(ofLog: path), F_OK) == 0 else { return [] }
    return try LogReader(path: path).runs().filter { run in
      guard run.end == .died, let folder = RecorderLock.folder(log: path, run: run.id) else {
        return false
      }
      return access(folder, F_OK) == 0
    }
  }

  /// Recovers every run whose recorder is dead, and marks those runs as died.
  ///
  /// - Throws: `LogError`.
  @discardableResult
  public static func recover(log path: String) throws -> [Recovered] {
    let writer = try LogWriter(path: path)
    defer { writer.close() }
    return try recover(writer)
  }

  static func recover(_ writer: LogWriter) throws -> [Recovered] {
    do {
      return try writer.openRuns().compactMap { try recover($0, writer) }
    } catch let error as SQLiteError {
      throw LogError.cannotWrite(path: writer.path, reason: error.message)
    }
  }

  private static func recover(
    _ run: LogWriter.OpenRun, _ writer: LogWriter
  ) throws -> Recovered? {
    guard !RecorderLock.isHeld(log: writer.path, run: run.id) else { return nil }
    guard let folder = RecorderLock.folder(log: writer.path, run: run.id),
      access(folder, F_OK) == 0
    else {
      // One that came out of a queue goes on there, as far as this log knows, and has no spool here.
      guard try !writer.isPartial(run: run.number) else { return nil }
      try writer.transaction { try writer.endAsDied(run: run.number) }
      return nil
    }
    guard let lock = RecorderLock(takingOver: run.id, log: writer.path) else { return nil }
    defer { withExtendedLifetime(lock) {} }
    guard try !writer.isPartial(run: run.number) else {
      lock.removeFolder()
      return nil
    }
    // Another one may have come first, between the look into the log and the lock.
    guard let current = try writer.run(id: run.id),
      try writer.openRuns().contains(where: { $0.id == run.id })
    else { return nil }
    let recovered = try drain(current, folder, writer)
    endFileBefore(writer, current)
    SpoolFolder.removeFiles(folder)
    return recovered
  }

  private static func drain(
    _ run: LogWriter.OpenRun, _ folder: String, _ writer: LogWriter
  ) throws -> Recovered {
    let segments = SpoolFolder(folder)
    defer { segments.unmap() }
    let begin =
      run.spoolPosition.map { SpoolPosition(word: UInt64(bitPattern: $0)) } ?? segments.first
    var reader = SpoolReader(from: max(begin, segments.first)) { segments.mappings[$0] }
    var drain = SpoolDrain(run: run.number, sources: try writer.sources(ofRun: run.number))
    let before = try counts(run, writer)
    var isAtEnd = false
    while !isAtEnd {
      try writer.transaction {
        for _ in 0..<20_000 {
          switch reader.next(before: segments.end) {
          case .record(let content, let position):
            try drain.take(content, at: position, into: writer)
          // Nobody will fill it any more.
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
      for (number, last) in segments.lastSourceSeqs {
        try drain.fill(number, through: last, "lost when the process died", Clock.now(), writer)
      }
      try writer.endAsDied(run: run.number)
    }
    let after = try counts(run, writer)
    return Recovered(
      run: run.id, events: after.events - before.events, missing: after.missing - before.missing)
  }

  private static func counts(
    _ run: LogWriter.OpenRun, _ writer: LogWriter
  ) throws -> (events: Int64, missing: Int64) {
    try writer.counts(ofRun: run.number)
  }
}
