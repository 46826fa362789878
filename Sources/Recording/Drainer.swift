import BrokerMessages
import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// The writing thread: moves records from the spool to the log, and stores the drained position in
/// the same transaction.
///
/// A plain thread, so that it works inside any host. If the log cannot be written (a full disk,
/// another process's lock), everything stays in the spool and is retried.
final class Drainer: SpoolConsumer, @unchecked Sendable {
  struct Settings: Sendable {
    /// How long the thread sleeps if there is nothing to do, in microseconds.
    var pauseMicroseconds: UInt32
    /// How long a small number of events waits for more, in nanoseconds: each commit writes whole
    /// pages.
    var lingerNanoseconds: Int64 = 50_000_000
    /// The same while events arrive by the thousand: a page that is written less often then holds
    /// more of them.
    var busyLingerNanoseconds: Int64 = 300_000_000
    /// How often commits are synced to the disk.
    var syncNanoseconds: Int64
    /// How long a producer may sleep between reserving space and filling it.
    var patienceNanoseconds: Int64 = 1_000_000_000
    /// How long closing may take if the log cannot be written.
    var closeNanoseconds: Int64
    /// When to start a new segment; `nil` for never.
    var rotation: Rotation?
    var problem: @Sendable (String) -> Void
  }

  /// The longest time before a transaction is committed: other writers want their turn.
  private static let transactionNanoseconds: Int64 = 100_000_000
  /// The number of spooled bytes that justify an immediate commit.
  private static let worthwhileBytes = 1 << 20
  /// A commit of this many bytes means that events arrive by the thousand.
  private static let busyBytes = 32 << 10

  // Only `thread` is shared; everything else belongs to the writing thread, from its start to its
  // end.
  var path: String
  let header: RunHeader
  let spool: Spool
  let settings: Settings
  let thread: SpoolThread

  var writer: LogWriter?
  var run: Int64
  /// Since when the spool has held records; `nil` if it holds none.
  private var waitingSince: Int64?
  private var isBusy = false
  /// Held until the end of the run is in the log.
  var lock: RecorderLock?
  var tail: SpoolTail
  var drain: SpoolDrain
  private var lastSync: Int64
  private var isSynced = true
  /// Which segment of the run is being written, and since when.
  var part = 1
  var segmentStart: Rotation.SegmentStart
  /// Whether the segment holds any events.
  var hasWritten = false
  private var hasReportedProblem = false
  let health = RecorderHealth()
  /// Called with the path of each further segment; set before the thread starts.
  var didRotate: (String) -> Void = { _ in }

  init(
    writer: LogWriter, run: Int64, header: RunHeader, spool: Spool, lock: RecorderLock,
    settings: Settings
  ) {
    path = writer.path
    self.writer = writer
    self.run = run
    self.header = header
    self.spool = spool
    self.lock = lock
    self.settings = settings
    thread = SpoolThread(closeNanoseconds: settings.closeNanoseconds)
    writer.wait(with: thread.patience)
    tail = SpoolTail(
      SpoolReader(from: .start) { spool.mapping(of: $0) },
      patienceNanoseconds: settings.patienceNanoseconds)
    drain = SpoolDrain(run: run)
    lastSync = SpoolThread.now()
    segmentStart = Rotation.SegmentStart(path)
  }

  // MARK: - The thread

  func work() {
    while !thread.isStopping {
      spool.prepare()
      health.update(
        spool, waiting: max(0, waitingBytes(before: spool.end)), path, settings.problem)
      if !isWorthwhile || !writeBatch() { usleep(settings.pauseMicroseconds) }
      syncWhenDue()
    }
    end()
    writer = nil
    lock = nil
  }

  /// Whether the spool holds enough for a commit, or has held something for long enough.
  private var isWorthwhile: Bool {
    let end = spool.end
    guard tail.position < end else {
      waitingSince = nil
      return false
    }
    if waitingBytes(before: end) > Self.worthwhileBytes || thread.hasWaiters { return true }
    let now = SpoolThread.now()
    guard let since = waitingSince else {
      waitingSince = now
      return false
    }
    return now - since
      >= (isBusy ? settings.busyLingerNanoseconds : settings.lingerNanoseconds)
  }

  private func waitingBytes(before end: SpoolPosition) -> Int {
    tail.position.distance(to: end, segmentSize: spool.segmentSize)
  }

