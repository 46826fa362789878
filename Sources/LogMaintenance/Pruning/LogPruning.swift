import CSQLite
import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// Deletes events of finished runs from a log and returns their space to the disk, while other
/// processes may record into the same log, read and follow it.
///
/// Every step is a transaction that leaves a consistent log, so the process may be killed at any
/// moment: the deletion of rows also updates the counts of their run, and adds a gap with the
/// reason `pruned` in their place. Unused names are deleted next, see `InternGC`, then the empty
/// pages:
/// https://sqlite.org/pragma.html#pragma_incremental_vacuum
package final class LogPruning {
  /// The number of events per transaction, limited because others want to write, too.
  private static let eventsPerBatch: Int64 = 4096
  private static let runsPerBatch = 256
  private static let pagesPerBatch = 256
  private static let pauseMicroseconds: UInt32 = 2_000
  /// How long it writes without a pause.
  private static let busyNanoseconds: Int64 = 10_000_000

  package let path: String
  private var lastPause: Int64 = 0
  private let writer: LogWriter
  private var connection: Connection { writer.connection }
  private var removal: RunRemoval?

  /// - Throws: `LogError`.
  package init(path: String) throws {
    self.path = path
    // Refuses a file that is not a log instead of creating one.
    _ = try LogReader(path: path)
    writer = try LogWriter(path: path)
  }

  package func close() { writer.close(isIndexing: false) }

  /// Deletes the events of runs: those of a long run in many transactions, short runs together.
  ///
  /// - Parameters:
  ///   - keepingFailures: retains the stories of failed tasks, and of what they needed, together
  ///     with the events of workers and of the scheduler.
  ///   - files: all files of each run, if there are others.
  ///   - show: called with the number of events scanned so far.
  /// - Returns: the number of deleted events of each run.
  /// - Throws: `LogError`.
  package func prune(
    _ runs: [RunInfo], keepingFailures: Bool, files: [String] = [],
    show: (Int64) -> Void = { _ in }
  ) throws -> [Int64] {
    try translating {
      let retention =
        keepingFailures
        ? try FailureRetention.Finder(files: files.isEmpty ? [path] : files, writer) : nil
      let reader = try LogReader(path: path)
      var (removed, seen, rest): ([Int64], Int64, _) = ([], 0, runs[...])
      while let next = rest.first {
        if next.seqCount > Self.eventsPerBatch {
          removed.append(
            try prune(
              next, reader, retention, in: { body in try writer.transaction { try body() } }
            ) {
              show(seen + $0)
              pauseIfDue()
            })
          seen += next.seqCount
          rest.removeFirst()
        } else {
          let short = Self.shortRuns(rest)
          try writer.transaction {
            for run in short { removed.append(try prune(run, reader, retention, in: { try $0() })) }
          }
          seen += short.reduce(0) { $0 + $1.seqCount }
          rest.removeFirst(short.count)
        }
        show(seen)
        pauseIfDue()
      }
      return removed
    }
  }

  /// As many of the first runs as are pruned together.
  private static func shortRuns(_ runs: ArraySlice<RunInfo>) -> ArraySlice<RunInfo> {
    var (count, events) = (0, Int64(0))
    for run in runs.prefix(Self.runsPerBatch) {
      events += run.seqCount
      if events > eventsPerBatch { break }
      count += 1
    }
    return runs.prefix(count)
  }

  /// Deletes the events of a run.
  ///
  /// - Parameter step: runs its body within a transaction.
  private func prune(
    _ run: RunInfo, _ reader: LogReader, _ retention: FailureRetention.Finder?,
    in step: (() throws -> Void) throws -> Void, show: (Int64) -> Void = { _ in }
  ) throws -> Int64 {
    guard run.end != .running, !RecorderLock.isHeld(log: path, run: run.id), !hasSpool(run)
    else { return 0 }
    if run.end != .closed { try step { try writer.endAsDied(run: run.number) } }
    let kept = try retention?.find(run)
    if let kept { try step { try kept.note(in: run, connection) } }
    guard let first = run.firstSeq, let last = run.lastSeq else { return 0 }
    let removal = try self.removal ?? RunRemoval(connection)
    self.removal = removal
    try removal.begin(run)
    try step { try markSourcesComplete(of: run, reader) }
    var (position, removed, seen) = (first - 1, Int64(0), Int64(0))
    while position < last {
      try step {
        let batch = try removal.remove(
          after: position, through: last, limit: Self.eventsPerBatch, except: kept)
        position = batch.position
        removed += batch.removed
        seen += batch.seen
      }
      show(seen)
    }
    try step { try removal.end() }
    return removed
  }

  /// Lets others write.
  private func pauseIfDue() {
    guard LockPatience.now() - lastPause >= Self.busyNanoseconds else { return }
    usleep(Self.pauseMicroseconds)
    lastPause = LockPatience.now()
  }

  /// Whether a spool next to the log contains events of a run that must be recovered first.
  private func hasSpool(_ run: RunInfo) -> Bool {
    RecorderLock.folder(log: path, run: run.id).map { access($0, F_OK) == 0 } ?? false
  }

  /// The events that mark a worker's events as complete may be deleted.
  private func markSourcesComplete(of run: RunInfo, _ reader: LogReader) throws {
    let workers = try reader.sources(of: run).filter { $0.source.kind == .worker }
    guard !workers.isEmpty else { return }
    let isCounted = try ![RunSegment(reader: reader, run: run)].stays().isEmpty
    for info in workers {
      let extent = try reader.extent(of: info, isCounted: isCounted)
      if extent.isComplete { try writer.markComplete(source: info.number, through: extent.last) }
    }
  }

  // MARK: - Space

  /// Cleans up after events were deleted: deletes unused names and returns the empty pages to the
  /// disk.
  ///
  /// - Returns: the number of bytes that could not be returned, because another process reads or
  ///   writes all the time.
  /// - Throws: `LogError`.
  package func reclaimSpace() throws -> Int64 {
    try translating {
      var sweep = InternGC(writer)
      try sweep.run()
      if try connection.integer("PRAGMA auto_vacuum") == 2 {
        while let free = try connection.integer("PRAGMA freelist_count"), free > 0 {
          try connection.execute("PRAGMA incremental_vacuum(\(Self.pagesPerBatch))")
          usleep(Self.pauseMicroseconds)
        }
      } else {
        // A file that was created by another tool: all of it is rewritten.
        try connection.execute("VACUUM")
      }
      // The file shrinks when its write-ahead log is moved into it, which waits for readers.
      WALPolicy.emptyWaiting(connection)
      let pages = try connection.integer("PRAGMA page_count") ?? 0
      let bytes = pages * (try connection.integer("PRAGMA page_size") ?? 0)
      return max(0, Self.bytes(of: path) - bytes)
    }
  }

  /// The bytes of a log on disk, including its write-ahead log.
  package static func bytes(of path: String) -> Int64 {
    var status = stat()
    let bytes = stat(path, &status) == 0 ? Int64(status.st_size) : 0
    return bytes + Int64(WALPolicy.size(of: path) ?? 0)
  }

  private func translating<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as SQLiteError {
      throw error.isBusy
        ? LogError(error, path: path) : LogError.cannotWrite(path: path, reason: error.message)
    }
  }
}
