import EventLog

/// The runs to delete from logs.
package struct RetentionPolicy: Sendable {
  /// Runs that ended before this time, in nanoseconds since 1970 UTC.
  package var endedBefore: Int64?
  /// All but this number of the newest runs.
  package var keptRuns: Int?
  /// The oldest runs, until all logs together take at most this number of bytes.
  package var maximumBytes: Int64?

  package init() {}

  /// The rule that applies to a run. The raw value is its name in outputs and is stable.
  package enum Reason: String, Sendable {
    case olderThan = "older-than"
    case keepRuns = "keep-runs"
    case maxSize = "max-size"
  }

  /// A run, or the part of it that is in one file.
  package struct Candidate: Sendable {
    package var path: String
    package var run: RunInfo
    /// In this file.
    package var events: Int64
    /// The approximate number of bytes that it uses in the file.
    package var bytes: Int64

    package init(path: String, run: RunInfo, events: Int64, bytes: Int64) {
      self.path = path
      self.run = run
      self.events = events
      self.bytes = bytes
    }

    /// Nothing is deleted from a run that is being recorded.
    package var isLive: Bool { run.end == .running }
  }

  /// The runs in logs.
  ///
  /// - Parameter withEmpty: includes runs without remaining events, if each run has its own file.
  /// - Throws: `LogError`.
  package static func candidates(_ paths: [String], withEmpty: Bool) throws -> [Candidate] {
    var candidates: [Candidate] = []
    for path in paths {
      let reader = try LogReader(path: path)
      let runs = try reader.runs()
      let events = try runs.map { try reader.eventCount(of: $0) }
      let total = max(1, events.reduce(0, +))
      let bytes = Double(LogPruning.bytes(of: path))
      for (run, events) in zip(runs, events)
      where events > 0 || withEmpty || run.end == .running {
        candidates.append(
          Candidate(
            path: path, run: run, events: events,
            bytes: Int64(saturating: bytes * Double(events) / Double(total))))
      }
    }
    return candidates
  }

  /// - Parameters:
  ///   - candidates: the runs of all logs.
  ///   - bytes: the size of all logs.
  package func choose(
    _ candidates: [Candidate], bytes: Int64
  ) -> [(candidate: Candidate, reason: Reason)] {
    // The oldest first; the segments of one run in their order.
    let sorted = candidates.sorted {
      ($0.run.started, $0.run.id, $0.run.ended ?? .max)
        < ($1.run.started, $1.run.id, $1.run.ended ?? .max)
    }
    var ids: [String] = []
    for candidate in sorted where ids.last != candidate.run.id { ids.append(candidate.run.id) }
    let kept = keptRuns.map { Set(ids.suffix($0)) }
    var remainingBytes = bytes
    var chosen: [(candidate: Candidate, reason: Reason)] = []
    var others: [Candidate] = []
    for candidate in sorted where !candidate.isLive {
      if let endedBefore, candidate.run.ended ?? candidate.run.started < endedBefore {
        chosen.append((candidate, .olderThan))
      } else if let kept, !kept.contains(candidate.run.id) {
        chosen.append((candidate, .keepRuns))
      } else {
        others.append(candidate)
        continue
      }
      remainingBytes -= candidate.bytes
    }
    if let maximumBytes {
      for candidate in others where remainingBytes > maximumBytes {
        chosen.append((candidate, .maxSize))
        remainingBytes -= candidate.bytes
      }
    }
    return chosen
  }
}

extension LogReader {
  /// The number of unused bytes in the file.
  ///
  /// - Throws: `LogError`.
  package func freeBytes() throws -> Int64 {
    try translating {
      (try connection.integer("PRAGMA freelist_count") ?? 0)
        * (try connection.integer("PRAGMA page_size") ?? 0)
    }
  }
}
