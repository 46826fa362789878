import EventLog
import LogFormat
import TaskLogPlugin

/// Reads the intervals that `ThreadTimeSweep` splits from the events of a run, in causal order.
///
/// What a worker recorded of its tasks is preferred to what the scheduler knows: when inputs had arrived,
/// when a task had a thread. Without events of the worker, the spans of work that come with a result
/// tell.
struct ThreadTimeScan {
  private typealias Interval = ThreadTimeInput.Interval

  /// A task at the scheduler.
  private struct Assignment {
    var worker: Int
    var since: Int64
    /// Whether its worker has an event about it.
    var isSeen = false
  }

  /// A task at a worker.
  struct WorkerTask: Hashable {
    var worker: Int
    var key: Int64
  }

  private let reader: LogReader
  private let run: RunInfo
  private let scope: RunScope?
  private let lives: WorkerLives
  private let clocks: ClockOffsets
  private let workerOfSource: [Int64: Int]
  private let schedulers: Set<Int64>
  private let states: ThreadTimeStates
  private let hooks: (transition: Int64, logEvent: Int64, setup: Int64, lock: Int64)
  private var moves: ArraySlice<TaskReassignment>
  private let tasks: TaskIndex
  private var input = ThreadTimeInput()
  private var assignments: [Int64: Assignment] = [:]
  private var atWorker: [WorkerTask: (state: ThreadTimeStates.WorkerTaskState, since: Int64)] = [:]
  /// The last time that a task had a slot of a worker, until its result comes.
  private var runs: [WorkerTask: Interval] = [:]
  private var locks = LockWaits()
  private var lockWaits: CPUShares.ByPrefix<[CPUShares.Wait]> = [:]
  /// Attempts that the scheduler has taken from their worker, until they come to their end there.
  private var withdrawn: Set<WorkerTask> = []
  /// Bits: seen, has had a result.
  private var schedulerStates = IntegersByKey<UInt8>()
  private var queuedSince: [Int64: Int64] = [:]
  private var unfinishedSince: [Int64: Int64] = [:]
  private var addresses: [Int64: String] = [:]
  private var firstSeen: [Int64?]
  private var setUp: [Int64?]
  private var statuses: WorkerStatuses
  private var first: Int64?
  private var last = Int64.min

  init(_ reader: LogReader, _ run: RunInfo, _ scope: RunScope?, _ owners: TaskIndex.Owners) throws {
    (self.reader, self.run, self.scope) = (reader, run, scope)
    lives = try reader.workerLives(of: run)
    clocks = try reader.clockOffsets(of: run)
    let sources = try reader.sources(of: run)
    let lives = lives
    workerOfSource = Dictionary(
      sources.compactMap { source in
        lives.place(ofSource: source.number).map { (source.number, $0) }
      },
      uniquingKeysWith: { $1 })
    schedulers = Set(sources.filter { $0.source.kind == .scheduler }.map(\.number))
    states = try ThreadTimeStates(reader)
    func number(_ hook: Hook) throws -> Int64 { try reader.number(ofText: hook.name) ?? -1 }
    hooks = (try number(.transition), try number(.logEvent), try number(.setup), try number(.lock))
    moves = try reader.taskMoves(of: run)[...]
    tasks = try TaskIndex(reader, run, scope, owners)
    firstSeen = Array(repeating: nil, count: lives.lives.count)
    setUp = firstSeen
    statuses = WorkerStatuses(lives)
    input.workers = lives.lives.indices.map {
      ThreadTimeInput.Worker(
        lives.label($0), threads: min(max(lives.lives[$0].nthreads ?? 1, 0), 1 << 20), present: [])
    }
  }

  mutating func scan(intervals: Int, splitsComputing: Bool) throws -> ThreadTimeInput {
    let cursor = try reader.events(of: run, order: .causal)
    while let row = try cursor.nextRow() {
      let time = clocks.time(row.time, source: row.source, sourceSeq: row.sourceSeq)
      last = max(last, time)
      try move(before: row.seq)
      if let worker = workerOfSource[row.source] {
        firstSeen[worker] = min(firstSeen[worker] ?? time, time)
        if row.hook == hooks.setup, setUp[worker] == nil { setUp[worker] = time }
        if row.hook == hooks.transition, row.key != 0 { atWorker(row, worker, time) }
        if row.hook == hooks.lock, row.key != 0 { waits(row, cursor, worker) }
      } else if schedulers.contains(row.source) {
        first = min(first ?? time, time)
        if row.hook == hooks.transition, row.key != 0 {
          try atScheduler(row, cursor, time)
        } else if row.hook == hooks.logEvent {
          _ = cursor.withArgs(of: row) {
            statuses.change($0, row.seq, time, &input.workers)
          }
        }
      }
    }
    try finish()
    if splitsComputing { try splitComputing() }
    input.intervalCount = intervals
    return input
  }

  // MARK: - The scheduler

