import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

/// Writes a run as OpenTelemetry spans: one for the run, one for each submitted graph, one for each
/// attempt of a task.
///
/// The file is OTLP JSON in the format of OpenTelemetry's file exporter: each line is a complete
/// `TracesData`, here of up to 512 spans, grouped by scheduler and worker. All IDs are hashes of
/// the run, key and attempt, so that the same run has the same IDs in every export, and several
/// exports of it can be combined.
///
/// The run's span is the parent of the graphs' spans, and these are the parents of their tasks'
/// attempts. An attempt is linked to the attempts that computed its dependencies. It starts when
/// the task was sent to its worker, and ends when the scheduler received its end.
struct SpanExport: RunVisitor {
  private static let spansPerLine = 512

  private let walk: RunWalk
  private let sink: ByteSink
  private let dependencies: DependencyIndex
  private let ids: SpanIDs
  private let scheduler: Int
  private let schedulers: Set<Int64>
  /// Resources by the label of their source. The spans of an unknown worker belong to the
  /// scheduler.
  private var resources: [String: Int] = [:]
  private var batch: SpanBatch
  /// The end time of spans without an end.
  private let end: Int64

  /// The spans of graphs by the row ID of their stimulus, and the graph of each key.
  private var graphs: [Int64: Int32] = [:]
  private var graphIDs: [UInt64] = []
  private var graphOf = IntegersByKey<Int32>()
  /// The attempt that computed the result of each task with dependencies; 0 for none.
  private var attemptOf: [Int32]
  private var counts = TraceCounts()

  init(_ reader: LogReader, _ run: RunInfo, _ sink: ByteSink, _ scope: RunScope?) throws {
    self.sink = sink
    walk = try RunWalk(reader, run, scope)
    dependencies = try reader.dependencies(of: run)
    ids = SpanIDs(run: run.id)
    attemptOf = [Int32](repeating: 0, count: dependencies.count)
    schedulers = Set(walk.sources.filter { $0.source.kind == .scheduler }.map(\.number))
    end = try run.ended ?? reader.timeOfLastEvent(in: run) ?? run.started
    batch = SpanBatch(ids: ids)
    var schedulerResource = 0
    let sources = walk.sources
    for source in sources.filter({ $0.source.kind == .scheduler })
      + sources.filter({ $0.source.kind == .worker })
    {
      let resource = batch.addResource(SpanResource(run, source.source))
      resources[walk.label(of: source)] = resource
      if source.source.kind == .scheduler { schedulerResource = resource }
    }
    if sources.isEmpty { schedulerResource = batch.addResource(SpanResource(run, nil)) }
    scheduler = schedulerResource
  }

  mutating func write(_ tally: inout ExportTally, _ progress: (Int64) -> Void) throws {
    addRun()
    try walk.traverse(&self, &tally, progress: progress)
    try batch.write(to: sink)
    tally.written.add(counts)
  }

  private mutating func addRun() {
    let run = walk.run
    var attributes = SpanAttributes()
    attributes.text("tasklog.run.id", run.id)
    attributes.text("tasklog.run.end", run.endText)
    var span = Span(id: ids.run, parent: nil, name: "run", kind: .internal, start: run.started)
    span.end = end
    span.attributes = attributes
    if run.hasDied {
      span.hasFailed = true
      span.message = "the run died; what it did last may not be in the log"
    }
    batch.add(span, to: scheduler)
    counts.spans += 1
  }

  // MARK: - Graphs

  mutating func visit(_ recorded: RecordedEvent, time: Int64, runArgs: RunArgs?) throws {
    guard schedulers.contains(recorded.source) else { return }
    let event = recorded.event
    if event.hook == .updateGraph {
      addGraph(recorded, time)
    } else if event.hook == .transition, !graphs.isEmpty, event.start == .released,
      let graph = graphs[recorded.stimulusNumber], graphOf[recorded.keyNumber] == 0
    {
      graphOf[recorded.keyNumber] = graph
    }
    try batch.write(to: sink, ifMoreThan: Self.spansPerLine)
  }

  private mutating func addGraph(_ recorded: RecordedEvent, _ time: Int64) {
    let id = ids.graph(recorded.sourceSeq)
    graphIDs.append(id)
    if recorded.stimulusNumber != 0 {
      graphs[recorded.stimulusNumber] = Int32(truncatingIfNeeded: graphIDs.count)
    }
    var span = Span(id: id, parent: ids.run, name: "update-graph", kind: .producer, start: time)
    span.end = time
    if let stimulus = recorded.event.stimulusID {
      span.attributes.text("tasklog.stimulus_id", stimulus)
    }
    batch.add(span, to: scheduler)
    counts.spans += 1
    counts.graphs += 1
  }

