import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

/// Collects the data of the page for some runs of one log, in one pass over the events of each, in
/// causal order.
///
/// A slot for each task has its current state, so that every event closes one interval and opens
/// another; the stories are in a separate arena. Memory grows with tasks and spans of work, a few
/// dozen bytes for each, and not with events.
struct PageScan {
  /// The properties of an event in a story, in addition to its time and worker.
  struct Kind: Hashable {
    var isScheduler: Bool
    var hook: Int64
    var start: Int64
    var finish: Int64
  }

  let reader: LogReader
  var tasks = TaskTable()
  var arena = StoryArena()
  var lanes = LaneTable()
  var workers = WorkerTable()
  var failures = FailureTable()
  var attempts = AttemptTable()
  var figures = PageFigures()
  var resources = ResourceTable()
  var threadTime = ThreadTimeTable()
  var profile = ProfileTable()
  var advice = AdviceTable()
  var explanations = ExplanationTable()
  var prefixes = NameTable()
  var typenames = NameTable()
  var kinds: [Kind] = []
  var gaps: [(worker: Int?, gap: Gap)] = []
  var runs: [(run: RunInfo, events: Int64)] = []
  /// The origin of times, in nanoseconds since 1970 UTC.
  let origin: Int64
  /// The first and last time of all events, in microseconds.
  var firstTime = Int64.max
  var lastTime = Int64.min
  var states: StepSeries
  var stateCounts = [Int64](repeating: 0, count: PageStates.names.count - 1)

  let scopes: RunScopes
  /// Whether the page shows only parts of the runs.
  let isScoped: Bool
  /// The part of the current run; `nil` for all of it.
  private(set) var scope: RunScope?
  /// The time window of the current run, and those of all runs, in microseconds.
  private(set) var window = TimeWindow()
  private(set) var windows: [TimeWindow] = []
  /// The first and last time that the page shows, in microseconds, if it shows parts of runs.
  var selectedTimes = TimeExtent()
  /// The predecessor of each outcome; only if the page shows parts of runs.
  var chains: PageChains?
  /// The number of events read.
  private(set) var readCount: Int64 = 0
  /// The events of the failures in the scope; `nil` for all.
  private(set) var includedFailures: Set<Int64>?

  /// The clocks of the run's workers.
  private var clocks = ClockOffsets()
  /// Whether spans of work may have times of worker clocks that are off.
  var hasOwnClocks = false
  /// The stolen tasks of the run, by the seq of their event.
  private var moves: [Int64: TaskReassignment] = [:]
  var kindIndexes: [Kind: Int] = [:]
  var lastKind: (kind: Kind, index: Int)?
  /// Further workers with a task's result, in addition to the first one.
  var otherHolders: [Int: [Int32]] = [:]
  private var prefixPages: [Int64: [Int64]] = [:]
  /// The failures of the current run, with the blamed task of each.
  private(set) var known: RunFailures?
  /// The args of the current event about the end of a task.
  var runArgs = RunArgs()
  let hooks: Hooks
  let stateOf: [Int64: UInt8]
  let executing: Set<Int64>

  /// The row IDs of the hooks used here.
  struct Hooks {
    var transition, addWorker, removeWorker, setup, addReplica, removeReplica: Int64
    var updateGraph, attach, stimulus: Int64

    init(_ reader: LogReader) throws {
      func textID(_ hook: Hook) throws -> Int64 { try reader.number(ofText: hook.name) ?? -1 }
      transition = try textID(.transition)
      updateGraph = try textID(.updateGraph)
      attach = try textID(.attach)
      stimulus = try textID(.stimulus)
      addWorker = try textID(.addWorker)
      removeWorker = try textID(.removeWorker)
      setup = try textID(.setup)
      addReplica = try textID(.addReplica)
      removeReplica = try textID(.removeReplica)
    }
  }

  /// - Parameter scopes: the parts of the runs.
  init(_ reader: LogReader, _ runs: [RunInfo], _ scopes: RunScopes = RunScopes()) throws {
    self.reader = reader
    self.scopes = scopes
    isScoped = runs.contains { scopes[$0] != nil }
    origin = runs.map(\.started).min() ?? 0
    states = StepSeries(width: PageStates.names.count - 1, limit: 32_768)
    hooks = try Hooks(reader)
    var stateOf: [Int64: UInt8] = [:]
    for (index, name) in PageStates.names.enumerated() {
      if let textID = try reader.number(ofText: name) { stateOf[textID] = UInt8(index) }
    }
    self.stateOf = stateOf
    executing = Set(
      try [State.executing, .longRunning].compactMap { try reader.number(ofText: $0.name) })
  }

