import CSupport
import EventLog
import Glibc
import LogFormat
import LogMaintenance
import TaskLogPlugin

/// One file after the other; called by the thread that writes, between two transactions.
extension Drainer {
  func rotateWhenDue() {
    // A segment without an event of its own would only be followed by another one.
    guard let rotation = settings.rotation, let writer, drain.isWhole, hasWritten,
      rotation.isDue(path, since: partBegan)
    else { return }
    do {
      try rotate(rotation, writer)
    } catch {
      tell(error)
    }
  }

  /// Goes on in the next file.
  ///
  /// Killed on the way, nothing is lost and nothing is there twice: until the spool's folder moves it
  /// is found from both files, and the one that is recovered first takes what is in it. The recovery
  /// of the new file ends the run in the one before.
  private func rotate(_ rotation: Rotation, _ before: LogWriter) throws {
    guard let lock else { return }
    let next = rotation.path(run: header.id, part: part + 1)
    // Of an attempt that failed.
    lock.withdraw(fromLog: next, run: header.id)
    if access(next, F_OK) == 0 { _ = try LogRemoval.remove(next) }
    let (freshRun, freshDrain) = try make(next, behind: before)
    try lock.announce(toLog: next, run: header.id)
    // With its run in it, and the way to the lock beside it, it is there at once.
    guard rename(Self.unfinished(next), next) == 0 else {
      throw LogError.cannotWrite(path: next, reason: String(cString: strerror(errno)))
    }
    try spool.move {
      try lock.move(toLog: next, run: header.id) { tl_exchange_names($0, $1) == 0 }
      return lock.path
    }
    let runBefore = run
    (run, drain, path) = (freshRun, freshDrain, next)
    // Where it cannot be opened now, it is tried again as with a log that is gone.
    writer = try? LogWriter(path: next)
    writer?.wait(with: thread.patience)
    writer?.inheritBlobs(from: before)
    part += 1
    hasWritten = false
    partBegan = Rotation.Beginning(next)
    try before.endFile(run: runBefore, goesOnIn: next.lastComponent, at: Clock.now())
    // Not earlier: a run without an end and without a lock has died.
    lock.releasePreviousLog()
    before.close()
  }

  private static func unfinished(_ path: String) -> String { path + ".new" }

  /// Makes the next file, under another name until it is finished. Numbers of events go on in it, so
  /// that they are the same when all files are asked as one.
  private func make(
    _ next: String, behind before: LogWriter
  ) throws -> (run: Int64, drain: SpoolDrain) {
    let name = Self.unfinished(next)
    _ = try LogRemoval.remove(name)
    let fresh = try LogWriter(path: name)
    var header = header
    header.metadata = header.metadata.adding(RunMetadataKey.previousSegment, path.lastComponent)
    let next = try before.nextNumber()
    let made = try fresh.transaction(synced: true) {
      fresh.goOn(at: next)
      let number = try fresh.add(header)
      let again = try drain.again(
        run: number, into: fresh, reason: RunFiles.gapReason(path.lastComponent))
      try fresh.inheritWorkers(ofRun: number, from: before, run: run)
      let position = drain.position(readTo: tail.position)
      try fresh.setSpoolPosition(run: number, Int64(bitPattern: position.word))
      return (number, again)
    }
    // Only of a file that nobody has open can the name be changed: what lies beside it has its name.
    fresh.close(isIndexing: false)
    return made
  }
}
