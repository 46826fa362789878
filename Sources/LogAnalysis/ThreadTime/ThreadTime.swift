/// The time of all threads of a run's workers, split without remainder into what they did and what
/// they waited for. All times are nanoseconds.
package struct ThreadTime: Sendable {
  /// What a thread did, or what it waited for.
  ///
  /// A thread that works on a task belongs to the first four. The time of an idle thread belongs to
  /// the first class that applies, in this order: `workerChange`, `paused`, `disk`, `transfer`,
  /// `ready`, `schedulerLag`, `client`, `nothingToRun`, `unknown`.
  package enum Class: Int, CaseIterable, Sendable {
    /// Computing, on a processor.
    case cpu
    /// Computing, while the processor did something else: input and output, the GIL, sleep.
    case notCPU
    /// Computing, where the log does not say whether on a processor.
    case computing
    case deserializing
    /// Inside a task that waits for a lock, semaphore, queue or event.
    case lock
    case workerChange
    case paused
    case disk
    case transfer
    case ready
    case schedulerLag
    case client
    case nothingToRun
    case unknown

    package var name: String {
      switch self {
      case .cpu: "computing (CPU)"
      case .notCPU: "computing (not CPU)"
      case .computing: "computing"
      case .deserializing: "deserializing"
      case .lock: "waiting for a lock"
      case .workerChange: "worker starting or leaving"
      case .paused: "worker paused"
      case .disk: "disk"
      case .transfer: "transfer"
      case .ready: "ready on the worker"
      case .schedulerLag: "scheduler lag"
      case .client: "waiting for a client"
      case .nothingToRun: "nothing to run"
      case .unknown: "unknown"
      }
    }

    /// What to do about it, in one sentence.
    package var advice: String {
      switch self {
      case .cpu: "The work itself: make the tasks faster, or add workers."
      case .notCPU:
        "Tasks held their threads without computing: look for I/O, sleep or the GIL, and give "
          + "workers more threads if they wait for I/O, or more processes if they share the GIL."
      case .computing: "The work itself: make the tasks faster, or add workers."
      case .deserializing: "Send less with each task: scatter large data, or build it in a task."
      case .lock:
        "Tasks waited for locks, semaphores, events or queues: hold them for less time, or use more of "
          + "them; --by lock names them."
      case .workerChange: "Start workers before the work, and keep them for longer."
      case .paused:
        "Workers stopped taking tasks for want of memory: give them more, or use smaller chunks."
      case .disk: "Data was spilled to disk and read again: use more memory or smaller chunks."
      case .transfer:
        "Threads waited for inputs from other workers: use fewer and larger workers, or reduce data "
          + "before it is combined."
      case .ready:
        "Tasks lay ready on a worker with a free thread: its event loop was late, so make tasks "
          + "longer than 100 ms and look for what holds the GIL."
      case .schedulerLag:
        "The scheduler was late: make fewer and longer tasks, or fuse small ones into larger ones."
      case .client:
        "The cluster had no work: submit the next work before you wait for results, or stop the "
          + "workers between jobs."
      case .nothingToRun:
        "Tasks waited for others that still ran: split the longest tasks, shorten the critical "
          + "path, or use fewer workers."
      case .unknown:
        "The log does not say: see its gaps and the events of workers that are missing."
      }
    }

    /// Whether a thread works on a task.
    package var isBusy: Bool { rawValue <= Class.lock.rawValue }
  }

  /// The time of each class.
  package struct Split: Sendable, Equatable {
    package private(set) var nanoseconds = [Int64](repeating: 0, count: Class.allCases.count)
    /// The part of the work on tasks that brought no result that lasted.
    package private(set) var wasted: Int64 = 0

    package init() {}

    package subscript(_ kind: Class) -> Int64 {
      get { nanoseconds[kind.rawValue] }
      set { nanoseconds[kind.rawValue] = newValue }
    }

    package var total: Int64 { nanoseconds.reduce(0, &+) }

    /// The time that threads worked on tasks.
    package var busy: Int64 {
      Class.allCases.reduce(0) { $1.isBusy ? $0 &+ self[$1] : $0 }
    }

    mutating func add(_ kind: Class, _ nanoseconds: Int64, isWasted: Bool) {
      self[kind] += nanoseconds
      if isWasted, kind.isBusy { wasted += nanoseconds }
    }

    /// The class with the most time; `nil` if there is no time at all.
    package var largest: Class? {
      Class.allCases.max { self[$0] < self[$1] }.flatMap { self[$0] > 0 ? $0 : nil }
    }
  }

  /// The names of a dimension, and the time of each.
  package struct Dimension: Sendable, Equatable {
    /// `nil` stands for no task.
    package var rows: [String?: Split] = [:]

    mutating func add(
      _ name: String?, _ kind: Class, _ nanoseconds: Int64, isWasted: Bool = false
    ) {
      rows[name, default: Split()].add(kind, nanoseconds, isWasted: isWasted)
    }

    /// The rows with the most time first; no task comes last.
    package var sorted: [(name: String?, split: Split)] {
      rows.map { ($0.key, $0.value) }.sorted {
        ($0.0 == nil ? 1 : 0, -$0.1.total, $0.0 ?? "") < (
          $1.0 == nil ? 1 : 0, -$1.1.total, $1.0 ?? ""
        )
      }
    }
  }

  /// Threads × time that the workers were there.
  package var total: Int64 = 0
  package var split = Split()
  /// By prefix, client, span and job of the tasks that threads worked on.
  package var prefixes = Dimension()
  package var clients = Dimension()
  package var spans = Dimension()
  package var jobs = Dimension()
  /// By worker, with `WorkerLives.label`.
  package var workers = Dimension()
  /// By the lock, semaphore, event, queue or variable that a task waited for: its kind and name.
  package var locks = Dimension()
  /// Over time: when it starts, the width of an interval, and the time of each.
  package var start: Int64 = 0
  package var width: Int64 = 1
  package var intervals: [Split] = []

  package init() {}
}
