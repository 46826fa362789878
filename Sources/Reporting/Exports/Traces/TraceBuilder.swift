import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

/// Draws a run: slices for work, arrows for dependencies, counters, and marks for failures, gaps,
/// graphs and the lifetimes of workers.
struct TraceBuilder<Writer: TraceWriter>: RunVisitor {
  var writer: Writer
  /// The counts of the drawn slices, arrows and so on.
  private(set) var figures = TraceCounts()

  private let walk: RunWalk
  private let scheduler: String
  private let dependencies: DependencyIndex
  private let runHash: UInt64
  private let schedulers: Set<Int64>
  private let window: TimeWindow
  private(set) var processes: TraceProcesses
  private var counters: RunCounters
  /// The index of each key among the tasks with dependencies, plus one; -1 for none.
  private var taskOf = IntegersByKey<Int32>()
  /// Whether a task has a slice at which arrows start, or end: only its first slice has.
  private var hasOutgoingFlows: [Bool]
  private var hasIncomingFlows: [Bool]
  /// Workers that have joined and not left, with the time of joining.
  private var joined: [(address: String, since: Int64, threads: Int64?)] = []

  init(
    _ writer: Writer, walk: RunWalk, dependencies: DependencyIndex, name: String, after: Int32
  ) {
    self.writer = writer
    self.walk = walk
    self.dependencies = dependencies
    window = walk.scope?.window ?? TimeWindow()
    scheduler =
      walk.sources.first { $0.source.kind == .scheduler }?.source.address ?? "no scheduler"
    schedulers = Set(walk.sources.filter { $0.source.kind == .scheduler }.map(\.number))
    runHash = KeyHash.hash(of: Key(walk.run.id))
    processes = TraceProcesses(
      prefix: name, after: after, sources: walk.sources, label: walk.label(of:))
    counters = RunCounters(walk, scheduler: scheduler)
    hasOutgoingFlows = [Bool](repeating: false, count: dependencies.count)
    hasIncomingFlows = hasOutgoingFlows
  }

  /// Draws the whole run.
  mutating func draw(_ tally: inout ExportTally, progress: (Int64) -> Void) throws {
    for source in walk.sources { _ = processes.process(walk.label(of: source), &writer) }
    try drawGaps()
    try walk.traverse(&self, &tally, progress: progress)
    for worker in joined { drawLife(worker, until: window.stop == .max ? nil : window.stop) }
    counters.finish(&writer)
    try drawResources()
    tally.written.add(figures)
  }

  private mutating func drawGaps() throws {
    let labels = Dictionary(
      walk.sources.map { ($0.number, walk.label(of: $0)) }
    ) { first, _ in first }
    for gap in try walk.reader.gaps(of: walk.run)
    where window.contains(gap.time) && labels[gap.source] != nil {
      let track = processes.track(
        .gaps, "gaps", of: labels[gap.source] ?? scheduler, &writer)
      writer.instant(
        "gap", at: gap.time, category: "gap",
        [.number(.count, gap.count), .text(.reason, gap.reason)], on: track)
      figures.gaps += 1
    }
  }

  /// Draws what workers measured of themselves as counters.
  private mutating func drawResources() throws {
    let lives = try walk.reader.workerLives(of: walk.run)
    try walk.reader.forEachSample(of: walk.run, in: walk.scope) { sample in
      let label = lives.label(sample.worker)
      for (metric, name, isBytes, scale) in Self.resourceCounters {
        guard let value = sample[metric].flatMap({ Int64(exactly: ($0 * scale).rounded()) }) else {
          continue
        }
        let track = processes.track(
          .resources, name, kind: .counter(isBytes: isBytes), of: label, &writer)
        writer.count(value, at: sample.time, on: track)
      }
      try writer.flushIfLarge()
    }
  }

  private static var resourceCounters: [(WorkerSample.Metric, String, Bool, Double)] {
    [
      (.memory, "memory of the process", true, 1), (.managed, "results in memory", true, 1),
      (.spilled, "spilled to disk", true, 1), (.cpu, "CPU (%)", false, 1),
      (.netRead, "network read per second", true, 1),
      (.netWrite, "network written per second", true, 1),
      (.diskRead, "disk read per second", true, 1),
      (.diskWrite, "disk written per second", true, 1),
      (.gil, "GIL held (%)", false, 100), (.eventLoop, "event loop interval (µs)", false, 1e6),
    ]
  }

  // MARK: - Events

  mutating func visit(_ recorded: RecordedEvent, time: Int64, runArgs: RunArgs?) throws {
    guard schedulers.contains(recorded.source) else { return }
    let event = recorded.event
    // What was before a time window is drawn at its start.
    guard time <= window.stop else { return }
    let isWithin = time >= window.start
    let time = max(time, window.start)
    counters.apply(recorded, time, runArgs, &processes, &writer)
    switch event.hook {
    case .transition where event.finish == .erred && event.start != .erred && isWithin:
      drawFailure(recorded, time, runArgs ?? RunArgs())
    case .updateGraph where isWithin:
      let track = processes.track(.graphs, "graphs", of: scheduler, &writer)
      writer.instant(
        "update-graph", at: time, category: "graph",
        event.stimulusID.map { [.text(.stimulus, $0)] } ?? [], on: track)
      figures.graphs += 1
    case .addWorker: join(event, time)
    case .removeWorker:
      if let index = joined.firstIndex(where: { $0.address == event.worker }) {
        let worker = joined.remove(at: index)
        if isWithin { drawLife(worker, until: time) }
      }
    default: break
    }
    try writer.flushIfLarge()
  }