  // MARK: - Attempts

  mutating func visit(_ attempt: Attempt) throws {
    // Tasks that only a worker knows are not attempts of the scheduler.
    guard attempt.number > 0 else { return }
    let graph = graphOf[attempt.keyNumber]
    let hash = KeyHash.hash(of: attempt.key)
    var span = Span(
      id: ids.attempt(hash, attempt.number),
      parent: graph > 0 ? graphIDs[Int(graph) - 1] : ids.run, name: attempt.key.prefix,
      kind: .consumer, start: start(of: attempt))
    let last = min(end, walk.scope?.window.stop ?? .max)
    span.end = max(span.start, attempt.ended ?? attempt.stopped ?? last)
    span.attributes = attributes(of: attempt)
    for work in attempt.spans { add(work, to: &span) }
    addOutcome(of: attempt, to: &span)
    if let task = dependencies.task(hash: hash) {
      for dependency in dependencies.dependencies(of: task) {
        let attemptNumber = attemptOf[Int(dependency)]
        if attemptNumber > 0 {
          span.links.append(ids.attempt(dependencies.hash(of: Int(dependency)), attemptNumber))
        }
      }
      if attempt.outcome == .memory { attemptOf[task] = attempt.number }
      counts.links += span.links.count
    }
    batch.add(span, to: attempt.worker.flatMap { resources[$0] } ?? scheduler)
    counts.spans += 1
    try batch.write(to: sink, ifMoreThan: Self.spansPerLine)
  }

  private func start(of attempt: Attempt) -> Int64 {
    attempt.sent ?? attempt.started ?? attempt.spans.map(\.start).min() ?? attempt.ended ?? end
  }

  private func attributes(of attempt: Attempt) -> SpanAttributes {
    var attributes = SpanAttributes()
    attributes.text("tasklog.key", attempt.key.text)
    attributes.number("tasklog.attempt", Int64(attempt.number))
    if let run = attempt.taskRunID { attributes.number("tasklog.task_run_id", run) }
    if let worker = attempt.worker {
      attributes.text("tasklog.worker", walk.address(ofLabel: worker))
    }
    if let thread = attempt.runArgs.thread { attributes.number("thread.id", thread) }
    if let stimulus = attempt.stimulusID { attributes.text("tasklog.stimulus_id", stimulus) }
    if let nbytes = attempt.runArgs.nbytes { attributes.number("tasklog.nbytes", nbytes) }
    if let type = attempt.runArgs.typeName { attributes.text("tasklog.typename", type) }
    if let blamed = attempt.runArgs.blamed { attributes.text("tasklog.cause_key", blamed) }
    switch attempt.outcome {
    case .memory: attributes.text("tasklog.outcome", "memory")
    case .erred: attributes.text("tasklog.outcome", "erred")
    case .other(let state): attributes.text("tasklog.outcome", state.name)
    case .unfinished: attributes.text("tasklog.outcome", "unfinished")
    }
    return attributes
  }

  private func add(_ work: WorkSpan, to span: inout Span) {
    var attributes = SpanAttributes()
    if let stop = work.stop { attributes.number("tasklog.duration_ns", stop - work.start) }
    if let source = work.source { attributes.text("tasklog.source", walk.address(ofLabel: source)) }
    span.events.append(Span.Event(name: work.action, time: work.start, attributes: attributes))
  }

  private func addOutcome(of attempt: Attempt, to span: inout Span) {
    if let exception = attempt.exception {
      var attributes = SpanAttributes()
      if let type = Self.type(exception.text) { attributes.text("exception.type", type) }
      attributes.text("exception.message", exception.text)
      if let traceback = exception.traceback {
        attributes.text("exception.stacktrace", traceback)
      }
      span.events.append(
        Span.Event(name: "exception", time: span.end, attributes: attributes))
    }
    switch attempt.outcome {
    case .memory: span.isOK = true
    case .erred:
      span.hasFailed = true
      span.message =
        attempt.exception?.text ?? attempt.runArgs.blamed.map { "it failed with \($0)" }
        ?? "the task has erred"
    case .other:
      span.hasFailed = attempt.exception != nil
      span.message = attempt.exception?.text ?? ""
    case .unfinished: break
    }
  }

  /// The type at the start of Python's `repr` of an exception.
  private static func type(_ text: String) -> String? {
    guard let parenthesis = text.utf8.firstIndex(of: UInt8(ascii: "(")) else { return nil }
    let name = text[..<parenthesis]
    let isName = name.unicodeScalars.allSatisfy {
      $0.properties.isAlphabetic || $0 == "_" || $0 == "." || ("0"..."9").contains($0)
    }
    return isName && !name.isEmpty ? String(name) : nil
  }
}
