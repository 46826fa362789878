import EventLog
import Glibc
import Recording
import TaskLogPlugin

/// What recording costs: the caller, and the way into the file.
struct RecorderBenchmark {
  var workload: Workload
  var rounds: Int

  func run() throws {
    try caller()
    try file()
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
      let folder = try TemporaryFolder()
      let recorder = try Recorder(log: folder.log)
      recorder.close()
      let database = try BareSQLite(path: folder.log)
      try database.execute("DELETE FROM text; DELETE FROM key")
      return try seconds {
        try database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
        try rows.insert(into: database, rowsAtOnce: 50_000)
        try database.execute("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE")
      }
    }
    comparison.report(asSpeed: true)
    say("  bytes an event in the file: \(bytes / workload.events.count)")
    say()
  }
}

/// Takes events in and does nothing, without being optimized away.
private final class Nobody: EventChannel {
  func record(_ event: Event) {}
}
