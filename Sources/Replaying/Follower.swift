import EventLog

/// Continues a replay with events that are still being recorded.
///
/// Events of a worker may reach the log later than the scheduler events that they cause. To keep
/// causes before effects, an event is emitted only after it has been in the log for a while: by
/// then its cause is there or is awaited. A cause that arrives later blocks nothing.
struct Follower {
  struct News {
    /// Sources that are new.
    var sources: [SourceInfo]
    var isCancelled = false
  }

  /// The polling interval of the log, well below what people notice.
  private static let pause = Duration.milliseconds(30)

  private let reader: LogReader
  private let run: Int64
  private let patience: Duration
  private let clock = ContinuousClock()
  /// The last seq in the log at points in time, the oldest first.
  private var marks: [(moment: ContinuousClock.Instant, seq: Int64)] = []
  private var horizon: Int64 = 0
  private var isOver = false

  init(reader: LogReader, run: RunInfo, patience: Duration) {
    self.reader = reader
    self.patience = patience
    self.run = run.number
  }

  /// Waits for more events and advances the cursor to them.
  ///
  /// - Returns: `nil` if the run has ended and all its events have been emitted.
  /// - Throws: `LogError`.
  mutating nonisolated(nonsending) func next(
    _ cursor: EventCursor, _ isCancelled: () -> Bool
  ) async throws -> News? {
    while !isOver {
      // Whether the run is still live is read before its last seq, so that no event is missed.
      // Sources are read after the events that belong to them.
      guard let info = try reader.runs().first(where: { $0.number == run }) else { return nil }
      isOver = info.end != .running
      let latest = try isOver ? reader.runs().first { $0.number == run } ?? info : info
      let last = latest.lastSeq ?? 0
      let knownSources = cursor.sources
      let sources = try reader.sources(of: latest).filter { knownSources[$0.number] == nil }
      let reach = reach(last)
      if reach > horizon || isOver || !sources.isEmpty {
        horizon = max(horizon, reach)
        cursor.advance(to: last, emittingThrough: horizon, sources: sources, isOver: isOver)
        return News(sources: sources)
      }
      if isCancelled() { return News(sources: [], isCancelled: true) }
      do {
        try await Task.sleep(for: Self.pause)
      } catch {
        return News(sources: [], isCancelled: true)
      }
    }
    return nil
  }

  /// The last seq of the events that have waited long enough.
  private mutating func reach(_ last: Int64) -> Int64 {
    if isOver { return last }
    let now = clock.now
    if marks.last?.seq ?? 0 < last { marks.append((now, last)) }
    var reach: Int64 = 0
    while let mark = marks.first, mark.moment.advanced(by: patience) <= now {
      reach = mark.seq
      marks.removeFirst()
    }
    return reach
  }
}
