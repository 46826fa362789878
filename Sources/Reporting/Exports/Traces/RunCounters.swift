import EventLog
import LogAnalysis
import TaskLogPlugin

/// Counts the tasks in each state, and for each worker its assigned tasks and the bytes of its
/// results, from the scheduler's events.
struct RunCounters {
  private let scheduler: String
  private let resolution: Int64
  private var states: [State: TraceCounter] = [:]
  private var stateOrder: [State] = []
  private var occupancy: [String: TraceCounter] = [:]
  private var bytes: [String: TraceCounter] = [:]
  private var workerOrder: [String] = []
  /// The state of each key: its index in `stateOrder` plus one.
  private var stateOf = IntegersByKey<UInt8>()
  private var assignedTo: [Int64: String] = [:]
  private var results: [Int64: StoredResult] = [:]

  /// The size and location of a task's result.
  private struct StoredResult {
    var nbytes: Int64
    var workers: [String]
  }

  /// The maximum number of points of all counters.
  private static let pointLimit: Int64 = 2_000_000

  init(_ walk: RunWalk, scheduler: String) {
    self.scheduler = scheduler
    let run = walk.run
    let events = (run.lastSeq ?? 0) - (run.firstSeq ?? 0)
    guard events > 200_000 else {
      resolution = 0
      return
    }
    let counters = Int64(8 + 2 * walk.sources.count)
    let points = min(20_000, max(500, Self.pointLimit / counters))
    resolution = max(1, ((run.ended ?? run.started) - run.started) / points)
  }

  mutating func apply(
    _ recorded: RecordedEvent, _ time: Int64, _ runArgs: RunArgs?,
    _ processes: inout TraceProcesses, _ writer: inout some TraceWriter
  ) {
    let event = recorded.event
    switch event.hook {
    case .transition:
      guard let start = event.start, let finish = event.finish, start != finish else { return }
      count(recorded.keyNumber, finish, time, &processes, &writer)
      if start == .processing, let worker = assignedTo.removeValue(forKey: recorded.keyNumber) {
        add(-1, to: \.occupancy, worker, time, &processes, &writer)
      }
      if finish == .processing, let worker = event.worker {
        assignedTo[recorded.keyNumber] = worker
        add(1, to: \.occupancy, worker, time, &processes, &writer)
      }
      if finish == .memory {
        if let worker = runArgs?.worker ?? event.worker, let nbytes = runArgs?.nbytes {
          drop(recorded.keyNumber, time, &processes, &writer)
          results[recorded.keyNumber] = StoredResult(nbytes: nbytes, workers: [worker])
          add(nbytes, to: \.bytes, worker, time, &processes, &writer)
        }
      } else if start == .memory {
        drop(recorded.keyNumber, time, &processes, &writer)
      }
    case .addReplica:
      guard let worker = event.worker, var result = results[recorded.keyNumber],
        !result.workers.contains(worker)
      else { return }
      result.workers.append(worker)
      results[recorded.keyNumber] = result
      add(result.nbytes, to: \.bytes, worker, time, &processes, &writer)
    case .removeReplica:
      guard let worker = event.worker, let result = results[recorded.keyNumber],
        let index = result.workers.firstIndex(of: worker)
      else { return }
      results[recorded.keyNumber]?.workers.remove(at: index)
      add(-result.nbytes, to: \.bytes, worker, time, &processes, &writer)
    case .removeWorker:
      if let worker = event.worker { removeWorker(worker, time, &processes, &writer) }
    default: break
    }
  }

  mutating func finish(_ writer: inout some TraceWriter) {
    for state in stateOrder { states[state]?.finish(&writer) }
    for worker in workerOrder {
      occupancy[worker]?.finish(&writer)
      bytes[worker]?.finish(&writer)
    }
  }

  // MARK: - Changes

  private mutating func count(
    _ key: Int64, _ state: State, _ time: Int64, _ processes: inout TraceProcesses,
    _ writer: inout some TraceWriter
  ) {
    let previous = stateOf[key]
    if previous > 0 { states[stateOrder[Int(previous) - 1]]?.add(-1, at: time, &writer) }
    guard state != .forgotten else {
      stateOf[key] = 0
      return
    }
    if states[state] == nil, stateOrder.count < 255 {
      let track = processes.track(
        .tasks, "tasks \(state.name)", kind: .counter(isBytes: false), of: scheduler, &writer)
      states[state] = TraceCounter(track, resolution: resolution)
      stateOrder.append(state)
    }
    states[state]?.add(1, at: time, &writer)
    stateOf[key] = UInt8(truncatingIfNeeded: (stateOrder.firstIndex(of: state) ?? -1) + 1)
  }

  private mutating func add(
    _ difference: Int64, to counters: WritableKeyPath<RunCounters, [String: TraceCounter]>,
    _ worker: String, _ time: Int64, _ processes: inout TraceProcesses,
    _ writer: inout some TraceWriter
  ) {
    if self[keyPath: counters][worker] == nil {
      let isBytes = counters == \.bytes
      let track = processes.track(
        isBytes ? .bytes : .occupancy, isBytes ? "bytes in memory" : "tasks given",
        kind: .counter(isBytes: isBytes), of: worker, &writer)
      self[keyPath: counters][worker] = TraceCounter(track, resolution: resolution)
      if !workerOrder.contains(worker) { workerOrder.append(worker) }
    }
    self[keyPath: counters][worker]?.add(difference, at: time, &writer)
  }

  private mutating func drop(
    _ key: Int64, _ time: Int64, _ processes: inout TraceProcesses,
    _ writer: inout some TraceWriter
  ) {
    guard let result = results.removeValue(forKey: key) else { return }
    for worker in result.workers {
      add(-result.nbytes, to: \.bytes, worker, time, &processes, &writer)
    }
  }

  /// Removes the results of a worker that is gone.
  private mutating func removeWorker(
    _ worker: String, _ time: Int64, _ processes: inout TraceProcesses,
    _ writer: inout some TraceWriter
  ) {
    if let remaining = bytes[worker]?.value, remaining != 0 {
      add(-remaining, to: \.bytes, worker, time, &processes, &writer)
    }
    for (key, result) in results {
      if let index = result.workers.firstIndex(of: worker) {
        results[key]?.workers.remove(at: index)
      }
    }
  }
}
