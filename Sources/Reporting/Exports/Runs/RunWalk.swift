import EventLog
import TaskLogPlugin

/// What is done with the events and attempts of a run.
protocol RunVisitor {
  /// Comes for each event, in causal order.
  ///
  /// - Parameters:
  ///   - time: by the scheduler's clock, as far as the log tells how workers' clocks differ.
  ///   - facts: what the end of a task tells of its run.
  mutating func visit(_ recorded: RecordedEvent, time: Int64, facts: RunArgs?) throws
  /// Comes for each attempt at its end, and for those without one at the end of the run.
  mutating func visit(_ attempt: Attempt) throws
}

/// Goes through a run once.
struct RunWalk {
  let reader: LogReader
  let run: RunInfo
  let sources: [SourceInfo]

  init(_ reader: LogReader, _ run: RunInfo) throws {
    self.reader = reader
    self.run = run
    sources = try reader.sources(of: run)
  }

  func go(
    _ visitor: inout some RunVisitor, _ tally: inout ExportTally, progress: (Int64) -> Void
  ) throws {
    let cursor = try reader.events(of: run, order: .causal)
    var tracker = AttemptTracker(sources: sources)
    var clocks = ClockOffsets(sources: sources)
    var count: Int64 = 0
    while let recorded = try cursor.nextEvent() {
      count += 1
      if count & 4095 == 0 { progress(tally.events + count) }
      let time = clocks.time(of: recorded)
      let facts = facts(of: recorded)
      try visitor.visit(recorded, time: time, facts: facts)
      tracker.take(recorded, time: time, facts: facts)
      if !tracker.ended.isEmpty { try give(&tracker, to: &visitor) }
    }
    tracker.finish()
    try give(&tracker, to: &visitor)
    tally.events += count
    tally.damaged += cursor.damagedCount
    tally.outOfOrder += cursor.forcedCount
  }

  private func facts(of recorded: RecordedEvent) -> RunArgs? {
    guard recorded.event.hook == .transition, !recorded.event.args.isAbsent,
      recorded.event.finish == .memory || recorded.event.finish == .erred
    else { return nil }
    return RunArgs(recorded.event.args.json)
  }

  private func give(_ tracker: inout AttemptTracker, to visitor: inout some RunVisitor) throws {
    for attempt in tracker.ended { try visitor.visit(attempt) }
    tracker.ended.removeAll(keepingCapacity: true)
  }
}

/// How far each worker's clock is behind the scheduler's, as workers of Dask tell from time to time.
struct ClockOffsets {
  private let workers: Set<Int64>
  private var offsets: [Int64: Int64] = [:]

  init(sources: [SourceInfo]) {
    workers = Set(sources.filter { $0.source.kind == .worker }.map(\.number))
  }

  /// The time of an event by the scheduler's clock.
  mutating func time(of recorded: RecordedEvent) -> Int64 {
    let event = recorded.event
    guard workers.contains(recorded.source) else { return event.time }
    if event.hook == .stimulus, event.args.json.hasPrefix(#"{"op":"clock-offset""#),
      let seconds = event.args["scheduler_delay"]?.number
    {
      offsets[recorded.source] = WorkSpan.nanoseconds(seconds)
    }
    guard !offsets.isEmpty, let offset = offsets[recorded.source] else { return event.time }
    let (time, overflows) = event.time.addingReportingOverflow(offset)
    return overflows ? event.time : time
  }
}
