import LogFormat
import TaskLogPlugin

/// What one segment has of a rotated run.
package struct RunSegment {
  package var reader: LogReader
  package var run: RunInfo

  package init(reader: LogReader, run: RunInfo) {
    (self.reader, self.run) = (reader, run)
  }

  /// The segments of each run in several files, in the order of the files.
  ///
  /// - Throws: `LogError`.
  package static func runs(in readers: [LogReader]) throws -> [[RunSegment]] {
    var runs: [[RunSegment]] = []
    var indexes: [String: Int] = [:]
    for reader in readers {
      for run in try reader.runs() {
        let segment = RunSegment(reader: reader, run: run)
        if let index = indexes[run.id] {
          runs[index].append(segment)
        } else {
          indexes[run.id] = runs.count
          runs.append([segment])
        }
      }
    }
    return runs
  }
}

/// All segments of a run, in order, without merging them.
extension [RunSegment] {
  /// The run according to its segments: the last one tells how it ended.
  package var whole: RunInfo? {
    guard var run = first?.run, let last = last?.run else { return nil }
    (run.end, run.ended, run.lastSeq) = (last.end, last.ended, last.lastSeq)
    return run
  }

  /// The total size of the segments.
  ///
  /// - Throws: `LogError`.
  package func totals() throws -> RunTotals {
    if count == 1 { return try self[0].reader.totals(of: self[0].run) }
    var totals = RunTotals(events: 0, tasks: 0, workers: 0, missing: 0)
    var (tasks, workers) = (Set<UInt64>(), Set<String>())
    var gaps: [String: [Range<Int64>]] = [:]
    for (place, part) in enumerated() {
      totals.events += try part.reader.eventCount(of: part.run)
      try part.reader.addTasks(of: part.run, to: &tasks)
      for info in try part.reader.sources(of: part.run) {
        if info.source.kind == .worker { workers.insert(info.source.id) }
        gaps[info.source.id, default: []] += try part.reader.gaps(
          of: info, place == 0 ? "TRUE" : "NOT (\(RunFiles.isEarlierSQL))")
      }
    }
    (totals.tasks, totals.workers) = (Int64(tasks.count), Int64(workers.count))
    totals.missing = gaps.values.reduce(0) { $0 + Self.length($1) }
    return totals
  }

  /// Number of events that were pruned from them to make room.
  ///
  /// - Throws: `LogError`.
  package func pruned() throws -> Int64 {
    var gaps: [String: [Range<Int64>]] = [:]
    for part in self {
      for info in try part.reader.sources(of: part.run) {
        gaps[info.source.id, default: []] += try part.reader.gaps(of: info, GapReason.isPrunedSQL)
      }
    }
    return gaps.values.reduce(0) { $0 + Self.length($1) }
  }

  /// Number of distinct seqs in ranges, some of which may be in several segments.
  private static func length(_ ranges: [Range<Int64>]) -> Int64 {
    var (length, end) = (Int64(0), Int64.min)
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      length += Swift.max(0, range.upperBound - Swift.max(end, range.lowerBound))
      end = Swift.max(end, range.upperBound)
    }
    return length
  }
}

extension LogReader {
  /// Hashes of the keys of a run.
  fileprivate func addTasks(of run: RunInfo, to tasks: inout Set<UInt64>) throws {
    try translating {
      let select = try connection.prepare(
        """
        SELECT text, typed FROM key WHERE id IN (SELECT key FROM event
          WHERE source IN (SELECT id FROM source WHERE run = \(run.number)))
        """)
      while try select.step() {
        tasks.insert(KeyHash.hash(of: Key(text: select.text(0), typed: select.text(1))))
      }
    }
  }

  /// The seqs of the events that are missing for reasons that match a condition.
  fileprivate func gaps(
    of info: SourceInfo, _ condition: String
  ) throws -> [Range<Int64>] {
    try translating {
      let select = try connection.prepare(
        """
        SELECT source_seq, count FROM gap
        WHERE source = \(info.number) AND count > 0 AND \(condition)
        """)
      var ranges: [Range<Int64>] = []
      while try select.step() {
        ranges.append(select.integer(0)..<select.integer(0) + select.integer(1))
      }
      return ranges
    }
  }
}
