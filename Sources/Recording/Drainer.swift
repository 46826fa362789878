import CSupport
import EventLog
import Glibc
import Synchronization
import TaskLogPlugin

/// The thread that writes: takes what lies in the spool and puts it into the log, with the position
/// up to which it has come in the same transaction.
///
/// A plain thread, so that it works inside any host. When the log cannot be written (a full disk,
/// another process's lock), everything stays in the spool and is tried again.
final class Drainer: @unchecked Sendable {
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

  /// What tools such as `top -H` show; at most 15 bytes.
  static let threadName = "tasklog-drain"
  /// So long may a transaction take before it is committed: other writers want their turn.
  private static let transactionNanoseconds: Int64 = 100_000_000
  /// So many bytes in the spool are worth a commit of their own.
  private static let worthwhileBytes = 1 << 20
  /// A commit of so many bytes says that events come in their thousands.
  private static let busyBytes = 32 << 10
  /// The write-ahead log starts anew when it has grown to this many bytes.
  private static let walLimit = 64 << 20

  // Only `thread`, `stopping`, `outcome`, `committed` and `wanted` are shared between threads; everything else
  // belongs to the thread that writes, from its start to its end.
  var path: String
  let header: RunHeader
  let spool: Spool
  let settings: Settings
  private let stopping = Atomic(false)
  private let outcome = Mutex<String?>(nil)
  private let exclusions = Mutex<[Exclusions?]>([])
  /// Up to where the spool is in the log.
  private let committed = Atomic<UInt64>(SpoolPosition.start.word)
  /// Up to where somebody waits for it to be.
  private let wanted = Atomic<UInt64>(0)
  private var thread = pthread_t()

