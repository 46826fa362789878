import BrokerMessages
import EventLog
import LogFormat
import TaskLogPlugin

/// The combined content of several logs, for runs of which each log has a part.
package struct PartialRunAudit {
  /// The events of a run that are present, by source id, and the last number of each source, if it
  /// is known.
  struct Coverage {
    var sources: [String: IntegerRanges] = [:]
    var lasts: [String: Int64]?

    /// The number of events that are missing before the last present or known one of each source.
    var holes: Int64 {
      let ids = Set(sources.keys).union((lasts ?? [:]).keys)
      return ids.reduce(0) { sum, id in
        let ranges = sources[id] ?? IntegerRanges()
        let last = lasts?[id] ?? ranges.ranges.last?.upperBound ?? 0
        return ranges.holes(through: last).reduce(sum) { $0 + Int64($1.count) }
      }
    }
  }

  private var runs: [String: (coverage: Coverage, logs: [String], number: Int64, isLive: Bool)] =
    [:]
  /// Runs that one of the logs contains completely.
  private var whole: Set<String> = []

  package init() {}

  /// - Throws: `LogError`.
  package mutating func add(_ reader: LogReader) throws {
    for run in try reader.runs() {
      guard run.isPartial else {
        whole.insert(run.id)
        continue
      }
      let coverage = try reader.translating { try Self.coverage(of: run, reader.connection) }
      var known = runs[run.id] ?? (Coverage(), [], run.number, false)
      for (id, ranges) in coverage.sources {
        for range in ranges.ranges {
          known.coverage.sources[id, default: IntegerRanges()].insert(range)
        }
      }
      known.coverage.lasts = known.coverage.lasts ?? coverage.lasts
      known.logs.append(reader.path)
      known.isLive = known.isLive || run.end == .running
      runs[run.id] = known
    }
  }

  static func coverage(of run: RunInfo, _ connection: Connection) throws -> Coverage {
    let select = try connection.prepare("SELECT id, server_id FROM source WHERE run = ?")
    try select.bind(1, run.number)
    var coverage = Coverage()
    while try select.step() {
      coverage.sources[select.text(1)] = try connection.coverage(ofSource: select.integer(0))
    }
    coverage.lasts = run.lastSourceSeqs.map { lasts in
      Dictionary(lasts.map { ($0.id, $0.last) }) { first, _ in first }
    }
    return coverage
  }

  /// Events that are in none of the logs, for runs that are in several of them, each with those
  /// logs.
  package var findings: [(finding: Finding, logs: [String])] {
    runs.sorted { $0.key < $1.key }.compactMap { id, run in
      guard run.logs.count > 1, !whole.contains(id), !run.isLive else { return nil }
      let holes = run.coverage.holes
      guard holes > 0 || run.coverage.lasts == nil else { return nil }
      let what =
        holes > 0
        ? "\(holes) events of run \(id) are in none of the logs" : "all known events are there"
      return (
        Finding(
          .inNoLog, run: run.number, count: max(1, holes), place: "run \(id)",
          detail: what + (run.coverage.lasts == nil ? ", and none knows its end" : "")
            + "; another recorder may have a log of it, or still have it to come"), run.logs
      )
    }
  }
}
