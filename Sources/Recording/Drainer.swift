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
    /// How often what has been written is made sure of on the disk.
    var syncNanoseconds: Int64
    /// How long a producer may sleep between taking space and filling it.
    var patienceNanoseconds: Int64 = 1_000_000_000
    /// How long the end of a recording may take when the log cannot be written.
    var closeNanoseconds: Int64
    var problem: @Sendable (String) -> Void
  }

  /// So many records go into one transaction, so that other writers get their turn.
  private static let recordsAtOnce = 20_000
  /// The write-ahead log starts anew when it has grown to this many bytes.
  private static let walLimit = 64 << 20

  // Only `thread`, `stopping`, `outcome` and `committed` are shared between threads; everything else belongs to
  // the thread that writes, from its start to its end.
  private let path: String
  private let run: Int64
  private let spool: Spool
  private let settings: Settings
  /// How far each source has come, asked when all producers have stopped.
  private let lastSourceSeqs: @Sendable () -> [Int: Int64]
  private let stopping = Atomic(false)
  private let outcome = Mutex<String?>(nil)
  /// Up to where the spool is in the log.
  private let committed = Atomic<UInt64>(SpoolPosition.start.word)
  private var thread = pthread_t()

  private var writer: LogWriter?
  /// Held until the run's end is in the log.
  private var lock: RecorderLock?
  private var reader: SpoolReader
  private var drain: SpoolDrain
  private var hole: (position: SpoolPosition, since: Int64)?
  private var lastSync: Int64
  private var isSynced = true
  private var hasToldProblem = false

  init(
    writer: LogWriter, run: Int64, spool: Spool, lock: RecorderLock, settings: Settings,
    lastSourceSeqs: @escaping @Sendable () -> [Int: Int64]
  ) {
    path = writer.path
    self.writer = writer
    self.run = run
    self.spool = spool
    self.lock = lock
    self.settings = settings
    self.lastSourceSeqs = lastSourceSeqs
    reader = SpoolReader(from: .start) { spool.mapping(of: $0) }
    drain = SpoolDrain(run: run)
    lastSync = Self.now()
  }

  private static func now() -> Int64 {
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
  func finish() -> String? {
    stopping.store(true, ordering: .releasing)
    pthread_join(thread, nil)
    return outcome.withLock { $0 }
  }

  // MARK: - The thread

  private func work() {
    guard let writer else { return }
    while !stopping.load(ordering: .acquiring) {
      let hasWritten = takeSome(writer)
      spool.prepare()
      syncWhenDue(writer)
      if !hasWritten { usleep(settings.pauseMicroseconds) }
    }
    end(writer)
    self.writer = nil
    lock = nil
  }

  /// Puts a batch of records into the log; false when there was nothing, or it could not be done.
  private func takeSome(_ writer: LogWriter) -> Bool {
    let end = spool.end
    var reader = reader
    guard let first = nextRecord(&reader, before: end) else {
      self.reader = reader
      committed.store(reader.position.word, ordering: .releasing)
      return false
    }
    var drain = drain
    do {
      try writer.transaction {
        var record = first
        for count in 1... {
          try drain.take(record.content, at: record.position, into: writer)
          if count & 511 == 0 { spool.prepare() }
          guard count < Self.recordsAtOnce, let next = nextRecord(&reader, before: end) else {
            break
          }
          record = next
        }
        let position = drain.position(readTo: reader.position)
        try writer.setSpoolPosition(run: run, Int64(bitPattern: position.word))
      }
    } catch {
      tell(error)
      usleep(50_000)
      return false
    }
    self.reader = reader
    self.drain = drain
    isSynced = false
    hasToldProblem = false
    committed.store(reader.position.word, ordering: .releasing)
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
  private func syncWhenDue(_ writer: LogWriter) {
    guard !isSynced, Self.now() - lastSync > settings.syncNanoseconds else { return }
    lastSync = Self.now()
    let position = drain.position(readTo: reader.position)
    do {
      try writer.syncedTransaction {
        try writer.setSpoolPosition(run: run, Int64(bitPattern: position.word))
      }
      isSynced = true
      spool.remove(before: position, keepMapped: reader.unfinished)
    } catch {
      tell(error)
    }
    var status = stat()
    if stat(path + "-wal", &status) == 0, status.st_size > Self.walLimit { writer.restartWAL() }
  }

  /// Writes out the rest and notes the end of the run. What cannot be written stays in the spool,
  /// and whoever opens the log next finds it there.
  private func end(_ writer: LogWriter) {
    let deadline = Self.now() + settings.closeNanoseconds
    while true {
      while takeSome(writer) {}
      if reader.position >= spool.end, close(writer) {
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
    do {
      try writer.syncedTransaction {
        for (number, last) in lastSourceSeqs().sorted(by: { $0.key < $1.key }) {
          try drain.fill(number, through: last, "spool limit reached", Clock.now(), writer)
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
  private func tell(_ error: any Error) {
    guard !hasToldProblem else { return }
    hasToldProblem = true
    settings.problem("tasklog: cannot write \(path), will try again: \(error)")
  }
}