  func microseconds(_ time: Int64) -> Int64 { (time - origin) / 1000 }

  func microseconds(_ seconds: Double) -> Int64 {
    let value = (seconds - Double(origin) / 1e9) * 1e6
    return Int64(exactly: value.rounded()) ?? 0
  }

  // MARK: - The pass

  /// - Parameter show: called with the number of events read.
  /// - Throws: `LogError`.
  mutating func scan(_ run: RunInfo, show: (Int64) -> Void) throws {
    scope = scopes[run]
    window = scope.map { microseconds($0.window) } ?? TimeWindow()
    windows.append(window)
    tasks.beginRun()
    workers.beginRun(try reader.workerLives(of: run), scope, window)
    clocks = try reader.clockOffsets(of: run)
    hasOwnClocks = clocks.isAnyOff && run.engine == "dask"
    moves = Dictionary(
      try reader.taskMoves(of: run).map { ($0.seq, $0) }, uniquingKeysWith: { $1 })
    failures.beginRun()
    let known = try reader.failures(of: run, in: scope)
    self.known = known
    includedFailures = scope == nil ? nil : try Self.events(of: known)
    prefixPages = [:]
    let sources = try reader.sources(of: run)
    var workerOf: [Int64: Int] = [:]
    let unknown = Set(try reader.workersWithoutClock(of: run).map(\.id))
    for source in sources where source.source.kind == .worker {
      let row = workers.index(of: source)
      workers[row].isClockUnknown = unknown.contains(source.source.id)
      workers[row].clock = clocks.last(ofSource: source.number)
      if source.source.name != .null { workers[row].name = source.source.name }
      workerOf[source.number] = row
    }
    try attempts.beginRun(reader, sources, workerOf, window)
    let firstTask = tasks.slots.count
    let cursor = try reader.events(of: run, order: .causal)
    var (count, selectedCount) = (Int64(0), Int64(0))
    var times = TimeExtent()
    while let row = try cursor.nextRow() {
      count += 1
      if count & 0xFFF == 0 { show(count) }
      let exactTime = clocks.time(row.time, source: row.source, sourceSeq: row.sourceSeq)
      let time = microseconds(exactTime)
      firstTime = min(firstTime, time)
      lastTime = max(lastTime, time)
      let worker = workerOf[row.source]
      if let worker { workers[worker].lastSeen = max(time, workers[worker].lastSeen ?? time) }
      var isIncluded = true
      if let scope {
        times.add(time)
        isIncluded = try includes(row, worker, exactTime, scope)
        if isIncluded { selectedTimes.add(time) }
      }
      if isIncluded { selectedCount += 1 }
      if row.key == 0 {
        try withoutKey(row, cursor, worker, time)
      } else {
        try withKey(row, cursor, worker, time, isIncluded)
      }
    }
    readCount += count
    runs.append((run, selectedCount))
    try endRun(run, from: firstTask, workerOf)
    // A window is shown with what is empty of it.
    if window.isBounded, let first = times.first, let last = times.last,
      let part = window.part(first, last)
    {
      selectedTimes.add(part.start)
      selectedTimes.add(part.stop)
    }
    try failures.endRun(known)
    attempts.endRun()
    try addSummary(of: run)
    try addResources(of: run)
    try threadTime.add(run, self)
    try profile.add(run, self)
    try advice.add(run, self)
    try addEnds(of: run)
  }

  private mutating func withoutKey(
    _ row: EventRow, _ cursor: EventCursor, _ worker: Int?, _ time: Int64
  ) throws {
    switch row.hook {
    case hooks.updateGraph, hooks.attach, hooks.stimulus:
      if worker == nil { addGraph(row, cursor) }
    case hooks.addWorker, hooks.removeWorker, hooks.setup:
      guard
        let index = try worker
          ?? workers.index(ofText: row.worker, at: row.seq, load: { try reader.text($0) })
      else { return }
      if row.hook == hooks.removeWorker {
        workers.recordLeave(index, time)
        attempts.removeWorker(index, row, time)
      } else {
        let snapshot = try cursor.event(of: row)?.event.snapshot.value?["worker"]
        if row.hook == hooks.addWorker {
          workers.recordJoin(index, time, snapshot)
        } else if let nthreads = snapshot?["nthreads"]?.int {
          workers[index].nthreads = nthreads
        }
      }
    default: break
    }
  }

