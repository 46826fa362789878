import EventLog
import Glibc
import LogAnalysis
import Recording
import Synchronization
import TaskLogPlugin
import TestSupport

/// The cost of recording: for the caller, and for the way into the file.
struct RecorderBenchmark {
  var workload: Workload
  var rounds: Int

  func run() throws {
    try CallerBenchmark(events: max(20_000, workload.events.count / 2)).run()
    try caller()
    try file()
    try drain()
    try readers()
  }

  /// The time that the scheduler's thread spends on an event.
  private func caller() throws {
    var comparison = Comparison(
      "recorder, on the caller's thread", against: "no recorder (an empty call)",
      events: workload.events.count, rounds: rounds)
    let nobody = Nobody()
    try comparison.run {
      let folder = try TemporaryFolder()
      let recorder = try Recorder(log: folder.log)
      let channels = Workload.sources.map { recorder.channel(for: $0) }
      let time = feed(channels)
      recorder.close()
      return time
    } _: {
      feed(Workload.sources.map { _ in nobody })
    }
    comparison.report(asSpeed: false)
  }

  private func feed(_ channels: [any EventChannel]) -> Double {
    seconds { for (source, event) in workload.events { channels[source].record(event) } }
  }

  /// From the first event to the closed file.
  private func file() throws {
    var comparison = Comparison(
      "recorder, into the closed file",
      against: "the same prepared inserts into the same tables, fed from memory",
      events: workload.events.count, rounds: rounds)
    let rows = ReadyRows(workload)
    var bytes = 0
    try comparison.run {
      let folder = try TemporaryFolder()
      let time = try seconds {
        let recorder = try Recorder(log: folder.log)
        let channels = Workload.sources.map { recorder.channel(for: $0) }
        for (source, event) in workload.events { channels[source].record(event) }
        recorder.close()
      }
      var status = stat()
      stat(folder.log, &status)
      bytes = Int(status.st_size)
      return time
    } _: {
      try bareSeconds(rows)
    }
    comparison.report(asSpeed: true)
    let plain = try self.bytes(of: workload.events.filter { $0.event.args.isEmpty })
    let full = try self.bytes(of: workload.events.filter { !$0.event.args.isEmpty })
    say("  bytes an event in the file: \(bytes / workload.events.count)")
    say("    of those without args: \(plain), of finished tasks with theirs: \(full)")
    say()
  }

  /// The size of an event in a log that contains nothing else.
  private func bytes(of events: [(source: Int, event: Event)]) throws -> Int {
    let folder = try TemporaryFolder()
    let recorder = try Recorder(log: folder.log)
    let channels = Workload.sources.map { recorder.channel(for: $0) }
    for (source, event) in events { channels[source].record(event) }
    recorder.close()
    var status = stat()
    stat(folder.log, &status)
    return Int(status.st_size) / max(1, events.count)
  }

  /// From a spool that contains everything to the closed file.
  private func drain() throws {
    var comparison = Comparison(
      "recorder, draining a filled spool",
      against: "the same prepared inserts into the same tables, fed from memory",
      events: workload.events.count, rounds: rounds)
    let rows = ReadyRows(workload)
    try comparison.run {
      try drainSeconds(into: try TemporaryFolder())
    } _: {
      try bareSeconds(rows)
    }
    comparison.report(asSpeed: true)
  }

  /// The same while one reader reads all events repeatedly and another follows. The baseline has
  /// the same readers on another log: they use as much processor time and cache there.
  private func readers() throws {
    var comparison = Comparison(
      "recorder, draining with a reader loop and a follower",
      against: "with the same readers on another log", events: workload.events.count,
      rounds: rounds)
    let another = try TemporaryFolder()
    _ = try drainSeconds(into: another)
    let (readers, others) = (Readers(), Readers())
    try comparison.run {
      try drainSeconds(into: try TemporaryFolder(), readers)
    } _: {
      try drainSeconds(into: try TemporaryFolder(), others, of: another.log)
    }
    comparison.report(asSpeed: true)
    say("  \(readers.summary)")
    say()
  }

  private func drainSeconds(
    into folder: TemporaryFolder, _ readers: Readers? = nil, of log: String? = nil
  ) throws -> Double {
    let recorder = try Recorder(log: folder.log)
    let channels = Workload.sources.map { recorder.channel(for: $0) }
    // Keeps the thread that writes from running until everything is in the spool.
    let other = try BareSQLite(path: folder.log)
    try other.execute("PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE")
    for (source, event) in workload.events { channels[source].record(event) }
    try other.execute("ROLLBACK")
    guard let readers else { return seconds { recorder.close() } }
    return readers.reading(log ?? folder.log) { seconds { recorder.close() } }
  }

  private func bareSeconds(_ rows: ReadyRows) throws -> Double {
    let folder = try TemporaryFolder()
    try Recorder(log: folder.log).close()
    let database = try BareSQLite(path: folder.log)
    try database.execute("DELETE FROM text; DELETE FROM key")
    return try seconds {
      try database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
      try rows.insert(into: database, rowsPerBatch: 50_000)
      try database.execute("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE")
    }
  }
}

/// One thread that reads a whole log repeatedly, and one that follows it.
private final class Readers: Sendable {
  private struct Seen {
    var rounds = 0
    var errors = 0
    var largestWAL = 0
  }

  private let seen = Mutex(Seen())
  private let isDone = Atomic(false)

  var summary: String {
    let seen = seen.withLock { $0 }
    return
      "\(seen.rounds) readings, errors: \(seen.errors), largest write-ahead log: "
      + "\(seen.largestWAL >> 20) MiB"
  }

  func reading(_ path: String, while body: () -> Double) -> Double {
    isDone.store(false, ordering: .releasing)
    let thread = startThreads(2) { number in
      while !self.isDone.load(ordering: .acquiring) {
        do {
          try self.read(path, whole: number == 0)
        } catch {
          self.seen.withLock { $0.errors += 1 }
        }
        if number == 1 { usleep(50_000) }
      }
    }
    let seconds = body()
    isDone.store(true, ordering: .releasing)
    thread.join()
    return seconds
  }

  private func read(_ path: String, whole: Bool) throws {
    let reader = try LogReader(path: path)
    guard let run = try reader.runs().last else { return }
    if whole {
      for source in try reader.sources(of: run) {
        let cursor = try reader.events(of: source)
        while try cursor.nextEvent() != nil, !isDone.load(ordering: .relaxed) {}
      }
    } else {
      _ = try reader.totals(of: run)
    }
    var status = stat()
    let size = stat(path + "-wal", &status) == 0 ? Int(status.st_size) : 0
    seen.withLock { seen in
      seen.rounds += 1
      seen.largestWAL = max(seen.largestWAL, size)
    }
  }
}
