import LogFormat
import TaskLogPlugin

/// How a run has ended. Every command distinguishes these three.
public enum RunEnd: String, Sendable {
  /// The recorder has recorded the end.
  case closed
  /// The recorder is gone without recording the end.
  case died
  /// The recorder is alive.
  case running

  /// The time of the last event of `run` by the scheduler's clock, from the last event of each of
  /// its sources.
  package static let timeOfLastEventSQL = """
    SELECT max((SELECT \(ClockSQL.time(of: "event")) FROM event WHERE event.source = source.id
      ORDER BY source_seq DESC LIMIT 1)) FROM source WHERE source.run = run.id
    """
}

/// What a log says about one of its runs.
public struct RunInfo: Sendable {
  /// The row ID in this file, as in `#3`.
  public var number: Int64
  /// The UUIDv7 that identifies it everywhere.
  public var id: String
  public var engine: String
  public var engineVersion: String
  public var recorderVersion: String
  public var mode: String
  /// Nanoseconds since 1970 UTC.
  public var started: Int64
  /// Nanoseconds since 1970 UTC; for a run that died, the time of its last event.
  public var ended: Int64?
  public var end: RunEnd
  /// Whether the log itself says how it ended.
  package var isEndInLog = true
  public var firstSeq: Int64?
  public var lastSeq: Int64?
  public var metadata: Value

  /// The length of the range of its event numbers: it has at most as many events.
  package var seqCount: Int64 { firstSeq.map { max(0, (lastSeq ?? $0) - $0 + 1) } ?? 0 }

  /// When this log was copied from the one that the run was still recorded into, in nanoseconds since
  /// 1970 UTC; `nil` if it is no such copy, or knows how the run ended.
  package var asOf: Int64? {
    end == .died ? metadata[RunMetadataKey.copied]?.int : nil
  }

  /// The same if the run was alive then and a later copy is not overdue.
  package var runningAsOf: Int64? { isOverdue(at: Clock.now()) ? nil : asOf }

  /// A copy that is renewed regularly and is older than so many intervals is not renewed any more: the
  /// run has died, or its copies do not arrive.
  package static let intervalsUntilOverdue: Int64 = 10

  private func isOverdue(at now: Int64) -> Bool {
    guard let asOf, let interval = metadata[RunMetadataKey.copyInterval]?.int else { return false }
    let (limit, overflow) = interval.multipliedReportingOverflow(by: Self.intervalsUntilOverdue)
    return !overflow && now.subtractingReportingOverflow(asOf).partialValue > limit
  }

  /// How it ended as far as this log can tell: a copy may have been made before the end.
  package var apparentEnd: RunEnd { runningAsOf == nil ? end : .running }

  /// Whether its recorder died, as far as this log can tell.
  package var hasDied: Bool { end == .died && runningAsOf == nil }
}

/// The size of a run.
public struct RunTotals: Sendable {
  public var events: Int64
  public var tasks: Int64
  public var workers: Int64
  /// Number of events known to be missing.
  public var missing: Int64
}

/// A source with its row ID in the file.
public struct SourceInfo: Sendable {
  public var number: Int64
  public var run: Int64
  public var source: Source
}
