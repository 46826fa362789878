import EventLog
import LogAnalysis
import TaskLogPlugin

/// What is done with the events and attempts of a run.
protocol RunVisitor {
  /// Comes for each event, in causal order. Where several workers were at one address, events and
  /// attempts have `RunWalk.label` in its place.
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
  private let clocks: ClockOffsets
  private let lives: WorkerLives
  /// Whether an address alone does not tell which worker is meant.
  private let hasSeveral: Bool
  private let schedulers: Set<Int64>
  private let failures: RunFailures
  /// Exceptions that the args do not have, by event.
  private let texts: [Int64: String]

  init(_ reader: LogReader, _ run: RunInfo) throws {
    self.reader = reader
    self.run = run
    sources = try reader.sources(of: run)
    clocks = try reader.clockOffsets(of: run)
    lives = try reader.workerLives(of: run)
    hasSeveral = lives.hasSeveralAtOneAddress
    failures = try reader.failures(of: run)
    texts = try failures.textsBesideArgs()
    schedulers = Set(sources.filter { $0.source.kind == .scheduler }.map(\.number))
  }

  /// How a source is called: its address, with a number when it is not the first worker there.
  func label(of source: SourceInfo) -> String {
    guard hasSeveral, let place = lives.place(ofSource: source.number) else {
      return source.source.address
    }
    return lives.label(place)
  }

  /// The address in what `label` or a visit calls a worker.
  func address(ofLabel label: String) -> String {
    guard hasSeveral, let place = lives.lives.indices.first(where: { lives.label($0) == label })
    else { return label }
    return lives.lives[place].address
  }

  private func label(_ address: String, at seq: Int64) -> String {
    lives.place(address, at: seq).map { lives.label($0) } ?? address
  }

  /// Spans of work by the scheduler's clock.
  private func clocked(_ facts: RunArgs?, at seq: Int64) -> RunArgs? {
    guard clocks.isAnyOff, run.engine == "dask", var facts, let worker = facts.worker,
      let source = lives.place(worker, at: seq).flatMap({ lives.lives[$0].source }),
      let offset = clocks.last(ofSource: source)?.offset
    else { return facts }
    for place in facts.spans.indices
    where ClockOffsets.isByOwnClock(facts.spans[place].action) {
      facts.spans[place].start &+= offset
      facts.spans[place].stop = facts.spans[place].stop.map { $0 &+ offset }
    }
    return facts
  }

  /// What the scheduler calls by an address, by the name of the worker that was there then.
  private func name(
    _ recorded: RecordedEvent, _ facts: RunArgs?
  ) -> (event: RecordedEvent, facts: RunArgs?) {
    guard hasSeveral, schedulers.contains(recorded.source) else { return (recorded, facts) }
    var (recorded, facts) = (recorded, facts)
    let seq = recorded.seq
    if let worker = recorded.event.worker { recorded.event.worker = label(worker, at: seq) }
    if let worker = facts?.worker { facts?.worker = label(worker, at: seq) }
    if var spans = facts?.spans {
      for place in spans.indices {
        spans[place].source = spans[place].source.map { label($0, at: seq) }
      }
      facts?.spans = spans
    }
    return (recorded, facts)
  }

  func go(
    _ visitor: inout some RunVisitor, _ tally: inout ExportTally, progress: (Int64) -> Void
  ) throws {
    let cursor = try reader.events(of: run, order: .causal)
    var tracker = AttemptTracker(
      workers: Dictionary(
        sources.filter { $0.source.kind == .worker }.map { ($0.number, label(of: $0)) },
        uniquingKeysWith: { $1 }), schedulers: schedulers)
    var count: Int64 = 0
    while let given = try cursor.nextEvent() {
      count += 1
      if count & 4095 == 0 { progress(tally.events + count) }
      let time = clocks.time(of: given)
      let (recorded, facts) = name(given, clocked(try self.facts(of: given), at: given.seq))
      try visitor.visit(recorded, time: time, facts: facts)
      tracker.take(recorded, time: time, facts: facts)
      if !tracker.ended.isEmpty { try give(&tracker, to: &visitor) }
    }
    tracker.finish()
    try give(&tracker, to: &visitor)
    tally.events += count
    tally.damaged += cursor.damagedCount
    tally.outOfOrder += cursor.outOfOrderCount
  }

  private func facts(of recorded: RecordedEvent) throws -> RunArgs? {
    let event = recorded.event
    guard event.hook == .transition, event.finish == .memory || event.finish == .erred else {
      return nil
    }
    let args = event.args.isAbsent ? nil : RunArgs(event.args.json)
    guard event.finish == .erred else { return args }
    var facts = args ?? RunArgs()
    facts.exception = facts.exception ?? texts[recorded.seq]
    facts.blamed = try failures.blamed(at: recorded.seq)
    return facts
  }

  private func give(_ tracker: inout AttemptTracker, to visitor: inout some RunVisitor) throws {
    for attempt in tracker.ended { try visitor.visit(attempt) }
    tracker.ended.removeAll(keepingCapacity: true)
  }
}