  private mutating func atScheduler(_ row: EventRow, _ cursor: EventCursor, _ time: Int64) throws {
    guard row.start != row.finish else { return }
    let key = row.key
    if schedulerStates[key] & 1 == 0 {
      schedulerStates[key] |= 1
      // It was unfinished when the recorder came.
      if states.unfinished.contains(row.start) { unfinishedSince[key] = first ?? time }
    }
    if states.unfinished.contains(row.finish) {
      if unfinishedSince[key] == nil { unfinishedSince[key] = time }
    } else if let since = unfinishedSince.removeValue(forKey: key) {
      try addUnfinished(key, Interval(since, time))
    }
    if row.finish == states.queued {
      queuedSince[key] = time
    } else if let since = queuedSince.removeValue(forKey: key) {
      input.schedulerLag.append(Interval(since, time))
    }
    if row.start == states.processing { try end(row, cursor, time) }
    if row.finish == states.processing, let worker = try worker(ofText: row.worker, at: row.seq) {
      assignments[key] = Assignment(worker: worker, since: time)
      withdrawn.remove(WorkerTask(worker: worker, key: key))
    }
    // Who submits it again wants another result.
    if row.finish == states.forgotten { schedulerStates[key] &= ~2 }
  }

  private mutating func addUnfinished(_ key: Int64, _ interval: Interval) throws {
    input.unfinished.append(interval)
    guard tasks.hasSeveralClients else { return }
    let index = try tasks.index(of: key)
    guard let client = tasks.tasks[index].client else { return }
    input.unfinishedOfClients[client, default: []].append(interval)
  }

  /// A task that a worker was given came to an end.
  private mutating func end(_ row: EventRow, _ cursor: EventCursor, _ time: Int64) throws {
    let assignment = assignments.removeValue(forKey: row.key)
    let hasResult = row.finish == states.memory || row.finish == states.erred
    var (spans, address): ([WorkSpan], String?) = ([], nil)
    if hasResult {
      let args = cursor.withArgs(of: row) { RunArgs(String(decoding: $0, as: UTF8.self)) }
      (spans, address) = (args?.spans ?? [], args?.worker)
      input.largestResult = max(input.largestResult, args?.nbytes ?? 0)
    }
    let worker = address.flatMap { lives.place($0, at: row.seq) } ?? assignment?.worker
    guard let worker else { return }
    let place = WorkerTask(worker: worker, key: row.key)
    let isWasted = !(row.finish == states.memory && isFirstResult(row.key))
    let task = try tasks.index(of: row.key, isWasted: isWasted)
    if hasResult { withdrawn.remove(place) } else { withdrawn.insert(place) }
    let slot = runs.removeValue(forKey: place)
    let waits = locks.take(place)
    let work = add(spans, worker, task, waits)
    if let slot {
      if work.isEmpty {
        add(slot, worker, task, waits)
      } else {
        // The worker had the task in hand, and no thread worked on it.
        input.workers[worker].ready += slot.without(work)
      }
    }
    let computed = ([slot?.stop] + work.map(\.stop)).compactMap { $0 }.max()
    if let assignment, !assignment.isSeen, assignment.worker == worker {
      let started = work.map(\.start).min() ?? time
      let arrived = spans.filter { $0.action == "transfer" }.compactMap(\.stop).max()
      if let arrived { input.workers[worker].transfers.append(Interval(assignment.since, arrived)) }
      input.workers[worker].ready.append(Interval(arrived ?? assignment.since, started))
    }
    // The result is on its way.
    if hasResult, let computed { input.schedulerLag.append(Interval(computed, time)) }
  }

  /// Whether a result is the first one of its task, which has one from now on.
  private mutating func isFirstResult(_ key: Int64) -> Bool {
    let isFirst = schedulerStates[key] & 2 == 0
    schedulerStates[key] |= 2
    return isFirst
  }

  /// Adds spans of work, and returns when a thread worked.
  private mutating func add(
    _ spans: [WorkSpan], _ worker: Int, _ task: Int, _ waits: [LockWaits.Wait]
  ) -> [Interval] {
    var work: [Interval] = []
    for span in spans {
      guard var stop = span.stop else { continue }
      var start = span.start
      let kind: ThreadTime.Class
      switch span.action {
      case "compute": kind = .computing
      case "deserialize": kind = .deserializing
      case "disk-read", "disk-write": kind = .disk
      default: continue
      }
      if kind == .disk, run.engine == "dask", let source = lives.lives[worker].source,
        let offset = clocks.last(ofSource: source)?.offset
      {
        (start, stop) = (start + offset, stop + offset)
      }
      guard start < stop else { continue }
      if kind == .computing {
        add(Interval(start, stop), worker, task, waits)
      } else {
        input.workers[worker].work.append(.init(start, stop, kind, task: task))
      }
      work.append(Interval(start, stop))
    }
    return work
  }

  /// Adds a time in which a task computed, or waited for a lock.
  private mutating func add(
    _ interval: Interval, _ worker: Int, _ task: Int, _ waits: [LockWaits.Wait]
  ) {
    let waited = waits.parts(of: interval)
    for wait in waited {
      let (start, stop) = (wait.interval.start, wait.interval.stop)
      input.workers[worker].work.append(.init(start, stop, .lock, task: task, lock: wait.lock))
      if let prefix = tasks.tasks[task].prefix {
        lockWaits[worker, default: [:]][prefix, default: []].append(
          .init(taskEnd: interval.stop, seconds: Double(stop - start) / 1e9))
      }
    }
    for part in interval.without(waited.map(\.interval)) {
      input.workers[worker].work.append(.init(part.start, part.stop, task: task))
    }
  }

