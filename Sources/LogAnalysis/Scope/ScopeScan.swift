import EventLog
import LogFormat
import TaskLogPlugin

/// Finds the tasks of a run that are in a scope, in one pass over the events that have a task.
struct ScopeScan {
  /// Every task of the run.
  private(set) var all = RowIDSet()
  private(set) var selected = RowIDSet()

  private let reader: LogReader
  /// The tasks whose names, clients and spans match; `nil` for all.
  private let candidates: RowIDSet?
  private let lives: WorkerLives
  private let isWorkerIncluded: [Bool]?
  private let window: TimeWindow
  private let states: States
  private var moves: ArraySlice<TaskReassignment>
  /// The tasks that are unfinished at the scheduler.
  private var unfinished: [Int64: Unfinished] = [:]
  private var addresses: [Int64: String] = [:]

  private struct Unfinished {
    var since: Int64
    /// Whether an included worker has it, and since when.
    var isIncluded = false
    var givenAt: Int64 = 0
  }

  /// The row IDs of the hook and the states that matter.
  struct States: Sendable {
    var transition, processing, memory, erred: Int64
    /// Those in which a worker runs a task.
    var running: Set<Int64>
    /// Those in which a task is over for the scheduler.
    var finished: Set<Int64>

    init(_ reader: LogReader) throws {
      func number(_ text: String) throws -> Int64 { try reader.number(ofText: text) ?? -1 }
      transition = try number(Hook.transition.name)
      processing = try number(State.processing.name)
      memory = try number(State.memory.name)
      erred = try number(State.erred.name)
      running = Set(try [State.executing, .longRunning].map { try number($0.name) })
      finished = Set(try State.finished.map { try number($0.name) })
    }
  }

  private struct Row: Sendable {
    var seq, key, time, start, finish, worker: Int64
    /// The index of the source.
    var source: Int32
    var isTransition: Bool
  }

  init(
    _ reader: LogReader, _ run: RunInfo, candidates: RowIDSet?, lives: WorkerLives,
    isWorkerIncluded: [Bool]?, _ window: TimeWindow
  ) throws {
    self.reader = reader
    self.candidates = candidates
    self.lives = lives
    self.isWorkerIncluded = isWorkerIncluded
    self.window = window
    states = try States(reader)
    moves = isWorkerIncluded == nil ? [] : try reader.taskMoves(of: run)[...]
  }

  /// - Parameter end: the time of the last event of the run.
  mutating func scan(_ run: RunInfo, _ range: ClosedRange<Int64>, until end: Int64) throws {
    let sources = try reader.sources(of: run)
    let places = SourceIndex(sources)
    let clocks = try reader.clockOffsets(of: run)
    let (path, transition) = (reader.path, states.transition)
    let scan = ParallelScan<[Row]>(
      """
      SELECT seq, source, time, hook, key, start, finish, worker, source_seq FROM event
      WHERE seq BETWEEN ? AND ? AND +key IS NOT NULL ORDER BY seq
      """, over: range)
    try scan.run(reader) { select, range in
      var rows: [Row] = []
      try select.forEachRow(in: range, path) { seq in
        let source = select.integer(1)
        guard let place = places.place(source) else { return }
        rows.append(
          Row(
            seq: seq, key: select.integer(4),
            time: clocks.time(select.integer(2), source: source, sourceSeq: select.integer(8)),
            start: select.integer(5), finish: select.integer(6), worker: select.integer(7),
            source: Int32(place), isTransition: select.integer(3) == transition))
      }
      return rows
    } take: { rows in
      for row in rows { try take(row, sources[Int(row.source)]) }
    }
    applyMoves(before: .max)
    for (key, task) in unfinished { close(key, task, at: end) }
  }

  private mutating func take(_ row: Row, _ source: SourceInfo) throws {
    _ = all.insert(row.key)
    guard candidates?.contains(row.key) ?? true, !selected.contains(row.key) else { return }
    if isWorkerIncluded == nil, window.contains(row.time) {
      unfinished[row.key] = nil
      _ = selected.insert(row.key)
      return
    }
    if let move = moves.first, move.seq < row.seq { applyMoves(before: row.seq) }
    guard row.isTransition, row.finish != 0, row.finish != row.start else { return }
    if source.source.kind == .worker {
      guard let included = isWorkerIncluded, states.running.contains(row.finish),
        let worker = lives.place(ofSource: source.number), included[worker],
        window.contains(row.time)
      else { return }
      _ = selected.insert(row.key)
    } else {
      try scheduler(row)
    }
  }

  private mutating func scheduler(_ row: Row) throws {
    let before = unfinished[row.key]
    if let before, isWorkerIncluded == nil || before.isIncluded {
      close(row.key, before, at: row.time)
      if selected.contains(row.key) { return }
    }
    // The end of work of which the log lacks the start.
    if isWorkerIncluded != nil, row.start == states.processing,
      row.finish == states.memory || row.finish == states.erred, window.contains(row.time),
      try isIncluded(row.worker, at: row.seq)
    {
      _ = selected.insert(row.key)
      return
    }
    guard !states.finished.contains(row.finish) else {
      unfinished[row.key] = nil
      return
    }
    var task = before ?? Unfinished(since: row.time)
    task.isIncluded =
      isWorkerIncluded != nil && row.finish == states.processing
      ? try isIncluded(row.worker, at: row.seq) : false
    task.givenAt = row.time
    unfinished[row.key] = task
  }

  /// A task was unfinished, or with workers on one of them, up to this time.
  private mutating func close(_ key: Int64, _ task: Unfinished, at time: Int64) {
    guard isWorkerIncluded == nil || task.isIncluded else { return }
    let start = isWorkerIncluded == nil ? task.since : task.givenAt
    if window.overlaps(start, max(start, time)) {
      _ = selected.insert(key)
      unfinished[key] = nil
    }
  }

  private mutating func applyMoves(before seq: Int64) {
    while let move = moves.first, move.seq < seq {
      moves.removeFirst()
      guard var task = unfinished[move.key] else { continue }
      if task.isIncluded { close(move.key, task, at: move.time) }
      guard !selected.contains(move.key) else { continue }
      task.isIncluded =
        lives.place(move.worker, at: move.seq).map { isWorkerIncluded?[$0] ?? true } ?? false
      task.givenAt = move.time
      unfinished[move.key] = task
    }
  }

  private mutating func isIncluded(_ worker: Int64, at seq: Int64) throws -> Bool {
    guard worker != 0 else { return false }
    let address = try addresses[worker] ?? reader.texts.element(worker) ?? ""
    addresses[worker] = address
    return lives.place(address, at: seq).map { isWorkerIncluded?[$0] ?? true } ?? false
  }
}
