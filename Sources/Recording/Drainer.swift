import BrokerMessages
import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// The thread that writes: takes what lies in the spool and puts it into the log, with the position
/// up to which it has come in the same transaction.
///
/// A plain thread, so that it works inside any host. When the log cannot be written (a full disk,
/// another process's lock), everything stays in the spool and is tried again.
final class Drainer: SpoolConsumer, @unchecked Sendable {
  struct Settings: Sendable {
    /// How long the thread waits when there is nothing to do, in microseconds.
    var pauseMicroseconds: UInt32
    /// Few events wait so long for more to come, in nanoseconds: each commit writes whole pages.
    var lingerNanoseconds: Int64 = 50_000_000
    /// The same as long as events come in their thousands: then a page that is written more seldom
    /// holds more of them.
    var busyLingerNanoseconds: Int64 = 300_000_000
    /// How often what has been written is made sure of on the disk.
    var syncNanoseconds: Int64
    /// How long a producer may sleep between taking space and filling it.
    var patienceNanoseconds: Int64 = 1_000_000_000
    /// How long the end of a recording may take when the log cannot be written.
    var closeNanoseconds: Int64
    /// When a run goes on in another file; nothing for never.
    var rotation: Rotation?
    var problem: @Sendable (String) -> Void
  }

  /// So long may a transaction take before it is committed: other writers want their turn.
  private static let transactionNanoseconds: Int64 = 100_000_000
  /// So many bytes in the spool are worth a commit of their own.
  private static let worthwhileBytes = 1 << 20
  /// A commit of so many bytes says that events come in their thousands.
  private static let busyBytes = 32 << 10
  /// The write-ahead log starts anew when it has grown to this many bytes.
  private static let walLimit = 64 << 20

  // Only `thread` is shared; everything else belongs to the thread that writes, from its start to
  // its end.
  var path: String
  let header: RunHeader
  let spool: Spool
  let settings: Settings
  let thread: SpoolThread

  var writer: LogWriter?
  var run: Int64
  /// Since when records lie in the spool, nothing when there are none.
  private var waitingSince: Int64?
  private var isBusy = false
  /// Held until the run's end is in the log.
  var lock: RecorderLock?
  var tail: SpoolTail
  var drain: SpoolDrain
  private var lastSync: Int64
  private var isSynced = true
  /// Which file of the run is written, and since when.
  var part = 1
  var partBegan: Rotation.Beginning
  /// Whether there is anything in it.
  var hasWritten = false
  private var hasReportedProblem = false

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
    partBegan = Rotation.Beginning(path)
  }

  // MARK: - The thread

  func work() {
    while !thread.isStopping {
      spool.prepare()
      if !isWorthwhile || !takeSome() { usleep(settings.pauseMicroseconds) }
      syncWhenDue()
    }
    end()
    writer = nil
    lock = nil
  }

  /// Whether there is enough in the spool for a commit, or it has been there long enough.
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

  /// Puts a batch of records into the log; false when there was nothing, or it could not be done.
  private func takeSome() -> Bool {
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
      tell(error)
      usleep(50_000)
      checkLog()
      return false
    }
    self.tail = tail
    self.drain = drain
    waitingSince = nil
    isSynced = false
    hasWritten = true
    hasReportedProblem = false
    thread.note(tail.position)
    // Others that write ask for the lock every few milliseconds: without a pause they never get it.
    if SpoolThread.now() - begin > Self.transactionNanoseconds / 5 { usleep(2_000) }
    return true
  }

  /// Makes sure on the disk of what has been written, and removes what the spool held of it.
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
      tell(error)
    }
    writer.limitWAL(to: Self.walLimit)
  }

  // MARK: - A log that is gone

  /// When somebody has deleted or moved the log, what is written would go where nobody looks.
  private func checkLog() {
    guard let writer, !writer.isInPlace else { return }
    settings.problem(
      "tasklog: \(path) was deleted or moved; a new log is made there, with a gap for what was in it"
    )
    writer.abandon()
    self.writer = nil
    _ = reopened()
  }

  /// Begins the log anew; nothing as long as that cannot be done.
  private func reopened() -> LogWriter? {
    do {
      let fresh = try LogWriter(path: path)
      fresh.wait(with: thread.patience)
      try fresh.transaction(synced: true) {
        if let known = try fresh.run(id: header.id) {
          // The old one, which has come back.
          run = known.number
          drain = SpoolDrain(run: run, sources: try fresh.sources(ofRun: run), of: drain)
        } else {
          run = try fresh.add(header)
          drain = try drain.again(run: run, into: fresh)
        }
      }
      writer = fresh
      isSynced = false
      hasReportedProblem = false
      return fresh
    } catch {
      tell(error)
      usleep(50_000)
      return nil
    }
  }

  // MARK: - The end

  /// Writes out the rest and notes the end of the run. What cannot be written in time stays in the
  /// spool, with a mark that the run was closed, and whoever opens the log next finds it there.
  private func end() {
    let closed = Clock.now()
    checkLog()
    while true {
      while takeSome() {}
      if tail.position >= spool.end, let writer, close(writer, at: closed) {
        spool.removeAll()
        writer.close()
        return
      }
      if SpoolThread.now() >= thread.deadline { break }
      usleep(1000)
    }
    putLastMarks()
    EndMark.write(in: spool.folder, at: closed)
    lock?.leaveFolder()
    thread.leave(
      "\(path): cannot be written; the end of the run stays in \(spool.folder), and "
        + "'tasklog recover' puts it into the log")
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
      tell(error)
      return false
    }
  }

  /// Tells a problem once, until writing has worked again.
  func tell(_ error: any Error) {
    guard !hasReportedProblem else { return }
    hasReportedProblem = true
    settings.problem("tasklog: cannot write \(path), will try again: \(error)")
  }
}