  /// Adds the dependencies that an event of the scheduler contains, if any.
  private mutating func addGraph(_ row: EventRow, _ cursor: EventCursor) {
    _ = cursor.withSnapshot(of: row) { snapshot in
      TaskGraphReader.forEachNode(in: snapshot) {
        _ = cursor.withArgs(of: row, $0)
      } _: { node in
        let task = tasks.task(ofIdentity: node.key)
        for dependency in node.dependencies {
          tasks.addEdge(task, needs: tasks.task(ofIdentity: dependency))
        }
      }
    }
  }

  private mutating func withKey(
    _ row: EventRow, _ cursor: EventCursor, _ worker: Int?, _ time: Int64, _ isIncluded: Bool
  ) throws {
    let reader = reader
    let previousCount = tasks.slots.count
    let task = try tasks.task(ofKey: row.key) {
      guard let key = try reader.key(row.key) else { return UInt64(bitPattern: row.key) }
      var json = key.typed.isEmpty ? JSONWriter.text(.string(key.text)) : key.typed
      return json.withUTF8 { KeyHash.hash(of: $0) }
    }
    let isSelected = scope?.includes(task: row.key) ?? true
    tasks[task].isSelected = isSelected
    if isSelected, tasks.slots.count > previousCount || tasks[task].events == 0 {
      tasks[task].prefix = Int32(try prefix(ofKey: row.key))
    }
    let about =
      try worker
      ?? workers.index(ofText: row.worker, at: row.seq, load: { try reader.text($0) })
    if isIncluded { appendToStory(task, row, isScheduler: worker == nil, about, time) }
    // What comes after the time window does not change the states that the page shows.
    let isShown = isSelected && time <= window.stop
    if isShown, !moves.isEmpty, let move = moves[row.seq] { moveTask(task, to: move, time) }
    if row.hook == hooks.transition {
      if let worker {
        if isSelected, workers[worker].isIncluded { atWorker(task, row, worker, time) }
      } else {
        try atScheduler(task, row, cursor, about, time)
      }
      try attempt(task, row, cursor, about, isScheduler: worker == nil, time)
    } else if row.hook == hooks.addReplica, let about {
      guard isShown else { return }
      let nbytes = cursor.withArgs(of: row) { OutcomeScan($0).nbytes }
      addReplica(task, Int32(about), time, nbytes: nbytes.flatMap { $0 })
    } else if row.hook == hooks.removeReplica, let about {
      if isShown { release(task, Int32(about), time) }
    } else if row.hook == hooks.stimulus, worker == nil {
      addGraph(row, cursor)
    }
  }

  mutating func prefix(ofKey key: Int64) throws -> Int {
    let page = key >> 10
    if prefixPages[page] == nil {
      // Keys arrive nearly in the order of their row IDs: older pages are rarely needed again.
      if prefixPages.count > 64 { prefixPages = [:] }
      var prefixIDs = [Int64](repeating: 0, count: 1024)
      try reader.prefixes(ofKeys: page << 10..<(page + 1) << 10) { key, prefix in
        prefixIDs[Int(key & 1023)] = prefix
      }
      prefixPages[page] = prefixIDs
    }
    let prefixID = prefixPages[page]?[Int(key & 1023)] ?? 0
    let reader = reader
    return try prefixes.index(ofText: prefixID) { try reader.text($0) }
  }

  // MARK: - The end of a run

  private mutating func endRun(
    _ run: RunInfo, from first: Int, _ workerOf: [Int64: Int]
  ) throws {
    for task in first..<tasks.slots.count where tasks[task].executingOn >= 0 {
      let worker = Int(tasks[task].executingOn)
      // The events of a killed worker may come after all others.
      endExecuting(
        task, workers[worker].left ?? lastTime,
        hasFailed: tasks[task].state == PageStates.erred && workers[worker].left != nil)
    }
    // Tasks that remain at the end of one run do not exist in the next.
    for state in stateCounts.indices { stateCounts[state] = 0 }
    otherHolders = [:]
    workers.endRun()
    var lastGapOf: [Int64: Int] = [:]
    for gap in try reader.gaps(of: run) {
      let worker = workerOf[gap.source]
      if let scope {
        let isIncluded = worker.map { workers[$0].isIncluded } ?? true
        let (from, to) = (gap.before ?? gap.time, max(gap.time, gap.after ?? .min))
        guard isIncluded, scope.window.part(from, to) != nil else { continue }
      }
      // What is missing between the same two events is shown as one gap.
      if let index = lastGapOf[gap.source], gaps[index].gap.isBesides(gap) {
        gaps[index].gap.count += gap.count
      } else {
        lastGapOf[gap.source] = gaps.count
        gaps.append((worker, gap))
      }
    }
  }
}