  private mutating func move(before seq: Int64) throws {
    while let move = moves.first, move.seq < seq {
      moves.removeFirst()
      guard let assignment = assignments[move.key] else { continue }
      if !assignment.isSeen {
        input.workers[assignment.worker].sent.append(Interval(assignment.since, move.time))
      }
      guard let worker = lives.place(move.worker, at: move.seq) else { continue }
      assignments[move.key] = Assignment(worker: worker, since: move.time)
    }
  }

  private func text(_ number: Int64) throws -> String? { try reader.texts.element(number) }

  private mutating func worker(ofText number: Int64, at seq: Int64) throws -> Int? {
    guard number != 0 else { return nil }
    if addresses[number] == nil { addresses[number] = try text(number) }
    return addresses[number].flatMap { lives.place($0, at: seq) }
  }

  // MARK: - Workers

  private mutating func atWorker(_ row: EventRow, _ worker: Int, _ time: Int64) {
    guard row.start != row.finish else { return }
    let place = WorkerTask(worker: worker, key: row.key)
    if let assignment = assignments[row.key], !assignment.isSeen, assignment.worker == worker {
      assignments[row.key]?.isSeen = true
      // It was on its way.
      input.workers[worker].sent.append(Interval(assignment.since, time))
    }
    let state = states.atWorker[row.finish]
    let before = atWorker[place]
    // A task that is cancelled or resumed while it runs keeps its thread.
    if before?.state == .running, state == nil, states.cancelled.contains(row.finish) { return }
    if let before {
      guard before.state != state else { return }
      let interval = Interval(before.since, time)
      switch before.state {
      case .waiting: input.workers[worker].transfers.append(interval)
      case .ready: input.workers[worker].ready.append(interval)
      case .constrained: input.workers[worker].constrained.append(interval)
      case .running: runs[place] = interval
      }
    }
    atWorker[place] = state.map { ($0, time) }
  }

  /// A task waits for a lock, or did.
  private mutating func waits(_ row: EventRow, _ cursor: EventCursor, _ worker: Int) {
    let (clocks, source, sourceSeq) = (clocks, row.source, row.sourceSeq)
    _ = cursor.withArgs(of: row) {
      locks.add($0, of: WorkerTask(worker: worker, key: row.key)) {
        clocks.time($0, source: source, sourceSeq: sourceSeq)
      }
    }
  }

  // MARK: - The end

  private mutating func finish() throws {
    let end = last
    for (key, since) in unfinishedSince { try addUnfinished(key, Interval(since, end)) }
    for since in queuedSince.values { input.schedulerLag.append(Interval(since, end)) }
    if let first { input.known = try known(first, end) }
    for (place, life) in lives.lives.enumerated() where scope?.includes(worker: place) ?? true {
      guard let start = [life.joined, firstSeen[place]].compactMap({ $0 }).min() else { continue }
      let stop = life.left ?? life.gone?.time ?? end
      input.workers[place].present = [Interval(start, max(start, stop))]
      if let joined = life.joined, let setUp = setUp[place], life.firstSeq > 0, setUp > joined {
        input.workers[place].changing.append(Interval(joined, setUp))
      }
      statuses.end(place, max(start, stop), &input.workers)
    }
    for (place, state) in atWorker {
      let interval = Interval(state.since, lives.lives[place.worker].gone?.time ?? end)
      switch state.state {
      case .waiting: input.workers[place.worker].transfers.append(interval)
      case .ready: input.workers[place.worker].ready.append(interval)
      case .constrained: input.workers[place.worker].constrained.append(interval)
      case .running: runs[place] = interval
      }
    }
    for (place, interval) in runs {
      let task = try tasks.index(of: place.key, isWasted: withdrawn.contains(place))
      add(interval, place.worker, task, locks.take(place))
    }
    input.tasks = tasks.tasks
    input.selectsTasks = scope?.selectsTasks ?? false
    if let window = scope?.window, window.isBounded {
      // Both ends are inclusive.
      input.window = Interval(window.start, window.stop == .max ? .max : window.stop + 1)
    }
  }

  private mutating func splitComputing() throws {
    for (place, shares) in try CPUShares.read(reader, run, lives, without: lockWaits) {
      input.workers[place].cpuShares = shares
    }
  }

  /// The time between the first and the last event, without that of the scheduler's gaps.
  private func known(_ first: Int64, _ end: Int64) throws -> [Interval] {
    var known = [Interval(first, end)]
    for gap in try reader.gaps(of: run) where schedulers.contains(gap.source) && gap.count > 0 {
      guard let after = gap.after else { continue }
      known = known.flatMap { $0.without([Interval(gap.before ?? first, after)]) }
    }
    return known
  }
}
