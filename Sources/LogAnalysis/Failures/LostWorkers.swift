import EventLog
import LogFormat

/// A worker that the scheduler lost without being told, and what was lost with it. Why it was lost,
/// the log does not say.
package struct LostWorker: Sendable {
  package var address: String
  /// JSON.
  package var name: String
  package var time: Int64
  /// The tasks that were assigned to it.
  package var processing = SomeKeys()
  /// The number of results of which it had the only copy, and which were computed again.
  package var recomputed: Int64 = 0
  /// The tasks and data that were forgotten, because data was lost that nothing can compute again.
  package var forgotten = SomeKeys()
}

/// A number of keys, and some of them.
package struct SomeKeys: Sendable {
  package private(set) var count: Int64 = 0
  package private(set) var keys: [String] = []

  package init() {}

  package mutating func add(_ key: @autoclosure () throws -> String?, atMost most: Int) rethrows {
    count += 1
    if keys.count < most, let key = try key() { keys.append(key) }
  }
}

extension LogReader {
  /// The number of events before a removal among which its cause is searched: those between the two
  /// are of the tasks of the worker.
  private static let searchedForCause = 1_000_000
  /// Older logs do not have the causes, which are not searched for every worker then.
  private static let mostWithoutCause = 3
  /// A worker may record other things after its end, such as what its plugins report.
  private static let mostTrailingMarks = 256

  /// The workers that a run lost, in the order in which they were: their scheduler removed them
  /// unexpectedly, and they did not record their end. Of a worker that was not recorded itself nothing
  /// says whether it was stopped; it counts if something was lost with it.
  ///
  /// - Parameters:
  ///   - keys: the maximum number of keys of each kind.
  ///   - scope: only its workers, lost in its time window; the tasks are all of theirs.
  /// - Throws: `LogError`.
  package func lostWorkers(
    of run: RunInfo, keys: Int, in scope: RunScope? = nil
  ) throws -> [LostWorker] {
    let gone = try workerLives(of: run).lives.enumerated().filter { index, life in
      guard let gone = life.gone else { return false }
      return scope.map { $0.includes(worker: index) && $0.window.contains(gone.time) } ?? true
    }.map(\.element)
    guard !gone.isEmpty else { return [] }
    return try translating {
      let removal = try connection.prepare(
        """
        SELECT event.seq, event.source, event.stimulus, event.worker FROM event
        WHERE seq = ? AND event.stimulus IS NOT NULL AND event.worker IS NOT NULL
        """)
      // What the removal of a worker causes comes between its two events.
      let cause = try connection.prepare(
        """
        SELECT seq, args ->> '$.expected' FROM (
          SELECT seq, source, worker, hook, args FROM event WHERE seq < ?1
          ORDER BY seq DESC LIMIT \(Self.searchedForCause))
        WHERE source = ?2 AND worker = ?3
          AND hook = (SELECT id FROM text WHERE text = 'stimulus')
          AND args ->> '$.op' = 'remove-worker'
        LIMIT 1
        """)
      let teardown = try connection.prepare(
        """
        SELECT 1 FROM (SELECT hook FROM event WHERE source = ?
          ORDER BY source_seq DESC LIMIT \(Self.mostTrailingMarks))
        WHERE hook = (SELECT id FROM text WHERE text = 'teardown') LIMIT 1
        """)
      let caused = try connection.prepare(
        """
        SELECT start.text, finish.text, event.key, event.worker FROM event
        JOIN text AS start ON start.id = event.start JOIN text AS finish ON finish.id = event.finish
        WHERE seq BETWEEN ?1 AND ?2 AND +source = ?3 AND +stimulus = ?4
          AND +hook = (SELECT id FROM text WHERE text = 'transition') AND event.key IS NOT NULL
        ORDER BY seq
        """)
      var lost: [(seq: Int64, worker: LostWorker)] = []
      var withoutCause = 0
      for life in gone {
        guard let gone = life.gone else { continue }
        defer { for statement in [removal, cause, teardown, caused] { statement.reset() } }
        try removal.bind(1, gone.seq)
        guard try removal.step() else { continue }
        let (source, stimulus) = (removal.integer(1), removal.integer(2))
        for (index, number) in [gone.seq, source, removal.integer(3)].enumerated() {
          try cause.bind(Int32(index + 1), number)
        }
        guard try cause.step() else {
          withoutCause += 1
          if withoutCause > Self.mostWithoutCause { break }
          continue
        }
        guard cause.optionalInteger(1) == 0 else { continue }
        if let own = life.source {
          try teardown.bind(1, own)
          if try teardown.step() { continue }
        }
        var worker = LostWorker(address: life.address, name: life.name, time: gone.time)
        for (index, number) in [cause.integer(0), gone.seq, source, stimulus].enumerated() {
          try caused.bind(Int32(index + 1), number)
        }
        while try caused.step() {
          let key = caused.integer(2)
          switch (caused.text(0), caused.text(1)) {
          case ("processing", "released"), ("processing", "erred"):
            try worker.processing.add(self.keys.element(key)?.text, atMost: keys)
          case ("memory", "released"): worker.recomputed += 1
          case (_, "forgotten"):
            try worker.forgotten.add(self.keys.element(key)?.text, atMost: keys)
          default: break
          }
        }
        let isKnownLost =
          life.source != nil || worker.processing.count + worker.forgotten.count > 0
          || worker.recomputed > 0
        if isKnownLost { lost.append((gone.seq, worker)) }
      }
      return lost.sorted { $0.seq < $1.seq }.map(\.worker)
    }
  }
}
