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
      var removals = try RemovalReader(self)
      let teardown = try connection.prepare(
        """
        SELECT 1 FROM (SELECT hook FROM event WHERE source = ?
          ORDER BY source_seq DESC LIMIT \(Self.mostTrailingMarks))
        WHERE hook = (SELECT id FROM text WHERE text = 'teardown') LIMIT 1
        """)
      var lost: [(seq: Int64, worker: LostWorker)] = []
      var withoutCause = 0
      for life in gone {
        guard let gone = life.gone else { continue }
        let found = try removals.effects(of: gone.seq) { isExpected in
          guard isExpected == false else { return false }
          guard let own = life.source else { return true }
          defer { teardown.reset() }
          try teardown.bind(1, own)
          return try !teardown.step()
        }
        guard let found else { continue }
        guard found.hasCause else {
          withoutCause += 1
          if withoutCause > Self.mostWithoutCause { break }
          continue
        }
        guard found.isWanted else { continue }
        var worker = LostWorker(address: life.address, name: life.name, time: gone.time)
        for effect in found.effects {
          switch effect.kind {
          case .unassigned:
            try worker.processing.add(self.keys.element(effect.key)?.text, atMost: keys)
          case .lost: worker.recomputed += 1
          case .lostForgotten: break
          case .forgotten:
            try worker.forgotten.add(self.keys.element(effect.key)?.text, atMost: keys)
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
