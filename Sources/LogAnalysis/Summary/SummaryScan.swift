import EventLog
import TaskLogPlugin

/// Summarizes a run in one pass over its events, which several threads read.
///
/// The same figures as the views `prefixes`, `prefix_states` and `workers`, many times as fast: a
/// slot per key stores the state of the task at the scheduler and at the worker that had it last,
/// so that each event closes one stay and opens the next. The further stays of a task that is on
/// several workers at once are in a separate table.
struct SummaryScan {
  private let reader: LogReader
  private let run: RunInfo
  /// `nil` for all of the run.
  private let scope: RunScope?
  private var texts: KnownTexts
  private var keys: KeySlots
  private var otherStays: [OtherInterval: StateInterval] = [:]
  private var prefixes = PrefixTable()
  var workers: WorkerScan
  /// The sources of the run by row ID, and which of them are schedulers.
  private let places: SourceIndex
  private let isSchedulerAt: [Bool]
  private let clocks: ClockOffsets
  /// The moves of stolen tasks, in the order of arrival, and how many of them have been applied.
  private let moves: [TaskReassignment]
  private var moveCount = 0
  /// When the scheduler first had a task, and when the last one was done or had failed.
  private var firstTask: Int64?
  private var lastTask: Int64?

  private struct OtherInterval: Hashable {
    var source: Int32
    var key: Int64
  }

  init(_ reader: LogReader, _ run: RunInfo, _ scope: RunScope?) throws {
    self.reader = reader
    self.run = run
    self.scope = scope
    texts = try KnownTexts(reader)
    keys = KeySlots(reader)
    let sources = try reader.sources(of: run)
    places = SourceIndex(sources)
    isSchedulerAt = sources.map { $0.source.kind == .scheduler }
    clocks = try reader.clockOffsets(of: run)
    moves = try reader.taskMoves(of: run)
    workers = WorkerScan(sources: sources, lives: try reader.workerLives(of: run), scope)
  }

  mutating func summary() throws -> RunSummary {
    try scan()
    var summary = RunSummary()
    let names = try prefixes.names(reader)
    for (place, name) in names.enumerated() {
      guard prefixes.rows[place].figures.tasks > 0 || !prefixes.rows[place].durations.isEmpty
      else { continue }
      var figures = prefixes.rows[place].figures
      figures.name = name
      if prefixes.rows[place].compute.count > 0 {
        figures.computeP50 = prefixes.rows[place].compute.percentile(50)
        figures.computeP95 = prefixes.rows[place].compute.percentile(95)
        prefixes.rows[place].compute = Durations()
      }
      if figures.tasks > 0 { summary.prefixes.append(figures) }
      for (kind, state) in prefixes.rows[place].durations {
        guard var durations = prefixes.rows[place].take(kind, state), durations.count > 0 else {
          continue
        }
        let stateName = try reader.texts.element(texts.states[state]) ?? ""
        if stateName == "forgotten" { continue }
        summary.states.append(
          RunSummary.State(
            prefix: name, source: kind == 0 ? "scheduler" : "worker", state: stateName,
            count: Int64(durations.count), total: durations.total,
            p50: durations.percentile(50), p95: durations.percentile(95),
            max: durations.percentile(100)))
      }
    }
    func order(_ name: String?) -> [UInt8] { Array((name ?? "").utf8) }
    summary.prefixes.sort { order($0.name).lexicographicallyPrecedes(order($1.name)) }
    summary.states.sort {
      ($0.prefix ?? "", $0.source, $0.state) < ($1.prefix ?? "", $1.source, $1.state)
    }
    summary.workers = workers.rows(clocks)
    if let firstTask, let lastTask { summary.makespan = lastTask - firstTask }
    return summary
  }

  // MARK: - Scanning

  private mutating func scan() throws {
    guard let range = try reader.range(of: run) else { return }
    let making = SummaryPart.Making(
      path: reader.path, places: places, isSchedulerAt: isSchedulerAt,
      transition: texts.transition, clocks: clocks, window: scope?.window)
    try ParallelScan<SummaryPart>(SummaryPart.sql, over: range).run(
      reader, read: { try making.part($0, $1) }, take: { try take($0) })
    workers.runEnd()
  }

  private mutating func take(_ part: SummaryPart) throws {
    let known = part.workers.map { workers.address($0) }
    var lastSource: Int32 = -1
    for row in part.rows {
      if row.source != lastSource {
        lastSource = row.source
        workers.look(at: Int(row.source))
      }
      workers.count(row.time)
      if moveCount < moves.count, moves[moveCount].seq < row.seq { try move(before: row.seq) }
      guard row.kind == .transition else { continue }
      let outcome = row.outcome >= 0 ? part.outcomes[Int(row.outcome)] : nil
      let worker = outcome.flatMap {
        $0.worker >= 0 ? workers.place(known[Int($0.worker)], at: row.seq) : nil
      }
      try transition(row, outcome, worker)
    }
  }

