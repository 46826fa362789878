import EventLog
import LogFormat

/// A worker that left a run: why, what it was doing, and what was lost with it.
package struct WorkerEnd: Sendable {
  package var address: String
  /// 1 for the first worker at its address.
  package var life: Int64
  /// JSON.
  package var name: String
  /// The event by which it left, and the time of that.
  package var seq: Int64
  package var time: Int64
  package var evidence = EndEvidence()
  package var verdict = EndVerdict(.unknown, "")
  /// The tasks that were assigned to it.
  package var processing = SomeKeys()
  /// Those of them that were assigned to workers that had been lost before, with these.
  package var suspects: [(key: String, workers: [String])] = []
  /// The number of results of which it had the only copy, and which were computed again.
  package var recomputed: Int64 = 0
  /// The size of those, and of the lost data that nothing can compute again, as far as it is known.
  package var lostBytes: Int64 = 0
  /// The tasks and data that were forgotten, because data was lost that nothing can compute again.
  package var forgotten = SomeKeys()

  /// Whether the scheduler had not expected it.
  package var isUnexpected: Bool {
    evidence.facts.contains { fact in
      if case .removed(_, false) = fact.kind { return true }
      return false
    }
  }
}

extension WorkerEnd {
  /// Counts what its removal did to tasks.
  ///
  /// - Parameter most: the maximum number of keys of each kind.
  mutating func add(
    _ effects: [RemovalReader.Effect], _ reader: LogReader, most: Int
  ) throws {
    for effect in effects {
      switch effect.kind {
      case .unassigned: try processing.add(reader.keys.element(effect.key)?.text, atMost: most)
      case .lost: recomputed += 1
      case .lostForgotten: break
      case .forgotten: try forgotten.add(reader.keys.element(effect.key)?.text, atMost: most)
      }
      lostBytes += effect.bytes ?? 0
    }
  }
}

extension LogReader {
  /// The maximum number of keys of a worker that are compared with those of earlier ones.
  private static let mostKeys = 1000
  /// A worker that died again and again with the same task is named only so often.
  private static let mostSuspects = 20

  /// The workers of a run that left, in the order in which they did.
  ///
  /// - Parameter scope: only its workers, gone in its time window.
  /// - Throws: `LogError`.
  package func workerEnds(of run: RunInfo, in scope: RunScope? = nil) throws -> [WorkerEnd] {
    let lives = try workerLives(of: run)
    return try translating {
      var scan = try EndScan(self, run, lives)
      var ends = try scan.ends(most: Self.mostKeys)
      addSuspects(&ends)
      return ends.filter { end in
        guard let scope else { return true }
        return scope.includes(worker: lives.place(end.address, at: end.seq))
          && scope.window.contains(end.time)
      }
    }
  }

  private func addSuspects(_ ends: inout [WorkerEnd]) {
    var lost: [String: [String]] = [:]
    for index in ends.indices where ends[index].isUnexpected {
      for key in ends[index].processing.keys {
        if let workers = lost[key], ends[index].suspects.count < Self.mostSuspects {
          ends[index].suspects.append((key, workers))
        }
        if lost[key, default: []].count < Self.mostSuspects {
          lost[key, default: []].append(WorkerLives.label(ends[index].address, ends[index].life))
        }
      }
    }
  }
}
