import EventLog
import TaskLogPlugin

/// The part of a run that an analysis covers: tasks, workers and a time window.
///
/// - A task is in if its prefix, its client, its job and its span match. A client's tasks are those
///   that it was the first to submit, and those that it requested. What a task submits counts for
///   the client and the job of that task. A span's tasks include those of the spans within it. With workers, only tasks that one of them was given or ran. With a window, only
///   tasks that have an event in it or were unfinished in it.
/// - A worker is in if it matches; work on other workers does not count.
/// - A window counts events within it, and cuts durations at its edges.
///
/// Resolved once per command, see `LogReader.scope(of:_:)`; an analysis without one covers all.
package struct RunScope: Sendable {
  /// The row IDs of the keys of the tasks.
  let tasks: RowIDSet
  /// By index of a worker in `lives`; `nil` for all workers.
  let isWorkerIncluded: [Bool]?
  let lives: WorkerLives
  /// Whether tasks are selected by prefix, client, job or span.
  package let selectsTasks: Bool
  /// By the scheduler's clock, in nanoseconds since 1970 UTC.
  package let window: TimeWindow
  package let share: Share

  /// No task: of a run that does not record what a filter asks for.
  package static let nothing = RunScope(
    tasks: RowIDSet(), isWorkerIncluded: nil, lives: WorkerLives(), selectsTasks: true,
    window: TimeWindow(), share: Share(tasks: 0, allTasks: 0, emptyBecause: .noTask))

  /// How much of the run it is.
  package struct Share: Sendable {
    package var tasks: Int64
    package var allTasks: Int64
    /// `nil` if it covers all workers.
    package var workers: Int?
    package var allWorkers: Int
    /// The part of the run's time; `nil` if it covers all of it.
    package var time: Double?
    /// Why it has no task; `nil` if it has some.
    package var emptyBecause: EmptyReason?

    package init(
      tasks: Int64, allTasks: Int64, workers: Int? = nil, allWorkers: Int = 0, time: Double? = nil,
      emptyBecause: EmptyReason? = nil
    ) {
      self.tasks = tasks
      self.allTasks = allTasks
      self.workers = workers
      self.allWorkers = allWorkers
      self.time = time
      self.emptyBecause = emptyBecause
    }
  }

  package enum EmptyReason: Sendable {
    case noWorker
    /// The log has no key with such a prefix.
    case noPrefix
    /// No client has tasks, of those that have a name in the log.
    case noClient(known: [String])
    case noJob(known: [String])
    case noSpan(known: [String])
    /// The run has no event in this time; when it started, and the time of its last event.
    case noTime(start: Int64, stop: Int64)
    /// Each filter matches, and no task matches all of them.
    case noTask
  }

  @inline(__always)
  package func includes(task key: Int64) -> Bool { tasks.contains(key) }

  /// Whether work on a worker counts.
  ///
  /// - Parameter worker: an index in `WorkerLives`; `nil` if it is not known.
  @inline(__always)
  package func includes(worker: Int?) -> Bool {
    guard let isWorkerIncluded else { return true }
    return worker.map { isWorkerIncluded[$0] } ?? false
  }

  /// The same for the worker that the scheduler's event meant by an address.
  package func includes(worker address: String, at seq: Int64) -> Bool {
    isWorkerIncluded == nil || includes(worker: lives.place(address, at: seq))
  }

  /// The same for a source that is a worker.
  package func includes(source: Int64) -> Bool {
    isWorkerIncluded == nil || includes(worker: lives.place(ofSource: source))
  }

  /// Whether an event is in. Events without a task are out if tasks are selected.
  ///
  /// - Parameter time: its time by the scheduler's clock.
  package func includes(_ recorded: RecordedEvent, time: Int64) -> Bool {
    guard window.contains(time), recorded.keyNumber == 0 || includes(task: recorded.keyNumber),
      recorded.keyNumber != 0 || !selectsTasks
    else { return false }
    guard selectsWorkers else { return true }
    if lives.place(ofSource: recorded.source) != nil { return includes(source: recorded.source) }
    // The scheduler's events about a task that a worker was given.
    return recorded.keyNumber != 0
      || recorded.event.worker.map { includes(worker: $0, at: recorded.seq) } ?? false
  }

  /// Whether the end of the run is in the time window.
  package func includesEnd(of run: RunInfo) -> Bool {
    run.ended.map { window.contains($0) } ?? (window.stop == .max)
  }

  /// Whether it is restricted to some workers.
  package var selectsWorkers: Bool { isWorkerIncluded != nil }
}

/// A span of time, both ends inclusive, in nanoseconds since 1970 UTC.
package struct TimeWindow: Sendable {
  package var start = Int64.min
  package var stop = Int64.max

  /// All of time.
  package init() {}

  package init(_ start: Int64, _ stop: Int64) {
    (self.start, self.stop) = (start, stop)
  }

  package var isBounded: Bool { start != .min || stop != .max }

  @inline(__always)
  package func contains(_ time: Int64) -> Bool { start <= time && time <= stop }

  @inline(__always)
  func overlaps(_ from: Int64, _ to: Int64) -> Bool { from <= stop && to >= start }

  /// The duration of the part of an interval that is within; `nil` if none of it is. An interval of
  /// a clock that was set back is either in or out.
  @inline(__always)
  package func duration(_ from: Int64, _ to: Int64) -> Int64? {
    guard from <= to else { return contains(from) ? to - from : nil }
    guard overlaps(from, to) else { return nil }
    return min(to, stop) - max(from, start)
  }

  /// The part of an interval that is within; `nil` if none of it is.
  package func part(_ from: Int64, _ to: Int64) -> (start: Int64, stop: Int64)? {
    guard overlaps(from, to) else { return nil }
    return (max(from, start), min(to, stop))
  }

  /// The ends in seconds since 1970 UTC.
  package var seconds: (start: Double, stop: Double) {
    (
      start == .min ? -.infinity : Double(start) / 1e9,
      stop == .max ? .infinity : Double(stop) / 1e9
    )
  }
}

/// The scopes of some runs of one log by the numbers of the runs; of a run that is not here, all.
package struct RunScopes: Sendable {
  private var scopes: [Int64: RunScope] = [:]

  package init() {}

  package subscript(run: RunInfo) -> RunScope? {
    get { scopes[run.number] }
    set { scopes[run.number] = newValue }
  }
}
