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

  /// Runs without an end whose recorder is dead.
  ///
  /// - Throws: `LogError`.
  public static func orphans(log path: String) throws -> [RunInfo] {
    try LogReader(path: path).runs().filter { run in
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
      try writer.transaction { try writer.endAsDied(run: run.number) }
      return nil
    }
    guard let lock = RecorderLock(takingOver: run.id, log: writer.path) else { return nil }
    defer { withExtendedLifetime(lock) {} }
    // Another one may have come first, between the look into the log and the lock.
    guard let current = try writer.run(id: run.id),
      try writer.openRuns().contains(where: { $0.id == run.id })
    else { return nil }
    let recovered = try drain(current, folder, writer)
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
    try writer.syncedTransaction {
      for (number, last) in segments.lastSourceSeqs() {
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

/// What a dead recorder's folder holds.
struct SpoolFolder {
  let mappings: [UInt32: Mapping]
  private let control: ControlFile?

  init(_ folder: String) {
    var mappings: [UInt32: Mapping] = [:]
    for name in Self.names(folder) {
      guard let number = UInt32(name), let mapping = try? Mapping.existing("\(folder)/\(name)")
      else { continue }
      // One that was being made when the process died holds nothing.
      if mapping.word(at: 0).pointee == SpoolLayout.magic {
        mappings[number] = mapping
      } else {
        mapping.unmap()
      }
    }
    self.mappings = mappings
    control = ControlFile(existing: folder + "/control")
  }

  func unmap() {
    for mapping in mappings.values { mapping.unmap() }
  }

  var first: SpoolPosition {
    SpoolPosition(segment: mappings.keys.min() ?? 1, offset: SpoolLayout.headerSize)
  }

  var end: SpoolPosition {
    guard let last = mappings.keys.max(), let mapping = mappings[last] else { return first }
    return SpoolPosition(segment: last, offset: mapping.size)
  }

  /// How far each source had come, by its number.
  func lastSourceSeqs() -> [(Int, Int64)] {
    guard let control else { return [] }
    return (0..<SpoolLayout.slotsInControl).compactMap { source in
      guard let slot = control.slot(source) else { return nil }
      let last = Int64(bitPattern: tl_load_acquire(slot))
      // A number beyond this is no count of events but damage.
      return last > 0 && last < 1 << 48 ? (source, last) : nil
    }
  }

  private static func names(_ folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) { pointer in
          pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names
  }

  /// Removes the files of a spool; the lock goes with its holder.
  static func removeFiles(_ folder: String) {
    for name in names(folder) where UInt32(name) != nil || name == "control" {
      unlink("\(folder)/\(name)")
    }
  }
}