  private mutating func join(_ event: Event, _ time: Int64) {
    guard let address = event.worker else { return }
    var (name, threads): (Value, Int64?) = (.null, nil)
    if case .worker(let snapshot) = event.snapshot.decoded {
      (name, threads) = (snapshot.name, Int64(snapshot.nthreads))
    }
    _ = processes.process(address, name: name, &writer)
    // If a worker joins again without having left, its leaving is lost in a gap.
    if let index = joined.firstIndex(where: { $0.address == address }) {
      drawLife(joined.remove(at: index), until: time)
    }
    joined.append((address, time, threads))
  }

  private mutating func drawLife(
    _ worker: (address: String, since: Int64, threads: Int64?), until time: Int64?
  ) {
    let track = processes.track(.life, "life", of: worker.address, &writer)
    var slice = TraceSlice(
      name: "worker", category: "worker", start: worker.since,
      stop: time.map { max($0, worker.since) })
    slice.details = [.text(.address, walk.address(ofLabel: worker.address))]
    if let threads = worker.threads { slice.details.append(.number(.threads, threads)) }
    writer.slice(slice, on: track)
    figures.lives += 1
  }

  private mutating func drawFailure(
    _ recorded: RecordedEvent, _ time: Int64, _ runArgs: RunArgs
  ) {
    guard let key = recorded.event.key else { return }
    let track = processes.track(.failures, "failures", of: scheduler, &writer)
    var details = [TraceDetail.text(.key, key.text)]
    if let worker = runArgs.worker { details.append(.text(.worker, worker)) }
    if let exception = runArgs.exception { details.append(.text(.exception, exception)) }
    if let traceback = runArgs.traceback { details.append(.text(.traceback, traceback)) }
    if let blamed = runArgs.blamed { details.append(.text(.cause, blamed)) }
    writer.instant(key.prefix, at: time, category: "failure", details, on: track)
    figures.failures += 1
  }

  // MARK: - Attempts

  mutating func visit(_ attempt: Attempt) throws {
    let worker = attempt.worker ?? scheduler
    let spans = attempt.spans
    guard !spans.isEmpty else { return }
    let prefix = attempt.key.prefix
    let hasFailed = attempt.outcome == .erred || attempt.exception != nil
    // Arrows connect the last compute spans.
    let main = spans.lastIndex { $0.action == "compute" }
    for (index, span) in spans.enumerated() {
      let isMain = index == main
      var slice = TraceSlice(
        name: span.action == "compute" ? prefix : "\(span.action)-\(prefix)",
        category: hasFailed && isMain ? "\(span.action),failed" : span.action,
        hasFailed: hasFailed && isMain, start: span.start, stop: span.stop)
      slice.details = details(attempt, span, isMain: isMain)
      if isMain { addFlows(attempt, to: &slice) }
      let track = processes.track(
        for: span, thread: attempt.runArgs.thread, of: worker, &writer)
      writer.slice(slice, on: track)
      figures.slices += 1
      if span.stop == nil { figures.openSlices += 1 }
      if slice.hasFailed { figures.failedSlices += 1 }
    }
    try writer.flushIfLarge()
  }

  private func details(_ attempt: Attempt, _ span: WorkSpan, isMain: Bool) -> [TraceDetail] {
    var details = [TraceDetail.text(.key, attempt.key.text)]
    if let source = span.source { details.append(.text(.from, source)) }
    guard isMain else { return details }
    if attempt.number != 1 { details.append(.number(.attempt, attempt.number)) }
    switch attempt.outcome {
    case .memory: break
    case .erred: details.append(.text(.outcome, "erred"))
    case .other(let state): details.append(.text(.outcome, state.name))
    case .unfinished: details.append(.text(.outcome, "unfinished"))
    }
    if let nbytes = attempt.runArgs.nbytes { details.append(.number(.bytes, nbytes)) }
    if let type = attempt.runArgs.typeName { details.append(.text(.type, type)) }
    if let exception = attempt.exception { details.append(.text(.exception, exception.text)) }
    return details
  }

  // MARK: - Dependencies

  private mutating func task(_ attempt: Attempt) -> Int? {
    switch taskOf[attempt.keyNumber] {
    case 0:
      let task = dependencies.task(hash: KeyHash.hash(of: attempt.key))
      taskOf[attempt.keyNumber] = task.map { Int32(truncatingIfNeeded: $0 + 1) } ?? -1
      return task
    case let index where index > 0: return Int(index - 1)
    default: return nil
    }
  }

  /// Arrows start at the first result of a task, and end at its first attempt.
  private mutating func addFlows(_ attempt: Attempt, to slice: inout TraceSlice) {
    guard attempt.number > 0, let task = task(attempt) else { return }
    if !hasIncomingFlows[task] {
      hasIncomingFlows[task] = true
      slice.flowsTo = dependencies.dependencies(of: task).map { flow(from: Int($0), to: task) }
      for dependency in dependencies.dependencies(of: task)
      where hasOutgoingFlows[Int(dependency)] {
        figures.flows += 1
      }
    }
    if attempt.outcome == .memory, !hasOutgoingFlows[task] {
      hasOutgoingFlows[task] = true
      slice.flowsFrom = dependencies.dependents(of: task).map { flow(from: task, to: Int($0)) }
    }
  }

  private func flow(from task: Int, to other: Int) -> UInt64 {
    let edge = dependencies.hash(of: task) &* 3 ^ dependencies.hash(of: other) ^ runHash
    return max(1, KeyHash.mixed(edge))
  }
}
