import TestSupport
import Testing

@testable import EventLog
@testable import LogAnalysis
@testable import LogFormat
@testable import TaskLogPlugin

/// Logs with missing or changed bytes: whatever a file contains, reading it ends with the readable
/// events or an error.
@Suite struct DamagedLogTests {
  private let folder: TemporaryFolder
  private let path: String
  private let healthy: [UInt8]

  init() throws {
    folder = try TemporaryFolder()
    path = folder("log.db")
    var random = Randomness.generator(141)
    do {
      let log = try LogUnderTest(path)
      let worker = try log.addWorker(1)
      for _ in 0..<4 {
        try log.append(
          (0..<60).map { number in
            let event =
              number % 2 == 0
              ? random.event()
              : .transition(
                Key("k-\(number % 9)"), .processing, .memory, stimulus: "s-\(number % 5)",
                run: Int64(number % 3))
            return (random.pick([log.scheduler, worker]), event)
          })
      }
      try log.writer.transaction {
        try log.writer.addGap(
          source: log.scheduler, sourceSeq: 900, count: 2, time: 0, reason: "pruned")
      }
      try log.close()
    }
    healthy = try Files.read(path)
  }

  /// Reads everything that a reader can read. Errors must be those of this module.
  private func readAll(_ note: String) {
    func attempt(_ body: () throws -> Void) {
      do {
        try body()
      } catch is LogError {
      } catch is UserSQLError {
      } catch {
        Issue.record("\(note): \(error)")
      }
    }
    attempt {
      let reader = try LogReader(path: path)
      for run in try reader.runs() {
        attempt { _ = try reader.totals(of: run) }
        attempt { _ = try reader.summary(of: run) }
        attempt { try reader.whereabouts(in: run, at: .end).forEachTask { _ in } }
        attempt { _ = try reader.criticalPath(of: run) }
        attempt { _ = try reader.eventKinds(of: run) }
        attempt { _ = try reader.eventsWithLongestSpans(in: [run], action: nil, limit: 5) }
        attempt {
          let failures = try reader.failures(of: run)
          _ = try failures.causes()
          try failures.forEachAffected { _ in }
        }
        for order in [EventOrder.arrival, .causal] {
          attempt {
            for recorded in try reader.all(run, order: order) {
              _ = recorded.event.args.content
              _ = recorded.event.snapshot.decoded
              _ = recorded.event.key?.value
            }
          }
        }
        attempt {
          for source in try reader.sources(of: run) { attempt { _ = try reader.all(of: source) } }
        }
        attempt {
          var filter = EventFilter()
          filter.keys = ["k*"]
          filter.runs = [run.number]
          try reader.rows(matching: filter, columns: ["seq", "time", "args"], limit: nil) { _ in }
        }
      }
    }
    for view in [
      "events", "transitions", "tasks", "task_durations", "state_intervals", "prefixes",
      "prefix_states",
      "errors", "error_causes", "workers", "dependencies", "critical_path", "stimuli", "stories",
      "runs", "event_kinds", "gaps",
    ] {
      attempt { _ = try query("SELECT * FROM \(view) LIMIT 5000", path) }
    }
  }

  @Test func `a truncated log is read as far as possible, or refused`() throws {
    var random = Randomness.generator(142)
    for _ in 0..<40 {
      let length = random.below(healthy.count)
      try Files.write(Array(healthy.prefix(length)), to: path)
      readAll("cut to \(length)")
    }
    for length in [1, 16, 99, 100, 4_096] {
      try Files.write(Array(healthy.prefix(length)), to: path)
      readAll("cut to \(length)")
    }
  }

  @Test func `a log with changed bits is read as far as possible, or refused`() throws {
    var random = Randomness.generator(143)
    for round in 0..<150 {
      var bytes = healthy
      // Often in one place, where the effect is greatest.
      let start = random.once(in: 2) ? 0 : random.below(bytes.count)
      for _ in 0..<1 + random.below(20) {
        let place = random.once(in: 2) ? start + random.below(4_096) : random.below(bytes.count)
        bytes[place % bytes.count] ^= 1 << UInt8(random.below(8))
      }
      try Files.write(bytes, to: path)
      readAll("seed \(Randomness.seed), round \(round)")
    }
  }

  /// Damage that random bits may not cause.
  @Test(arguments: [
    "UPDATE run SET first_seq = \(Int64.min), last_seq = \(Int64.max)",
    "UPDATE run SET first_seq = \(Int64.max)", "UPDATE run SET first_seq = NULL, last_seq = NULL",
    "UPDATE run SET metadata = '{', uuid = ''", "UPDATE run SET started = \(Int64.min), end = NULL",
    "UPDATE event SET key = \(Int64.max)", "UPDATE event SET key = \(Int64.min)",
    "UPDATE event SET key = -1, hook = hook + 1000", "UPDATE event SET hook = 0",
    "UPDATE event SET start = \(Int64.max), finish = -5, stimulus = 0, worker = \(Int64.max - 1)",
    "UPDATE event SET args = '{', snapshot = '['", "UPDATE event SET args = '', snapshot = ''",
    "UPDATE event SET args = x'00ff' || args", "UPDATE event SET task_run = \(Int64.max)",
    "UPDATE event SET time = \(Int64.min)", "UPDATE event SET source = source + 7",
    "UPDATE event SET seq = -seq", "UPDATE event SET seq = \(Int64.max) WHERE seq = 5",
    "UPDATE key SET id = \(Int64.max) WHERE id = 1", "UPDATE text SET id = -id",
    "UPDATE key SET typed = '{', text = id || x'00' || 'a'", "DELETE FROM text", "DELETE FROM key",
    "DELETE FROM blob", "DELETE FROM source", "DELETE FROM meta", "DELETE FROM run",
    "UPDATE source SET name = '{', server_id = id", "UPDATE gap SET count = \(Int64.max)",
    "DROP TABLE event", "DROP TABLE text", "DROP VIEW events", "DROP TABLE gap",
    "ALTER TABLE run RENAME COLUMN uuid TO other", "DROP INDEX event_identity",
  ])
  func `contents that no recorder writes do no harm`(statement: String) throws {
    try sql(statement, on: path)
    readAll(statement)
  }

  @Test func `events with invalid references are counted`() throws {
    try sql("DELETE FROM key", on: path)
    let reader = try LogReader(path: path)
    let cursor = try reader.events(of: reader.latest(), order: .arrival)
    var count = 0
    while try cursor.nextEvent() != nil { count += 1 }
    #expect(count == 240)
    #expect(
      try sql("SELECT count(*) FROM event WHERE key IS NOT NULL", on: path)
        == [[.integer(Int64(cursor.damagedCount))]])
  }
}
