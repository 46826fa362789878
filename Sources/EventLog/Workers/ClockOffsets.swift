import TaskLogPlugin

/// By how much the clocks of a run's workers are behind the scheduler's, as in the view
/// `clock_offsets`: makes times of different sources comparable.
///
/// Dask's workers measure it with each heartbeat. A worker that has not measured it keeps its own
/// times.
package struct ClockOffsets: Sendable {
  struct Step: Sendable {
    /// Valid from this event of the source on.
    var sourceSeq: Int64
    var offset: Int64
    var uncertainty: Int64
  }

  private var steps: [Int64: [Step]] = [:]
  /// Whether any clock is off: most are not.
  package private(set) var isAnyOff = false

  package init() {}

  mutating func add(_ step: Step, ofSource source: Int64) {
    steps[source, default: []].append(step)
    if step.offset != 0 { isAnyOff = true }
  }

  /// The time of a source's event by the scheduler's clock, in nanoseconds since 1970 UTC.
  @inline(__always)
  package func time(_ time: Int64, source: Int64, sourceSeq: @autoclosure () -> Int64) -> Int64 {
    isAnyOff ? corrected(time, source, sourceSeq()) : time
  }

  /// The time of an event by the scheduler's clock.
  package func time(of recorded: RecordedEvent) -> Int64 {
    time(recorded.event.time, source: recorded.source, sourceSeq: recorded.sourceSeq)
  }

  /// Whether Dask's workers report times of an action by their own clock; all other times are by
  /// the scheduler's.
  package static func isByOwnClock(_ action: String) -> Bool {
    action == "disk-read" || action == "disk-write"
  }

  /// Whether the clock of a source was measured.
  package func isKnown(ofSource source: Int64) -> Bool { steps[source] != nil }

  /// The last measured offset of a source's clock, in nanoseconds.
  package func last(ofSource source: Int64) -> (offset: Int64, uncertainty: Int64)? {
    steps[source]?.last.map { ($0.offset, $0.uncertainty) }
  }

  private func corrected(_ time: Int64, _ source: Int64, _ sourceSeq: Int64) -> Int64 {
    guard let steps = steps[source] else { return time }
    // There are few, and nearly always the last one applies.
    guard let step = steps.last(where: { $0.sourceSeq <= sourceSeq }) else { return time }
    let (sum, overflows) = time.addingReportingOverflow(step.offset)
    return overflows ? time : sum
  }
}

extension LogReader {
  /// The clocks of a run's workers.
  ///
  /// - Throws: `LogError`.
  package func clockOffsets(of run: RunInfo) throws -> ClockOffsets {
    try translating {
      try makeDerivedTables()
      let select = try connection.prepare(
        """
        SELECT source, source_seq, offset, uncertainty FROM clock_offset
        WHERE source IN (SELECT id FROM source WHERE run = ?) ORDER BY source, source_seq
        """)
      try select.bind(1, run.number)
      var clocks = ClockOffsets()
      while try select.step() {
        clocks.add(
          .init(
            sourceSeq: select.integer(1), offset: select.integer(2),
            uncertainty: select.integer(3)), ofSource: select.integer(0))
      }
      return clocks
    }
  }

  /// The workers of a run whose clocks were not measured although they are on other machines: their
  /// times are by their own clocks.
  ///
  /// - Throws: `LogError`.
  package func workersWithoutClock(of run: RunInfo) throws -> [Source] {
    // The workers of our own engine are threads in the scheduler's process.
    guard run.engine != "tasklog" else { return [] }
    let clocks = try clockOffsets(of: run)
    return try sources(of: run)
      .filter { $0.source.kind == .worker && !clocks.isKnown(ofSource: $0.number) }
      .map(\.source)
  }
}

/// The time of a row of `event` by the scheduler's clock, as in the views.
enum ClockSQL {
  static func time(of event: String) -> String {
    """
    \(event).time + coalesce((SELECT offset FROM clock_offset
      WHERE clock_offset.source = \(event).source
        AND clock_offset.source_seq <= \(event).source_seq
      ORDER BY clock_offset.source_seq DESC LIMIT 1), 0)
    """
  }
}