  var writer: LogWriter?
  var run: Int64
  /// Since when records lie in the spool, nothing when there are none.
  private var waitingSince: Int64?
  private var isBusy = false
  /// Held until the run's end is in the log.
  var lock: RecorderLock?
  var reader: SpoolReader
  var drain: SpoolDrain
  private var hole: (position: SpoolPosition, since: Int64)?
  private var lastSync: Int64
  private var isSynced = true
  /// Which file of the run is written, and since when.
  var part = 1
  var partBegan: Int64
  private var hasToldProblem = false

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
    reader = SpoolReader(from: .start) { spool.mapping(of: $0) }
    drain = SpoolDrain(run: run)
    lastSync = Self.now()
    partBegan = lastSync
  }

  static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// - Throws: `LogError.cannotWrite` when there is no thread to be had.
  func start() throws {
    // Balanced by the release at the end of the thread.
    let this = Unmanaged.passRetained(self)
    let code = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Drainer>.fromOpaque(argument).takeRetainedValue().work()
        return nil
      }, this.toOpaque())
    guard code == 0 else {
      this.release()
      throw LogError.cannotWrite(path: path, reason: String(cString: strerror(code)))
    }
  }

  /// Waits until everything that lies in the spool now is in the log.
  func flush(timeoutSeconds: Double) -> Bool {
    let end = spool.end.word
    wanted.max(end, ordering: .relaxed)
    let deadline = Self.now() + Int64(max(0, min(timeoutSeconds, 1e6)) * 1e9)
    while committed.load(ordering: .acquiring) < end {
      guard Self.now() < deadline, !stopping.load(ordering: .acquiring) else { return false }
      usleep(1000)
    }
    return true
  }

  /// Writes out what is left, notes that the run is over, and waits until that is done.
  ///
  /// - Returns: why something could not be written, nothing when all of it was.
  ///
  /// - Parameter exclusions: by source, what a filter has left out last.
  func finish(noting exclusions: [Exclusions?]) -> String? {
    self.exclusions.withLock { $0 = exclusions }
    stopping.store(true, ordering: .releasing)
    pthread_join(thread, nil)
    return outcome.withLock { $0 }
  }

  // MARK: - The thread

  private func work() {
    tl_name_thread(Self.threadName)
    while !stopping.load(ordering: .acquiring) {
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
    guard reader.position < end else {
      waitingSince = nil
      return false
    }
    if waitingBytes(before: end) > Self.worthwhileBytes
      || committed.load(ordering: .relaxed) < wanted.load(ordering: .relaxed)
    {
      return true
    }
    let now = Self.now()
    guard let since = waitingSince else {
      waitingSince = now
      return false
    }
    return now - since
      >= (isBusy ? settings.busyLingerNanoseconds : settings.lingerNanoseconds)
  }

  private func waitingBytes(before end: SpoolPosition) -> Int {
    reader.position.distance(to: end, segmentSize: spool.segmentSize)
  }

  /// Puts a batch of records into the log; false when there was nothing, or it could not be done.
  private func takeSome() -> Bool {
    guard let writer = writer ?? reopened() else { return false }
    let end = spool.end
    var reader = reader
    guard let first = nextRecord(&reader, before: end) else {
      self.reader = reader
      committed.store(reader.position.word, ordering: .releasing)
      return false
    }
    let begin = Self.now()
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
            if Self.now() - begin > Self.transactionNanoseconds { break }
          }
          guard let next = nextRecord(&reader, before: end) else { break }
          record = next
        }
        let position = drain.position(readTo: reader.position)
        try writer.setSpoolPosition(run: run, Int64(bitPattern: position.word))
      }
    } catch {
      tell(error)
      usleep(50_000)
      checkLog()
      return false
    }
    self.reader = reader
    self.drain = drain
    waitingSince = nil
    isSynced = false
    hasToldProblem = false
    committed.store(reader.position.word, ordering: .releasing)
    // Others that write ask for the lock every few milliseconds: without a pause they never get it.
    if Self.now() - begin > Self.transactionNanoseconds / 5 { usleep(2_000) }
    return true
  }

  private func nextRecord(
    _ reader: inout SpoolReader, before end: SpoolPosition
  ) -> (content: UnsafeRawBufferPointer, position: SpoolPosition)? {
    while true {
      switch reader.next(before: end) {
      case .record(let content, let position):
        hole = nil
        return (content, position)
      case .end: return nil
      case .hole:
        guard let seen = hole, seen.position == reader.position else {
          hole = (reader.position, Self.now())
          return nil
        }
        guard Self.now() - seen.since > settings.patienceNanoseconds else { return nil }
        // The producer sleeps: the others go on. If it wakes up, its event counts as missing.
        reader.skip(to: end)
      }
    }
  }

  /// Makes sure on the disk of what has been written, and removes what the spool held of it.
  private func syncWhenDue() {
    guard Self.now() - lastSync > settings.syncNanoseconds else { return }
    defer { rotateWhenDue() }
    lastSync = Self.now()
    checkLog()
    guard !isSynced, let writer else { return }
    let position = drain.position(readTo: reader.position)
    do {
      try writer.transaction(synced: true) {
        try writer.setSpoolPosition(run: run, Int64(bitPattern: position.word))
      }
      isSynced = true
      spool.remove(before: position, keepMapped: reader.unfinished)
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
      hasToldProblem = false
      return fresh
    } catch {
      tell(error)
      usleep(50_000)
      return nil
    }
  }

  // MARK: - The end

  /// What was left out since sources have last noted it. Taken once: closing may be tried again.
  private lazy var lastMarks: [Event?] = exclusions.withLock {
    $0.map { $0?.takeMark(at: Clock.now()) }
  }

  /// Writes out the rest and notes the end of the run. What cannot be written stays in the spool,
  /// and whoever opens the log next finds it there.
  private func end() {
    let deadline = Self.now() + settings.closeNanoseconds
    checkLog()
    while true {
      while takeSome() {}
      if reader.position >= spool.end, let writer, close(writer) {
        spool.removeAll()
        writer.close()
        return
      }
      if Self.now() > deadline { break }
      usleep(1000)
    }
    lock?.leaveFolder()
    outcome.withLock {
      $0 =
        "\(path): cannot be written; the end of the run stays in \(spool.folder), and "
        + "'tasklog recover' puts it into the log"
    }
  }

  private func close(_ writer: LogWriter) -> Bool {
    var drain = drain
    let marks = lastMarks
    do {
      try writer.transaction(synced: true) {
        for (number, last) in spool.lastSourceSeqs {
          try drain.fill(number, through: last, spool.reasonForLoss, Clock.now(), writer)
        }
        for (number, event) in marks.enumerated() {
          if let event { try drain.append(event, to: number, writer) }
        }
        try writer.setSpoolPosition(run: run, nil)
        try writer.end(run: run, .closed, at: Clock.now())
      }
      return true
    } catch {
      tell(error)
      return false
    }
  }

  /// Tells a problem once, until writing has worked again.
  func tell(_ error: any Error) {
    guard !hasToldProblem else { return }
    hasToldProblem = true
    settings.problem("tasklog: cannot write \(path), will try again: \(error)")
  }
}
