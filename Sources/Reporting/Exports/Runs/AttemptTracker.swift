import EventLog
import TaskLogPlugin

/// Makes attempts of the events of a run, which come in causal order.
///
/// What the scheduler does opens and closes an attempt; what the worker tells of the same key in
/// between is joined to it. A task that is taken back while its worker still runs it stays open until
/// the worker has ended it or is gone; and one that was taken back before its worker has told of it
/// waits for that, since what a killed worker has seen may come late. Memory goes with the tasks that
/// are under way, and four bytes for each key.
struct AttemptTracker {
  /// Attempts that have come to an end, for the caller to take.
  var ended: [Attempt] = []

  private var open: [Int64: Attempt] = [:]
  /// What a worker runs although the scheduler has taken it back or knows nothing of it.
  private var atWorker: [Place: Attempt] = [:]
  private var counts = IntegersByKey<Int32>()
  /// When each worker was removed last.
  private var removed: [String: Int64] = [:]
  /// What each source that is a worker is called.
  private let workers: [Int64: String]
  private let schedulers: Set<Int64>

  private struct Place: Hashable { var worker: String, key: Int64 }
  private struct RunOfTask: Hashable { var key, run: Int64 }

  /// What was taken back before its worker has told of it, in the order in which that happened.
  private var takenBack: [RunOfTask: Attempt] = [:]
  private var takenBackOrder: [RunOfTask] = []
  /// Beyond so many the oldest no longer waits.
  private static let mostTakenBack = 1 << 16

  /// - Parameter workers: what each source that is a worker is called, as the scheduler's events call
  ///   it.
  init(workers: [Int64: String], schedulers: Set<Int64>) {
    self.workers = workers
    self.schedulers = schedulers
  }

  /// - Parameters:
  ///   - time: of the event, by the scheduler's clock.
  ///   - facts: what the end of a task tells of its run.
  mutating func take(_ recorded: RecordedEvent, time: Int64, facts: RunArgs?) {
    let event = recorded.event
    if event.hook == .removeWorker, let worker = event.worker { lose(worker, at: time) }
    guard event.hook == .transition, let key = event.key, let start = event.start,
      let finish = event.finish, start != finish
    else { return }
    if schedulers.contains(recorded.source) {
      if start == .processing { close(key, recorded, to: finish, time, facts) }
      if finish == .processing { begin(key, recorded, time) }
    } else if let worker = workers[recorded.source] {
      let isRunning = Self.isRunning(start)
      if !isRunning, finish == .executing {
        starts(key, recorded, worker, time)
      } else if isRunning, !Self.isRunning(finish) {
        stops(key, recorded, worker, finish, time)
      }
    }
  }

  /// The log has ended: what is still open will not end.
  mutating func finish() {
    // What was shipped late, from a worker that was gone already, ended with it.
    for attempt in atWorker.values {
      if let worker = attempt.worker, let started = attempt.started, let gone = removed[worker],
        gone >= started
      {
        attempt.stopped = gone
      }
    }
    let left = Array(open.values) + Array(atWorker.values) + Array(takenBack.values)
    (open, atWorker, takenBack) = ([:], [:], [:])
    ended += left.sorted { Self.order($0) < Self.order($1) }
  }

  private static func order(_ attempt: Attempt) -> (Int64, Int64, Int32) {
    (attempt.sent ?? attempt.started ?? 0, attempt.keyNumber, attempt.number)
  }

