import EventLog
import LogAnalysis
import TaskLogPlugin

/// The attempts of all tasks, as `AttemptTracker` derives them, and the path table with their ends.
///
/// The tracker knows workers by their row in the page's table, as text. Times are microseconds.
struct AttemptTable {
  struct Row {
    var task: Int32
    /// Counted from 1; 0 if only a worker recorded it.
    var number: Int32
    var worker: Int32 = -1
    /// The index of its end in the path table; -1 if it has none.
    var path: Int32 = -1
    /// The index of the name of its outcome.
    var outcome: Int32
    // `PathTable.unknown` if unknown.
    var sent: Int64
    var started: Int64
    var stopped: Int64
    var ended: Int64
    /// Whether any part of it is in the time window.
    var isInWindow = true
  }

  private(set) var rows: ContiguousArray<Row> = []
  private(set) var outcomes = NameTable()
  var paths = PathTable()
  private var run = -1
  /// Cuts the times of attempts.
  private var window = TimeWindow()
  /// Rows of this run whose end is looked up when the path table is in order.
  private var unresolved: [(row: Int, seq: Int64)] = []
  private var tracker = AttemptTracker(workers: [:], schedulers: [])
  private var processing: Int64 = -1
  /// The states by which attempts begin or end.
  private var relevant: Set<Int64> = []
  private var states: [Int64: State] = [:]

  init() {
    for outcome in ["memory", "erred", "unfinished"] { _ = outcomes.index(outcome) }
  }

  mutating func beginRun(
    _ reader: LogReader, _ sources: [SourceInfo], _ workerOf: [Int64: Int], _ window: TimeWindow
  ) throws {
    run += 1
    self.window = window
    tracker = AttemptTracker(
      workers: workerOf.mapValues { String($0) },
      schedulers: Set(sources.filter { $0.source.kind == .scheduler }.map(\.number)))
    let names: [State] = [.processing, .executing, .longRunning, .cancelled, .resumed]
    let textIDs = try names.map { try reader.number(ofText: $0.name) ?? -1 }
    processing = textIDs[0]
    relevant = Set(textIDs)
    paths.beginRun()
  }

  /// The states of a transition that may begin or end an attempt; `nil` for any other.
  mutating func states(
    of row: EventRow, _ reader: LogReader
  ) throws -> (start: State, finish: State)? {
    guard row.start != row.finish, relevant.contains(row.start) || relevant.contains(row.finish),
      let start = try state(row.start, reader), let finish = try state(row.finish, reader)
    else { return nil }
    return (start, finish)
  }

  private mutating func state(_ textID: Int64, _ reader: LogReader) throws -> State? {
    if let known = states[textID] { return known }
    guard textID != 0, let name = try reader.text(textID) else { return nil }
    states[textID] = State(name)
    return states[textID]
  }

  func isSent(_ row: EventRow) -> Bool { row.finish == processing }
  func isEnd(_ row: EventRow) -> Bool { row.start == processing && row.finish != row.start }

  /// - Parameter worker: the worker that the event is about.
  mutating func apply(
    _ task: Int, _ row: EventRow, _ states: (start: State, finish: State), worker: Int?,
    _ snapshot: Snapshot, _ time: Int64, _ runArgs: RunArgs?
  ) {
    let event = Event(
      .transition, time: time, key: Self.key, start: states.start, finish: states.finish,
      worker: worker.map { String($0) }, taskRunID: row.taskRunID, snapshot: snapshot)
    tracker.apply(Self.recorded(row, task, event), time: time, runArgs: runArgs)
    takeEnded()
  }

  mutating func removeWorker(_ worker: Int, _ row: EventRow, _ time: Int64) {
    let event = Event(.removeWorker, time: time, worker: String(worker))
    tracker.apply(Self.recorded(row, 0, event), time: time, runArgs: nil)
    takeEnded()
  }

  private static let key: Key = ""

  /// The tracker distinguishes keys by their numbers, here those of the tasks.
  private static func recorded(_ row: EventRow, _ task: Int, _ event: Event) -> RecordedEvent {
    RecordedEvent(
      seq: row.seq, source: row.source, sourceSeq: row.sourceSeq, keyNumber: Int64(task),
      stimulusNumber: row.stimulus, event: event)
  }

  // MARK: - Ended attempts

  private mutating func takeEnded() {
    guard !tracker.ended.isEmpty else { return }
    for attempt in tracker.ended { add(attempt) }
    tracker.ended.removeAll(keepingCapacity: true)
  }

  mutating func endRun() {
    tracker.finish()
    takeEnded()
    paths.endRun(run)
    for (row, seq) in unresolved {
      rows[row].path = paths.index(ofSeq: seq).map { Int32($0) } ?? -1
    }
    unresolved = []
  }

  private mutating func add(_ attempt: Attempt) {
    let outcome =
      switch attempt.outcome {
      case .memory: 0
      case .erred: 1
      case .unfinished: 2
      case .other(let state): outcomes.index(state.name)
      }
    if let seq = attempt.endSeq, outcome < 2 { unresolved.append((rows.count, seq)) }
    let isInWindow = attempt.cut(to: window)
    rows.append(
      Row(
        task: Int32(attempt.keyNumber), number: attempt.number,
        worker: attempt.worker.flatMap { Int32($0) } ?? -1, outcome: Int32(outcome),
        sent: attempt.sent ?? PathTable.unknown, started: attempt.started ?? PathTable.unknown,
        stopped: attempt.stopped ?? PathTable.unknown, ended: attempt.ended ?? PathTable.unknown,
        isInWindow: isInWindow))
  }

  /// Keeps some attempts only.
  ///
  /// - Parameters:
  ///   - isKept: whether each attempt is kept.
  ///   - indexes: the new index of each task.
  mutating func renumber(_ isKept: [Bool], _ indexes: [Int32]) {
    var kept: ContiguousArray<Row> = []
    for (var row, isKept) in zip(rows, isKept) where isKept {
      row.task = indexes[Int(row.task)]
      kept.append(row)
    }
    rows = kept
    paths.renumber(indexes)
  }

  /// Sorts the attempts by task and number; those that only a worker recorded come last.
  mutating func sort() {
    rows.sort {
      ($0.task, UInt32(bitPattern: $0.number &- 1), $0.started)
        < ($1.task, UInt32(bitPattern: $1.number &- 1), $1.started)
    }
  }
}
