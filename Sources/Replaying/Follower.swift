import EventLog

/// Takes a replay on with what is still being recorded.
///
/// Events of a worker may reach the log later than those of the scheduler that they cause. So that
/// cause comes before effect, an event is given out only when it has been in the log for a while: its
/// cause is there by then, and is waited for. A cause that comes later than that holds nothing up.
struct Follower {
  struct News {
    /// Sources that were not there before.
    var sources: [SourceInfo]
    var isCancelled = false
  }

  /// How often the log is looked at for something new. Well below what people notice.
  private static let pause = Duration.milliseconds(30)

  private let reader: LogReader
  private let run: Int64
  private let patience: Duration
  private let clock = ContinuousClock()
  /// How far the log went at a moment, the oldest first.
  private var marks: [(moment: ContinuousClock.Instant, seq: Int64)] = []
  private var horizon: Int64 = 0
  private var isOver = false

  init(reader: LogReader, run: RunInfo, patience: Duration) {
    self.reader = reader
    self.patience = patience
    self.run = run.number
  }

  /// Waits until there is more, and lets the cursor go on with it.
  ///
  /// - Returns: nothing when the run has ended and all of it has been given out.
  /// - Throws: `LogError`.
  mutating nonisolated(nonsending) func next(
    _ cursor: EventCursor, _ isCancelled: () -> Bool
  ) async throws -> News? {
    while !isOver {
      // Whether it goes on is asked before the last look, so that nothing is left behind. Sources are
      // read after the events that they belong to.
      guard let info = try reader.runs().first(where: { $0.number == run }) else { return nil }
      isOver = info.end != .running
      let seen = try isOver ? reader.runs().first { $0.number == run } ?? info : info
      let last = seen.lastSeq ?? 0
      let known = cursor.sources
      let sources = try reader.sources(of: seen).filter { known[$0.number] == nil }
      let reach = reach(last)
      if reach > horizon || isOver || !sources.isEmpty {
        horizon = max(horizon, reach)
        cursor.goOn(to: last, givingUpTo: horizon, sources: sources, isOver: isOver)
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

  /// Up to where events have waited long enough.
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