  private mutating func transition(
    _ row: SummaryPart.Row, _ outcome: SummaryPart.Outcome?, _ worker: Int?
  ) throws {
    if let scope, !scope.includes(task: row.key) { return }
    guard let place = try keys.place(row.key) else { return }
    let isScheduler = isSchedulerAt[Int(row.source)]
    let prefix = prefixes.place(keys.prefix(place))
    if isScheduler, !keys[place].isSeen {
      keys[place].isSeen = true
      prefixes.rows[prefix].figures.tasks += 1
    }
    if let outcome, outcome.hasCompute, scope?.includes(worker: worker) ?? true {
      prefixes.rows[prefix].figures.computeSeconds += outcome.computeSeconds
      prefixes.rows[prefix].compute.add(Int64(saturating: outcome.computeSeconds * 1e9))
      workers.addBusy(worker, outcome.computeSeconds)
    }
    // The state did not change.
    guard row.start != row.finish, row.finish != 0 else { return }
    let stay = StateInterval(state: texts.place(ofState: row.finish), time: row.time)
    if isScheduler {
      end(keys[place].scheduler, prefix, kind: 0, row.time)
      give(place, to: nil, row.time)
      keys[place].scheduler = stay
      try scheduler(row, place, prefix, outcome, worker)
    } else if workers.isSourceIncluded(Int(row.source)) {
      begin(stay, place, row.key, row.source, prefix)
    }
  }

  private mutating func scheduler(
    _ row: SummaryPart.Row, _ place: Int, _ prefix: Int, _ outcome: SummaryPart.Outcome?,
    _ worker: Int?
  ) throws {
    let finish = row.finish
    let counts = scope?.window.contains(row.time) ?? true
    if counts {
      if firstTask == nil { firstTask = row.time }
      if finish == texts.memory || finish == texts.erred {
        lastTask = max(lastTask ?? row.time, row.time)
      }
    }
    if finish == texts.processing {
      keys[place].sent += 1
      if counts, keys[place].sent > 1, !keys[place].isRetried {
        keys[place].isRetried = true
        prefixes.rows[prefix].figures.retried += 1
      }
      give(place, to: try workers.place(ofText: row.worker, at: row.seq, reader), row.time)
    } else if !counts {
      return
    } else if finish == texts.memory {
      if !keys[place].isDone { prefixes.rows[prefix].figures.done += 1 }
      keys[place].isDone = true
    } else if finish == texts.erred {
      if !keys[place].hasFailed { prefixes.rows[prefix].figures.failed += 1 }
      keys[place].hasFailed = true
    }
    guard row.start == texts.processing, finish == texts.memory || finish == texts.erred
    else { return }
    let nbytes = finish == texts.memory ? outcome?.nbytes : nil
    if scope?.includes(worker: worker) ?? true {
      workers.addOutcome(worker, hasSucceeded: finish == texts.memory, nbytes: nbytes ?? 0)
    }
    // The view uses the size in the last outcome, of whatever kind it was.
    let last = outcome?.nbytes ?? 0
    prefixes.rows[prefix].figures.nbytes &+= last &- keys[place].nbytes
    keys[place].nbytes = last
  }

  /// Assigns a task to a worker, and removes it from the previous one; to none at its end.
  private mutating func give(_ place: Int, to worker: Int?, _ time: Int64) {
    if keys[place].givenTo >= 0 {
      let assigned = duration(keys[place].givenAt, time)
      workers.addAssigned(Int(keys[place].givenTo), assigned ?? 0)
    }
    keys[place].givenTo = Int32(worker ?? -1)
    keys[place].givenAt = time
  }

  /// The part of an interval that counts; `nil` if none does.
  @inline(__always)
  private func duration(_ start: Int64, _ stop: Int64) -> Int64? {
    scope == nil ? stop - start : scope?.window.duration(start, stop)
  }

  private mutating func move(before seq: Int64) throws {
    while moveCount < moves.count, moves[moveCount].seq < seq {
      let move = moves[moveCount]
      moveCount += 1
      if let scope, !scope.includes(task: move.key) { continue }
      guard let place = try keys.place(move.key) else { continue }
      let address = workers.address(move.worker)
      give(place, to: workers.place(address, at: move.seq), move.time)
    }
  }

  private mutating func end(_ stay: StateInterval?, _ prefix: Int, kind: Int, _ time: Int64) {
    guard let stay, let duration = duration(stay.time, time) else { return }
    prefixes.rows[prefix].add(kind, stay.state, duration)
  }

  private mutating func begin(
    _ stay: StateInterval, _ place: Int, _ key: Int64, _ source: Int32, _ prefix: Int
  ) {
    let isOver = texts.states[stay.state] == texts.forgotten
    let other = OtherInterval(source: source, key: key)
    // A free slot is not used for a worker that has its stay in the separate table.
    let isBeside = !otherStays.isEmpty && otherStays[other] != nil
    if keys[place].source == source || (keys[place].source < 0 && !isBeside) {
      if keys[place].source == source { end(keys[place].atWorker, prefix, kind: 1, stay.time) }
      keys[place].source = source
      keys[place].atWorker = stay
      if isOver {
        // Later events are a new life of the key; its slot is free for any worker.
        keys[place].source = -1
        keys[place].atWorker = nil
      }
      return
    }
    end(otherStays[other], prefix, kind: 1, stay.time)
    otherStays[other] = isOver ? nil : stay
  }
}

/// The time that a task spends in a state.
package struct StateInterval {
  /// The index of the state among those that occurred.
  var state: Int
  var time: Int64
}