  /// A worker's task that was cancelled or resumed while it ran, runs on.
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
    // A task that was taken back and comes again while its worker still runs it, is not run twice.
    if let worker = attempt.worker,
      let before = atWorker.removeValue(
        forKey: Place(worker: worker, key: recorded.keyNumber))
    {
      attempt.started = before.started
      before.started = nil
      if before.number > 0 { ended.append(before) }
    }
  }

  private mutating func next(_ key: Key, _ number: Int64) -> Attempt {
    counts[number] += 1
    return Attempt(key: key, keyNumber: number, number: counts[number])
  }

  private mutating func close(
    _ key: Key, _ recorded: RecordedEvent, to finish: State, _ time: Int64, _ facts: RunArgs?
  ) {
    let isEnd = finish == .memory || finish == .erred
    // Where the beginning is missing, an end that tells of work is an attempt all the same.
    let known = open.removeValue(forKey: recorded.keyNumber)
    guard let attempt = known ?? (isEnd ? next(key, recorded.keyNumber) : nil) else { return }
    if isEnd {
      attempt.facts = facts ?? RunArgs()
      attempt.worker = attempt.facts.worker ?? recorded.event.worker ?? attempt.worker
      attempt.taskRunID = attempt.taskRunID ?? recorded.event.taskRunID
    }
    attempt.ended = time
    attempt.outcome =
      switch finish {
      case .memory: .memory
      case .erred: .erred
      default: .other(finish)
      }
    setAside(attempt)
  }

  /// An attempt that the scheduler has done with ends here, unless its worker still runs it.
  private mutating func setAside(_ attempt: Attempt) {
    if attempt.started != nil, attempt.stopped == nil, attempt.facts.spans.isEmpty,
      let worker = attempt.worker
    {
      let place = Place(worker: worker, key: attempt.keyNumber)
      if let older = atWorker.updateValue(attempt, forKey: place) { ended.append(older) }
    } else if attempt.started == nil, Self.waitsForWorker(attempt), let run = attempt.taskRunID {
      wait(attempt, RunOfTask(key: attempt.keyNumber, run: run))
    } else {
      ended.append(attempt)
    }
  }

  /// Nobody has told the scheduler of work: the task was taken back, or its worker died.
  private static func waitsForWorker(_ attempt: Attempt) -> Bool {
    switch attempt.outcome {
    case .other: true
    case .erred: attempt.facts.spans.isEmpty
    case .memory, .unfinished: false
    }
  }

  private mutating func wait(_ attempt: Attempt, _ place: RunOfTask) {
    if let older = takenBack.updateValue(attempt, forKey: place) { ended.append(older) }
    takenBackOrder.append(place)
    guard takenBackOrder.count > Self.mostTakenBack else { return }
    for place in takenBackOrder.prefix(Self.mostTakenBack / 2) {
      if let attempt = takenBack.removeValue(forKey: place) { ended.append(attempt) }
    }
    takenBackOrder.removeFirst(Self.mostTakenBack / 2)
  }

  // MARK: - Workers

  private mutating func starts(
    _ key: Key, _ recorded: RecordedEvent, _ worker: String, _ time: Int64
  ) {
    let run = recorded.event.taskRunID
    let known = run.flatMap {
      takenBack.removeValue(forKey: RunOfTask(key: recorded.keyNumber, run: $0))
    }
    if known == nil, let attempt = open[recorded.keyNumber],
      attempt.started == nil || attempt.worker == worker
    {
      // Dask moves a task that another worker steals without a word to plugins.
      attempt.worker = worker
      attempt.started = time
      return
    }
    let place = Place(worker: worker, key: recorded.keyNumber)
    if let older = atWorker.removeValue(forKey: place) { ended.append(older) }
    let attempt = known ?? Attempt(key: key, keyNumber: recorded.keyNumber, number: 0)
    attempt.worker = worker
    attempt.started = time
    attempt.taskRunID = run
    atWorker[place] = attempt
  }

  private mutating func stops(
    _ key: Key, _ recorded: RecordedEvent, _ worker: String, _ finish: State, _ time: Int64
  ) {
    // Dask calls the hook with the state that was wished for; a cancelled task runs on.
    if finish == .released, case .task(let facts) = recorded.event.snapshot.decoded,
      facts.state == .cancelled || facts.state == .resumed
    {
      return
    }
    if let attempt = atWorker.removeValue(forKey: Place(worker: worker, key: recorded.keyNumber)) {
      attempt.stopped = time
      attempt.lastWords = recorded.event.snapshot
      if attempt.number == 0 { attempt.outcome = Self.outcome(finish) }
      ended.append(attempt)
    } else if let attempt = open[recorded.keyNumber], attempt.worker == worker {
      attempt.stopped = time
      attempt.lastWords = recorded.event.snapshot
    }
  }

  private static func outcome(_ state: State) -> Attempt.Outcome {
    switch state {
    case .memory: .memory
    case .erred, .error: .erred
    default: .other(state)
    }
  }

  /// A worker that is gone runs nothing any more.
  private mutating func lose(_ worker: String, at time: Int64) {
    removed[worker] = time
    let lost = atWorker.filter { $0.key.worker == worker }
    for attempt in lost.values.sorted(by: { Self.order($0) < Self.order($1) }) {
      attempt.stopped = max(time, attempt.started ?? time)
      ended.append(attempt)
    }
    for place in lost.keys { atWorker[place] = nil }
  }
}

/// One number for each key, 0 where there is none. Keys have small numbers, given out one by one.
struct IntegersByKey<Number: FixedWidthInteger> {
  private static var limit: Int64 { 1 << 31 }
  private var dense: [Number] = []
  /// For numbers that only a damaged log has.
  private var sparse: [Int64: Number] = [:]

  subscript(key: Int64) -> Number {
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
}
