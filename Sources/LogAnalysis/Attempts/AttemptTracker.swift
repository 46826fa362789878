import EventLog
import TaskLogPlugin

/// Derives the attempts of tasks from the events of a run in causal order.
///
/// The scheduler's events open and close an attempt; the worker's events of the same key in between
/// are joined to it. If a task is withdrawn while its worker still runs it, the attempt stays open
/// until the worker has ended it or is gone. If it is withdrawn before any event of its worker, it
/// waits for one, since the events of a killed worker may arrive late. Memory grows with the number
/// of tasks in progress, plus four bytes per key.
package struct AttemptTracker {
  /// Ended attempts, to be removed by the caller.
  package var ended: [Attempt] = []

  private var open: [Int64: Attempt] = [:]
  /// Attempts that a worker runs although the scheduler has withdrawn or does not know them.
  private var atWorker: [WorkerTask: Attempt] = [:]
  /// Withdrawn attempts whose worker seemed to run them still when the task was sent to it again,
  /// until the worker's next event tells which of the two ran.
  private var sentAgain: [WorkerTask: Attempt] = [:]
  private var counts = IntegersByKey<Int32>()
  /// The last time that each worker was removed.
  private var removed: [String: Int64] = [:]
  /// The label of each source that is a worker.
  private let workers: [Int64: String]
  private let schedulers: Set<Int64>

  private struct WorkerTask: Hashable { var worker: String, key: Int64 }
  private struct TaskRun: Hashable { var key, run: Int64 }

  /// Attempts that were withdrawn before any event of their worker, in that order.
  private var withdrawn: [TaskRun: Attempt] = [:]
  private var withdrawnOrder: [TaskRun] = []
  /// Beyond this number the oldest half no longer waits.
  private static let withdrawnLimit = 1 << 16

  /// - Parameter workers: the label of each source that is a worker, as used in the scheduler's
  ///   events.
  package init(workers: [Int64: String], schedulers: Set<Int64>) {
    self.workers = workers
    self.schedulers = schedulers
  }

  /// - Parameters:
  ///   - time: the time of the event, by the scheduler's clock.
  ///   - runArgs: the args of the end of a task.
  package mutating func apply(_ recorded: RecordedEvent, time: Int64, runArgs: RunArgs?) {
    let event = recorded.event
    if event.hook == .removeWorker, let worker = event.worker { removeWorker(worker, at: time) }
    guard event.hook == .transition, let key = event.key, let start = event.start,
      let finish = event.finish, start != finish
    else { return }
    if schedulers.contains(recorded.source) {
      if start == .processing { close(key, recorded, to: finish, time, runArgs) }
      if finish == .processing { begin(key, recorded, time) }
    } else if let worker = workers[recorded.source] {
      let isRunning = Self.isRunning(start)
      if !isRunning, finish == .executing {
        recordStart(key, recorded, worker, time)
      } else if isRunning, !Self.isRunning(finish) {
        recordStop(key, recorded, worker, finish, time)
      }
    }
  }

  /// Ends the remaining attempts at the end of the log.
  package mutating func finish() {
    // Late events of a worker that was already gone: the attempt ended with the worker.
    for attempt in atWorker.values {
      if let worker = attempt.worker, let started = attempt.started, let gone = removed[worker],
        gone >= started
      {
        attempt.stopped = gone
      }
    }
    for attempt in sentAgain.values { endUnstarted(attempt) }
    let remaining = Array(open.values) + Array(atWorker.values) + Array(withdrawn.values)
    (open, atWorker, withdrawn, sentAgain) = ([:], [:], [:], [:])
    ended += remaining.sorted { Self.order($0) < Self.order($1) }
  }

  private static func order(_ attempt: Attempt) -> (Int64, Int64, Int32) {
    (attempt.sent ?? attempt.started ?? 0, attempt.keyNumber, attempt.number)
  }

  /// A task that was cancelled or resumed while it ran keeps running.
  private static func isRunning(_ state: State) -> Bool {
    switch state {
    case .executing, .longRunning, .cancelled, .resumed: true
    default: false
    }
  }

  // MARK: - The scheduler

  private mutating func begin(_ key: Key, _ recorded: RecordedEvent, _ time: Int64) {
    // Only a log with gaps has one that is still open.
    if let lost = open.removeValue(forKey: recorded.keyNumber) { setAside(lost) }
    let attempt = next(key, recorded.keyNumber)
    attempt.worker = recorded.event.worker
    attempt.taskRunID = recorded.event.taskRunID
    attempt.stimulusID = recorded.event.stimulusID
    attempt.sent = time
    open[recorded.keyNumber] = attempt
    // A task that was withdrawn and is sent again while its worker still runs it is not run twice.
    if let worker = attempt.worker {
      let workerTask = WorkerTask(worker: worker, key: recorded.keyNumber)
      if let previous = atWorker.removeValue(forKey: workerTask) {
        attempt.started = previous.started
        if let older = sentAgain.updateValue(previous, forKey: workerTask) { endUnstarted(older) }
      }
    }
  }

  /// Ends an attempt whose run at the worker belongs to a later one.
  private mutating func endUnstarted(_ attempt: Attempt) {
    attempt.started = nil
    if attempt.number > 0 { ended.append(attempt) }
  }

  private mutating func next(_ key: Key, _ keyID: Int64) -> Attempt {
    counts[keyID] += 1
    return Attempt(key: key, keyNumber: keyID, number: counts[keyID])
  }

  private mutating func close(
    _ key: Key, _ recorded: RecordedEvent, to finish: State, _ time: Int64, _ runArgs: RunArgs?
  ) {
    let isEnd = finish == .memory || finish == .erred
    // If the start is missing, an end with work still makes an attempt.
    let existing = open.removeValue(forKey: recorded.keyNumber)
    guard let attempt = existing ?? (isEnd ? next(key, recorded.keyNumber) : nil) else { return }
    if isEnd {
      attempt.runArgs = runArgs ?? RunArgs()
      attempt.worker = attempt.runArgs.worker ?? recorded.event.worker ?? attempt.worker
      attempt.taskRunID = attempt.taskRunID ?? recorded.event.taskRunID
    }
    attempt.ended = time
    attempt.endSeq = recorded.seq
    attempt.outcome =
      switch finish {
      case .memory: .memory
      case .erred: .erred
      default: .other(finish)
      }
    setAside(attempt)
  }

  /// Ends an attempt that is over for the scheduler, unless its worker still runs it.
  private mutating func setAside(_ attempt: Attempt) {
    if !sentAgain.isEmpty, let worker = attempt.worker,
      let previous = sentAgain.removeValue(
        forKey: WorkerTask(worker: worker, key: attempt.keyNumber))
    {
      endUnstarted(previous)
    }
    if attempt.started != nil, attempt.stopped == nil, attempt.runArgs.spans.isEmpty,
      let worker = attempt.worker
    {
      let workerTask = WorkerTask(worker: worker, key: attempt.keyNumber)
      if let older = atWorker.updateValue(attempt, forKey: workerTask) { ended.append(older) }
    } else if attempt.started == nil, Self.waitsForWorker(attempt), let run = attempt.taskRunID {
      wait(attempt, TaskRun(key: attempt.keyNumber, run: run))
    } else {
      ended.append(attempt)
    }
  }

  /// Whether the scheduler received no work: the task was withdrawn, or its worker died.
  private static func waitsForWorker(_ attempt: Attempt) -> Bool {
    switch attempt.outcome {
    case .other: true
    case .erred: attempt.runArgs.spans.isEmpty
    case .memory, .unfinished: false
    }
  }

  private mutating func wait(_ attempt: Attempt, _ taskRun: TaskRun) {
    if let older = withdrawn.updateValue(attempt, forKey: taskRun) { ended.append(older) }
    withdrawnOrder.append(taskRun)
    guard withdrawnOrder.count > Self.withdrawnLimit else { return }
    for taskRun in withdrawnOrder.prefix(Self.withdrawnLimit / 2) {
      if let attempt = withdrawn.removeValue(forKey: taskRun) { ended.append(attempt) }
    }
    withdrawnOrder.removeFirst(Self.withdrawnLimit / 2)
  }

  // MARK: - Workers

  private mutating func recordStart(
    _ key: Key, _ recorded: RecordedEvent, _ worker: String, _ time: Int64
  ) {
    let run = recorded.event.taskRunID
    let withdrawnAttempt = run.flatMap {
      withdrawn.removeValue(forKey: TaskRun(key: recorded.keyNumber, run: $0))
    }
    let workerTask = WorkerTask(worker: worker, key: recorded.keyNumber)
    if withdrawnAttempt == nil, let attempt = open[recorded.keyNumber],
      attempt.started == nil || attempt.worker == worker
    {
      if attempt.started != nil { endRun(of: attempt, at: workerTask, time) }
      // Dask moves a stolen task to another worker without calling plugins.
      attempt.worker = worker
      attempt.started = time
      return
    }
    if let older = atWorker.removeValue(forKey: workerTask) { ended.append(older) }
    let attempt = withdrawnAttempt ?? Attempt(key: key, keyNumber: recorded.keyNumber, number: 0)
    attempt.worker = worker
    attempt.started = time
    attempt.taskRunID = run
    atWorker[workerTask] = attempt
  }

  private mutating func recordStop(
    _ key: Key, _ recorded: RecordedEvent, _ worker: String, _ finish: State, _ time: Int64
  ) {
    // Dask calls the hook with the intended state; a cancelled task keeps running.
    if finish == .released, case .task(let snapshot) = recorded.event.snapshot.decoded,
      snapshot.state == .cancelled || snapshot.state == .resumed
    {
      return
    }
    let workerTask = WorkerTask(worker: worker, key: recorded.keyNumber)
    if let attempt = atWorker.removeValue(forKey: workerTask) {
      attempt.stopped = time
      attempt.workerSnapshot = recorded.event.snapshot
      if attempt.number == 0 { attempt.outcome = Self.outcome(finish) }
      ended.append(attempt)
    } else if let attempt = open[recorded.keyNumber], attempt.worker == worker {
      var ran = attempt
      if let previous = sentAgain.removeValue(forKey: workerTask) {
        let run = recorded.event.taskRunID
        if run != nil, run == previous.taskRunID, run != attempt.taskRunID {
          // That run had ended: its end arrived after the task was sent again.
          attempt.started = nil
          ended.append(previous)
          ran = previous
        } else {
          endUnstarted(previous)
        }
      }
      ran.stopped = time
      ran.workerSnapshot = recorded.event.snapshot
    }
  }

  /// Ends the run of an attempt whose worker starts to run it once more.
  private mutating func endRun(of attempt: Attempt, at workerTask: WorkerTask, _ time: Int64) {
    let earlier =
      sentAgain.removeValue(forKey: workerTask)
      ?? Attempt(key: attempt.key, keyNumber: attempt.keyNumber, number: 0)
    earlier.worker = workerTask.worker
    earlier.started = attempt.started
    earlier.stopped = attempt.stopped ?? time
    earlier.workerSnapshot = attempt.workerSnapshot
    if earlier.outcome == .unfinished { earlier.outcome = .other(.released) }
    ended.append(earlier)
    attempt.stopped = nil
    attempt.workerSnapshot = .none
  }

  private static func outcome(_ state: State) -> Attempt.Outcome {
    switch state {
    case .memory: .memory
    case .erred, .error: .erred
    default: .other(state)
    }
  }

  /// Ends the attempts of a worker that is gone.
  private mutating func removeWorker(_ worker: String, at time: Int64) {
    removed[worker] = time
    let lostAttempts = atWorker.filter { $0.key.worker == worker }
    for attempt in lostAttempts.values.sorted(by: { Self.order($0) < Self.order($1) }) {
      attempt.stopped = max(time, attempt.started ?? time)
      ended.append(attempt)
    }
    for workerTask in lostAttempts.keys { atWorker[workerTask] = nil }
  }
}