  /// Writes a batch of records to the log; false if there was none or writing failed.
  private func writeBatch() -> Bool {
    guard let writer = writer ?? reopened() else { return false }
    let end = spool.end
    var tail = tail
    guard let first = tail.next(before: end) else {
      self.tail = tail
      thread.note(tail.position)
      return false
    }
    let begin = SpoolThread.now()
    isBusy = waitingBytes(before: end) > Self.busyBytes
    var drain = drain
    let alwaysSynced = settings.syncNanoseconds == 0
    do {
      try writer.transaction(synced: alwaysSynced) {
        var record = first
        for count in 1... {
          try drain.take(record.content, at: record.position, into: writer)
          if count & 255 == 0 {
            spool.prepare()
            if SpoolThread.now() - begin > Self.transactionNanoseconds { break }
          }
          guard let next = tail.next(before: end) else { break }
          record = next
        }
        let position = drain.position(readTo: tail.position)
        try writer.setSpoolPosition(run: run, Int64(bitPattern: position.word))
      }
    } catch {
      reportOnce(error)
      usleep(50_000)
      checkLog()
      return false
    }
    self.tail = tail
    self.drain = drain
    waitingSince = nil
    spool.note(committed: writer.committedSeq)
    health.committed()
    isSynced = false
    hasWritten = true
    hasReportedProblem = false
    thread.note(tail.position)
    // Other writers ask for the lock every few milliseconds: without a pause they never get it.
    if SpoolThread.now() - begin > Self.transactionNanoseconds / 5 { usleep(2_000) }
    return true
  }

  /// Syncs what has been written to the disk, and removes it from the spool.
  private func syncWhenDue() {
    guard SpoolThread.now() - lastSync > settings.syncNanoseconds else { return }
    defer { rotateWhenDue() }
    lastSync = SpoolThread.now()
    checkLog()
    guard !isSynced, let writer else { return }
    let position = drain.position(readTo: tail.position)
    do {
      try writer.transaction(synced: true) {
        try writer.setSpoolPosition(run: run, Int64(bitPattern: position.word))
      }
      isSynced = true
      spool.remove(before: position, keepMapped: tail.reader.unfinished)
    } catch {
      reportOnce(error)
    }
    writer.limitWAL()
  }

  // MARK: - A log that is gone

  /// If the log was deleted or moved, writes would go to a file without a name.
  private func checkLog() {
    guard let writer, !writer.isInPlace else { return }
    settings.problem(
      "tasklog: \(path) was deleted or moved; a new log is created, with a gap for the lost events"
    )
    writer.abandon()
    self.writer = nil
    _ = reopened()
  }

  /// Creates the log anew; `nil` while that fails.
  private func reopened() -> LogWriter? {
    do {
      let fresh = try LogWriter(path: path)
      fresh.wait(with: thread.patience)
      let identity = try fresh.makeIdentity()
      spool.announce(log: identity)
      try fresh.transaction(synced: true) {
        if let existing = try fresh.run(id: header.id) {
          // The old log has come back.
          run = existing.number
          drain = SpoolDrain(run: run, sources: try fresh.sources(ofRun: run), of: drain)
        } else {
          run = try fresh.add(header)
          drain = try drain.restarted(run: run, into: fresh)
        }
      }
      spool.belong(to: identity, committed: fresh.committedSeq)
      writer = fresh
      isSynced = false
      hasReportedProblem = false
      return fresh
    } catch {
      reportOnce(error)
      usleep(50_000)
      return nil
    }
  }

  // MARK: - The end

  /// Writes the remaining records and the end of the run. Records that cannot be written in time
  /// stay in the spool, with a mark that the run was closed; the next process that opens the log
  /// recovers them.
  private func end() {
    let closed = Clock.now()
    checkLog()
    while true {
      while writeBatch() {}
      if tail.position >= spool.end, let writer, close(writer, at: closed) {
        spool.removeAll()
        RecorderStatus.remove(from: spool.folder)
        writer.close()
        return
      }
      if SpoolThread.now() >= thread.deadline { break }
      usleep(1000)
    }
    storeLastMarks()
    EndMark.write(in: spool.folder, at: closed)
    lock?.leaveFolder()
    thread.setFailure(
      "\(path): cannot be written; the last events stay in \(spool.folder), and "
        + "'tasklog recover' adds them to the log")
  }

  private func close(_ writer: LogWriter, at time: Int64) -> Bool {
    var drain = drain
    let marks = thread.lastMarks
    do {
      try writer.transaction(synced: true) {
        var lasts = spool.lastSourceSeqs
        for (number, last) in lasts {
          try drain.fill(number, through: last, spool.reasonForLoss, Clock.now(), writer)
        }
        for mark in marks {
          let record = mark.record(behind: &lasts)
          try record.withUnsafeBytes { try drain.take($0, at: tail.position, into: writer) }
        }
        try writer.setSpoolPosition(run: run, nil)
        try writer.end(run: run, .closed, at: time)
      }
      return true
    } catch {
      reportOnce(error)
      return false
    }
  }

  /// Reports a problem, once until writing works again.
  func reportOnce(_ error: any Error) {
    guard !hasReportedProblem else { return }
    hasReportedProblem = true
    settings.problem("tasklog: cannot write \(path), will try again: \(error)")
  }
}
