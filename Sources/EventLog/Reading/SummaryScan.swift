import TaskLogPlugin

/// Sums a run up in one pass over its events.
///
/// The same figures as the views `prefixes`, `prefix_states` and `workers`, some ten times as fast:
/// a slot per key keeps where the task is at the scheduler and at the worker that had it last, so
/// that each event closes one stay and opens the next. A task that is on several workers at once has
/// its other stays in a table beside.
struct SummaryScan {
  private static let rowsAtOnce = 1 << 16

  private let reader: LogReader
  private let run: RunInfo
  private var texts: KnownTexts
  private var keys: KeySlots
  private var otherStays: [OtherStay: Stay] = [:]
  private var prefixes = PrefixTable()
  var workers: WorkerScan
  /// The sources of the run by their number, and which of them are schedulers.
  private let places: SourcePlaces
  private let isSchedulerAt: [Bool]

  private struct OtherStay: Hashable {
    var source: Int64
    var key: Int64
  }

  init(_ reader: LogReader, _ run: RunInfo) throws {
    self.reader = reader
    self.run = run
    texts = try KnownTexts(reader)
    keys = KeySlots(reader)
    let sources = try reader.sources(of: run)
    places = SourcePlaces(sources)
    isSchedulerAt = sources.map { $0.source.kind == .scheduler }
    workers = WorkerScan(sources: sources)
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
    summary.workers = try workers.rows(reader)
    return summary
  }

  // MARK: - The pass

  private mutating func scan() throws {
    guard let first = run.firstSeq, let last = run.lastSeq else { return }
    let select = try reader.connection.prepare(
      """
      SELECT seq, source, time, hook, key, start, finish, worker, args
      FROM event WHERE seq > ? AND seq <= ? ORDER BY seq
      """)
    var position = first - 1
    var lastSource: Int64 = .min
    var isScheduler = false
    var isKnown = false
    while position < last {
      try select.bind(1, position)
      try select.bind(2, last)
      var count = 0
      while count < Self.rowsAtOnce, try select.step() {
        count += 1
        let seq = select.integer(0)
        try reader.checkOrder(of: seq, after: position)
        position = seq
        let source = select.integer(1)
        if source != lastSource {
          lastSource = source
          let place = places.place(source)
          isKnown = place != nil
          isScheduler = place.map { isSchedulerAt[$0] } ?? false
          workers.look(at: place)
        }
        guard isKnown else { continue }
        let time = select.integer(2)
        workers.count(time)
        guard select.integer(3) == texts.transition else {
          try other(select, time)
          continue
        }
        let key = select.integer(4)
        if key != 0 { try transition(select, key, source, isScheduler, time) }
      }
      select.reset()
      // Short transactions, so that the write-ahead log can be checkpointed.
      if count < Self.rowsAtOnce { break }
    }
    workers.runEnd()
  }

  private mutating func transition(
    _ row: Statement, _ key: Int64, _ source: Int64, _ isScheduler: Bool, _ time: Int64
  ) throws {
    guard let place = try keys.place(key) else { return }
    let (start, finish) = (row.integer(5), row.integer(6))
    let prefix = prefixes.place(keys.prefix(place))
    if isScheduler, !keys[place].isSeen {
      keys[place].isSeen = true
      prefixes.rows[prefix].figures.tasks += 1
    }
    let outcome = isScheduler ? work(row, prefix) : nil
    // Nothing came of it.
    guard start != finish, finish != 0 else { return }
    let stay = Stay(state: texts.place(ofState: finish), time: time)
    if isScheduler {
      end(keys[place].scheduler, prefix, kind: 0, time)
      endOfProcessing(keys[place], time)
      keys[place].scheduler = stay
      scheduler(row, start, finish, place, prefix, outcome)
    } else {
      begin(stay, place, key, source, prefix)
    }
  }

  /// What the args tell of work; most transitions have none.
  private mutating func work(_ row: Statement, _ prefix: Int) -> (OutcomeScan, worker: Int?)? {
    guard !row.isNull(8) else { return nil }
    let found = row.withText(8) { text in
      let scan = OutcomeScan(text)
      return (scan, workers.place(of: scan, number: row.integer(7), in: text))
    }
    guard let (scan, worker) = found else { return nil }
    if scan.hasCompute {
      prefixes.rows[prefix].figures.computeSeconds += scan.computeSeconds
      workers.addBusy(worker, scan.computeSeconds)
    }
    return (scan, worker)
  }

  private mutating func scheduler(
    _ row: Statement, _ start: Int64, _ finish: Int64, _ place: Int, _ prefix: Int,
    _ outcome: (scan: OutcomeScan, worker: Int?)?
  ) {
    if finish == texts.processing {
      keys[place].sent += 1
      if keys[place].sent == 2 { prefixes.rows[prefix].figures.retried += 1 }
      keys[place].worker = row.integer(7)
    } else if finish == texts.memory {
      if !keys[place].isDone { prefixes.rows[prefix].figures.done += 1 }
      keys[place].isDone = true
    } else if finish == texts.erred {
      if !keys[place].hasFailed { prefixes.rows[prefix].figures.failed += 1 }
      keys[place].hasFailed = true
    }
    guard start == texts.processing, finish == texts.memory || finish == texts.erred else { return }
    let nbytes = finish == texts.memory ? outcome?.scan.nbytes : nil
    workers.addOutcome(outcome?.worker, hasSucceeded: finish == texts.memory, nbytes: nbytes ?? 0)
    // The view takes the size that the last outcome tells, of whatever kind it was.
    let last = outcome?.scan.nbytes ?? 0
    prefixes.rows[prefix].figures.nbytes += last - keys[place].nbytes
    keys[place].nbytes = last
  }

  /// The time that a task was at the worker it was given to.
  private mutating func endOfProcessing(_ slot: KeySlots.Slot, _ time: Int64) {
    guard let stay = slot.scheduler, texts.states[stay.state] == texts.processing else { return }
    workers.addGiven(slot.worker, time - stay.time)
  }

  private mutating func end(_ stay: Stay?, _ prefix: Int, kind: Int, _ time: Int64) {
    guard let stay else { return }
    prefixes.rows[prefix].add(kind, stay.state, time - stay.time)
  }

  private mutating func begin(
    _ stay: Stay, _ place: Int, _ key: Int64, _ source: Int64, _ prefix: Int
  ) {
    let isOver = texts.states[stay.state] == texts.forgotten
    let other = OtherStay(source: source, key: key)
    // A free slot is not for a worker that has its stay beside.
    let isBeside = !otherStays.isEmpty && otherStays[other] != nil
    if keys[place].source == source || (keys[place].source == 0 && !isBeside) {
      if keys[place].source == source { end(keys[place].atWorker, prefix, kind: 1, stay.time) }
      keys[place].source = source
      keys[place].atWorker = stay
      if isOver {
        // What comes after is a new life of the key; its slot is free for any worker.
        keys[place].source = 0
        keys[place].atWorker = nil
      }
      return
    }
    end(otherStays[other], prefix, kind: 1, stay.time)
    otherStays[other] = isOver ? nil : stay
  }

  private mutating func other(_ row: Statement, _ time: Int64) throws {
    guard let hook = texts.hookOfWorker(row.integer(3)) else { return }
    // Rare, so that the others need not be asked for theirs.
    let snapshot = try reader.snapshot(ofEvent: row.integer(0))
    try workers.comesOrGoes(hook, row.integer(7), time, snapshot?["worker"], reader)
  }
}

/// A stay of a task in a state.
struct Stay {
  /// The place of the state among those that were seen.
  var state: Int
  var time: Int64
}