/// An integer for each key, 0 by default. Keys have small consecutive row IDs.
package struct IntegersByKey<Number: FixedWidthInteger> {
  private static var limit: Int64 { 1 << 31 }
  private var dense: [Number] = []
  /// For row IDs that only a damaged log has.
  private var sparse: [Int64: Number] = [:]

  package init() {}

  package subscript(key: Int64) -> Number {
    get {
      if key >= 0, key < Int64(dense.count) { return dense[Int(key)] }
      return sparse.isEmpty ? 0 : sparse[key] ?? 0
    }
    set {
      guard key >= 0, key < Self.limit, key < Int64(dense.count) + 1 << 22 else {
        sparse[key] = newValue
        return
      }
      while dense.count <= Int(key) {
        dense.append(contentsOf: repeatElement(0, count: 4096))
      }
      dense[Int(key)] = newValue
    }
  }

  /// Calls a function with each key whose number is not 0, in the order of keys.
  package func forEachNumber(_ body: (_ key: Int64, _ number: Number) throws -> Void) rethrows {
    let others = sparse.filter { $0.value != 0 }.sorted { $0.key < $1.key }
    for (key, number) in others where key < 0 { try body(key, number) }
    for (key, number) in dense.enumerated() where number != 0 { try body(Int64(key), number) }
    for (key, number) in others where key >= 0 { try body(key, number) }
  }
}
