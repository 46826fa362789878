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
  private static let eventsPerBatch = 4096
  private static let pagesPerBatch = 256
  private static let pauseMicroseconds: UInt32 = 2_000
  /// How long it writes without a pause: a log may have 100,000 runs of an event each.
  private static let busyNanoseconds: Int64 = 10_000_000

  package let path: String
  private var lastPause: Int64 = 0
  private let writer: LogWriter
  private var connection: Connection { writer.connection }

  /// - Throws: `LogError`.
  package init(path: String) throws {
    self.path = path
    // Refuses a file that is not a log instead of creating one.
    _ = try LogReader(path: path)
    writer = try LogWriter(path: path)
  }

  package func close() { writer.close(isIndexing: false) }

  /// Deletes the events of a run.
  ///
  /// - Parameters:
  ///   - keepingFailures: retains the stories of failed tasks, and of what they needed, together
  ///     with the events of workers and of the scheduler.
  ///   - files: all files of the run, if there are others.
  ///   - show: called with the number of events scanned so far.
  /// - Returns: the number of deleted events.
  /// - Throws: `LogError`.
  package func prune(
    _ run: RunInfo, keepingFailures: Bool, files: [String] = [],
    show: (Int64) -> Void = { _ in }
  ) throws -> Int64 {
    try translating {
      guard run.end != .running, !RecorderLock.isHeld(log: path, run: run.id),
        !hasSpool(run)
      else { return 0 }
      try writer.transaction { try writer.endAsDied(run: run.number) }
      let files = files.isEmpty ? [path] : files
      let kept = keepingFailures ? try FailureRetention(run, files: files, writer) : nil
      guard let first = run.firstSeq, let last = run.lastSeq else { return 0 }
      let sources = Set(try sources(of: run))
      try writer.transaction { try markSourcesComplete(of: run) }
      var (position, removed, seen) = (first - 1, Int64(0), Int64(0))
      let select = try connection.prepare(
        """
        SELECT seq, source, source_seq, key, hook FROM event WHERE seq > ? AND seq <= ?
        ORDER BY seq LIMIT \(Self.eventsPerBatch)
        """)
      while position < last {
        try writer.transaction {
          var rows: [Row] = []
          var count = 0
          try select.bind(1, position)
          try select.bind(2, last)
          defer { select.reset() }
          while try select.step() {
            count += 1
            position = select.integer(0)
            guard sources.contains(select.integer(1)) else { continue }
            if let kept, kept.keeps(key: select.optionalInteger(3), hook: select.integer(4)) {
              continue
            }
            rows.append(
              Row(seq: position, source: select.integer(1), sourceSeq: select.integer(2)))
          }
          select.reset()
          if count < Self.eventsPerBatch { position = last }
          try remove(rows, of: run)
          removed += Int64(rows.count)
          seen += Int64(count)
        }
        show(seen)
        pauseIfDue()
      }
      try writer.transaction { try fitExtent(of: run, sources) }
      return removed
    }
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
  private func markSourcesComplete(of run: RunInfo) throws {
    let reader = try LogReader(path: path)
    let isCounted = try ![RunSegment(reader: reader, run: run)].stays().isEmpty
    for info in try reader.sources(of: run) where info.source.kind == .worker {
      let extent = try reader.extent(of: info, isCounted: isCounted)
      if extent.isComplete { try writer.markComplete(source: info.number, through: extent.last) }
    }
  }

  private struct Row {
    var seq: Int64
    var source: Int64
    var sourceSeq: Int64
  }

  private func sources(of run: RunInfo) throws(SQLiteError) -> [Int64] {
    let select = try connection.prepare("SELECT id FROM source WHERE run = ?")
    try select.bind(1, run.number)
    var sources: [Int64] = []
    while try select.step() { sources.append(select.integer(0)) }
    return sources
  }

  private func remove(_ rows: [Row], of run: RunInfo) throws {
    guard !rows.isEmpty else { return }
    let delete = try connection.prepare("DELETE FROM event WHERE seq = ?")
    var totals = try TotalsRemoval(connection, run)
    for row in rows {
      try totals.remove(row.seq)
      try delete.bind(1, row.seq)
      try delete.run()
    }
    try connection.execute(
      """
      DELETE FROM task_move WHERE seq BETWEEN \(rows[0].seq) AND \(rows[rows.count - 1].seq)
        AND NOT EXISTS (SELECT 1 FROM event WHERE event.seq = task_move.seq)
      """)
    try totals.finish()
    var gaps = try PrunedGaps(connection)
    let sorted = rows.sorted { ($0.source, $0.sourceSeq) < ($1.source, $1.sourceSeq) }
    var start = 0
    for index in 1...sorted.count {
      if index < sorted.count, sorted[index].source == sorted[start].source,
        sorted[index].sourceSeq == sorted[index - 1].sourceSeq + 1
      {
        continue
      }
      try gaps.add(
        source: sorted[start].source, first: sorted[start].sourceSeq, count: Int64(index - start))
      start = index
    }
    let update = try connection.prepare("UPDATE run SET events = events - ? WHERE id = ?")
    try update.bind(1, Int64(rows.count))
    try update.bind(2, run.number)
    try update.run()
  }

  /// Updates the range of the numbers of the remaining events.
  private func fitExtent(of run: RunInfo, _ sources: Set<Int64>) throws {
    var (first, last): (Int64?, Int64?)
    let select = try connection.prepare("SELECT min(seq), max(seq) FROM event WHERE source = ?")
    for source in sources {
      defer { select.reset() }
      try select.bind(1, source)
      guard try select.step(), let low = select.optionalInteger(0), !select.isNull(1) else {
        continue
      }
      first = min(first ?? low, low)
      last = max(last ?? select.integer(1), select.integer(1))
    }
    let update = try connection.prepare(
      "UPDATE run SET first_seq = ?, last_seq = ? WHERE id = ?")
    try update.bind(1, first)
    try update.bind(2, last)
    try update.bind(3, run.number)
    try update.run()
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
