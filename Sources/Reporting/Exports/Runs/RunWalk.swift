import EventLog
import LogAnalysis
import TaskLogPlugin

/// A visitor of the events and attempts of a run.
protocol RunVisitor {
  /// Called for each event, in causal order. If several workers used one address, events and
  /// attempts have `RunWalk.label` instead of the address.
  ///
  /// - Parameters:
  ///   - time: the time by the scheduler's clock, as far as the log has clock offsets.
  ///   - runArgs: the args of the end of a task.
  mutating func visit(_ recorded: RecordedEvent, time: Int64, runArgs: RunArgs?) throws
  /// Called for each attempt at its end, and at the end of the run for those without an end.
  mutating func visit(_ attempt: Attempt) throws
}

/// Traverses a run once.
struct RunWalk {
  let reader: LogReader
  let run: RunInfo
  /// The sources that are in the scope.
  let sources: [SourceInfo]
  /// The part of the run that visitors get; `nil` for all of it.
  let scope: RunScope?
  private let allSources: [SourceInfo]
  private let clocks: ClockOffsets
  private let lives: WorkerLives
  /// Whether an address can mean several workers.
  private let hasReusedAddresses: Bool
  private let schedulers: Set<Int64>
  private let failures: RunFailures
  /// Exceptions that are not in the args, by seq.
  private let texts: [Int64: String]

  init(_ reader: LogReader, _ run: RunInfo, _ scope: RunScope?) throws {
    self.reader = reader
    self.run = run
    self.scope = scope
    allSources = try reader.sources(of: run)
    sources = allSources.filter { info in
      switch info.source.kind {
      case .scheduler: true
      case .worker: scope?.includes(source: info.number) ?? true
      // It has no task and no place.
      case .command: false
      }
    }
    clocks = try reader.clockOffsets(of: run)
    lives = try reader.workerLives(of: run)
    hasReusedAddresses = lives.hasSeveralAtOneAddress
    failures = try reader.failures(of: run)
    texts = try failures.textsBesideArgs()
    schedulers = Set(sources.filter { $0.source.kind == .scheduler }.map(\.number))
  }

  /// The label of a source: its address, with a number if it is not the first worker there.
  func label(of source: SourceInfo) -> String {
    guard hasReusedAddresses, let life = lives.place(ofSource: source.number) else {
      return source.source.address
    }
    return lives.label(life)
  }

  /// The address in a worker's label.
  func address(ofLabel label: String) -> String {
    guard hasReusedAddresses,
      let index = lives.lives.indices.first(where: { lives.label($0) == label })
    else { return label }
    return lives.lives[index].address
  }

  private func label(_ address: String, at seq: Int64) -> String {
    lives.place(address, at: seq).map { lives.label($0) } ?? address
  }

  /// Converts spans of work to the scheduler's clock.
  private func clocked(_ runArgs: RunArgs?, at seq: Int64) -> RunArgs? {
    guard clocks.isAnyOff, run.engine == "dask", var runArgs, let worker = runArgs.worker,
      let source = lives.place(worker, at: seq).flatMap({ lives.lives[$0].source }),
      let offset = clocks.last(ofSource: source)?.offset
    else { return runArgs }
    for index in runArgs.spans.indices
    where ClockOffsets.isByOwnClock(runArgs.spans[index].action) {
      runArgs.spans[index].start += offset
      runArgs.spans[index].stop = runArgs.spans[index].stop.map { $0 + offset }
    }
    return runArgs
  }

  /// Replaces the addresses in an event of the scheduler by the label of the worker that was there
  /// at that time.
  private func labelled(
    _ recorded: RecordedEvent, _ runArgs: RunArgs?
  ) -> (event: RecordedEvent, runArgs: RunArgs?) {
    guard hasReusedAddresses, schedulers.contains(recorded.source) else {
      return (recorded, runArgs)
    }
    var (recorded, runArgs) = (recorded, runArgs)
    let seq = recorded.seq
    if let worker = recorded.event.worker { recorded.event.worker = label(worker, at: seq) }
    if let worker = runArgs?.worker { runArgs?.worker = label(worker, at: seq) }
    if var spans = runArgs?.spans {
      for index in spans.indices {
        spans[index].source = spans[index].source.map { label($0, at: seq) }
      }
      runArgs?.spans = spans
    }
    return (recorded, runArgs)
  }

  func traverse(
    _ visitor: inout some RunVisitor, _ tally: inout ExportTally, progress: (Int64) -> Void
  ) throws {
    var filter = WalkFilter(scope, lives)
    let cursor = try reader.events(of: run, order: .causal)
    var tracker = AttemptTracker(
      workers: Dictionary(
        allSources.filter { $0.source.kind == .worker }.map { ($0.number, label(of: $0)) },
        uniquingKeysWith: { $1 }), schedulers: schedulers)
    var count: Int64 = 0
    while let next = try cursor.nextEvent() {
      count += 1
      if count & 4095 == 0 { progress(tally.events + count) }
      guard filter.isNeeded(next) else { continue }
      let time = clocks.time(of: next)
      if let graph = filter.graph(of: next) {
        try visitor.visit(graph, time: clocks.time(of: graph), runArgs: nil)
      }
      let (recorded, runArgs) = labelled(next, clocked(try self.runArgs(of: next), at: next.seq))
      if filter.passes(next, time: time) {
        try visitor.visit(recorded, time: time, runArgs: runArgs)
      }
      tracker.apply(recorded, time: time, runArgs: runArgs)
      if !tracker.ended.isEmpty { try emitAttempts(&tracker, to: &visitor, filter) }
    }
    tracker.finish()
    try emitAttempts(&tracker, to: &visitor, filter)
    tally.events += count
    tally.damaged += cursor.damagedCount
    tally.outOfOrder += cursor.outOfOrderCount
  }

  private func runArgs(of recorded: RecordedEvent) throws -> RunArgs? {
    let event = recorded.event
    guard event.hook == .transition, event.finish == .memory || event.finish == .erred else {
      return nil
    }
    let args = event.args.isAbsent ? nil : RunArgs(event.args.json)
    guard event.finish == .erred else { return args }
    var runArgs = args ?? RunArgs()
    runArgs.exception = runArgs.exception ?? texts[recorded.seq]
    runArgs.blamed = try failures.blamed(at: recorded.seq)
    return runArgs
  }

  private func emitAttempts(
    _ tracker: inout AttemptTracker, to visitor: inout some RunVisitor, _ filter: WalkFilter
  ) throws {
    for attempt in tracker.ended where filter.cut(attempt) { try visitor.visit(attempt) }
    tracker.ended.removeAll(keepingCapacity: true)
  }
}
