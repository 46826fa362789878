import CSupport
import EventLog
import Glibc
import LogFormat
import LogMaintenance
import TaskLogPlugin

/// Rotation, one segment after another; called by the writing thread between two transactions.
extension Drainer {
  func rotateWhenDue() {
    // A segment without its own events would only be followed by another one.
    guard let rotation = settings.rotation, let writer, drain.isWhole, hasWritten,
      rotation.isDue(path, since: segmentStart)
    else { return }
    do {
      try rotate(rotation, writer)
    } catch {
      reportOnce(error)
    }
  }

  /// Continues the run in the next segment.
  ///
  /// If the process is killed meanwhile, nothing is lost or duplicated: until the spool's folder is
  /// moved, both files lead to it, and the file that is recovered first consumes its content. The
  /// recovery of the new segment ends the run in the previous one.
  private func rotate(_ rotation: Rotation, _ before: LogWriter) throws {
    guard let lock else { return }
    let next = rotation.path(run: header.id, part: part + 1)
    // Remains of a failed attempt.
    lock.withdraw(fromLog: next, run: header.id)
    if access(next, F_OK) == 0 { _ = try LogRemoval.remove(next) }
    let (freshRun, freshDrain, identity, committed) = try make(next, behind: before)
    spool.announce(log: identity)
    try lock.announce(toLog: next, run: header.id)
    // The file appears atomically: with its run, and with the link to the lock next to it.
    guard rename(Self.unfinished(next), next) == 0 else {
      throw LogError.cannotWrite(path: next, reason: String(cString: strerror(errno)))
    }
    try spool.move {
      try lock.move(toLog: next, run: header.id) { tl_exchange_names($0, $1) == 0 }
      return lock.path
    }
    spool.belong(to: identity, committed: committed)
    let runBefore = run
    (run, drain, path) = (freshRun, freshDrain, next)
    // If it cannot be opened now, this is retried as for a log that is gone.
    writer = try? LogWriter(path: next)
    writer?.wait(with: thread.patience)
    writer?.inheritBlobs(from: before)
    part += 1
    hasWritten = false
    segmentStart = Rotation.SegmentStart(next)
    try before.endFile(run: runBefore, continuesIn: next.lastPathComponent, at: Clock.now())
    // Not earlier: a run that has neither an end nor a lock counts as died.
    lock.releasePreviousLog()
    before.close()
    didRotate(next)
  }

  private static func unfinished(_ path: String) -> String { path + ".new" }

  /// Creates the next segment, under a temporary name until it is complete. Its seqs continue those
  /// of the previous segment, so that they are the same when all segments are queried as one log.
  private func make(
    _ next: String, behind before: LogWriter
  ) throws -> (run: Int64, drain: SpoolDrain, identity: UInt64, committed: Int64) {
    let name = Self.unfinished(next)
    _ = try LogRemoval.remove(name)
    let fresh = try LogWriter(path: name)
    let identity = try fresh.makeIdentity()
    var header = header
    header.metadata = header.metadata.adding(RunMetadataKey.previousSegment, path.lastPathComponent)
    let next = try before.nextNumber()
    let result = try fresh.transaction(synced: true) {
      fresh.reserveSeq(from: next)
      let rowID = try fresh.add(header)
      let freshDrain = try drain.restarted(
        run: rowID, into: fresh, reason: RunFiles.gapReason(path.lastPathComponent))
      try fresh.inheritWorkers(ofRun: rowID, from: before, run: run)
      let position = drain.position(readTo: tail.position)
      try fresh.setSpoolPosition(run: rowID, Int64(bitPattern: position.word))
      return (rowID, freshDrain)
    }
    // A file can be renamed only while it is not open: its companion files carry its name.
    let committed = fresh.committedSeq
    fresh.close(isIndexing: false)
    return (result.0, result.1, identity, committed)
  }
}
