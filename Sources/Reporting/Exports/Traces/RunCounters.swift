import EventLog
import TaskLogPlugin

/// How many tasks are in each state, and for each worker how many it has been given and the bytes of
/// results that it holds, from what the scheduler tells.
struct RunCounters {
  private let scheduler: String
  private let resolution: Int64
  private var states: [State: TraceCounter] = [:]
  private var stateOrder: [State] = []
  private var occupancy: [String: TraceCounter] = [:]
  private var bytes: [String: TraceCounter] = [:]
  private var workerOrder: [String] = []
  /// The state of each key, by its place in `stateOrder` plus one.
  private var stateOf = IntegersByKey<UInt8>()
  private var givenTo: [Int64: String] = [:]
  private var held: [Int64: Held] = [:]

  /// Where the result of a task lies.
  private struct Held {
    var nbytes: Int64
    var workers: [String]
  }

  /// Counters have at most so many points on the whole.
  private static let mostPoints: Int64 = 2_000_000

  init(_ walk: RunWalk, scheduler: String) {
    self.scheduler = scheduler
    let run = walk.run
    let events = (run.lastSeq ?? 0) - (run.firstSeq ?? 0)
    guard events > 200_000 else {
      resolution = 0
      return
    }
    let counters = Int64(8 + 2 * walk.sources.count)
    let points = min(20_000, max(500, Self.mostPoints / counters))
    resolution = max(1, ((run.ended ?? run.started) - run.started) / points)
  }

  mutating func take(
    _ recorded: RecordedEvent, _ time: Int64, _ facts: RunArgs?,
    _ processes: inout TraceProcesses, _ writer: inout some TraceWriter
  ) {
    let event = recorded.event
    switch event.hook {
    case .transition:
      guard let start = event.start, let finish = event.finish, start != finish else { return }
      count(recorded.keyNumber, finish, time, &processes, &writer)
      if start == .processing, let worker = givenTo.removeValue(forKey: recorded.keyNumber) {
        add(-1, to: \.occupancy, worker, time, &processes, &writer)
      }
      if finish == .processing, let worker = event.worker {
        givenTo[recorded.keyNumber] = worker
        add(1, to: \.occupancy, worker, time, &processes, &writer)
      }
      if finish == .memory {
        if let worker = facts?.worker ?? event.worker, let nbytes = facts?.nbytes {
          drop(recorded.keyNumber, time, &processes, &writer)
          held[recorded.keyNumber] = Held(nbytes: nbytes, workers: [worker])
          add(nbytes, to: \.bytes, worker, time, &processes, &writer)
        }
      } else if start == .memory {
        drop(recorded.keyNumber, time, &processes, &writer)
      }
    case .addReplica:
      guard let worker = event.worker, var result = held[recorded.keyNumber],
        !result.workers.contains(worker)
      else { return }
      result.workers.append(worker)
      held[recorded.keyNumber] = result
      add(result.nbytes, to: \.bytes, worker, time, &processes, &writer)
    case .removeReplica:
      guard let worker = event.worker, let result = held[recorded.keyNumber],
        let place = result.workers.firstIndex(of: worker)
      else { return }
      held[recorded.keyNumber]?.workers.remove(at: place)
      add(-result.nbytes, to: \.bytes, worker, time, &processes, &writer)
    case .removeWorker:
      if let worker = event.worker { lose(worker, time, &processes, &writer) }
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
    let before = stateOf[key]
    if before > 0 { states[stateOrder[Int(before) - 1]]?.add(-1, at: time, &writer) }
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
    guard let result = held.removeValue(forKey: key) else { return }
    for worker in result.workers {
      add(-result.nbytes, to: \.bytes, worker, time, &processes, &writer)
    }
  }

  /// What a worker held is gone with it.
  private mutating func lose(
    _ worker: String, _ time: Int64, _ processes: inout TraceProcesses,
    _ writer: inout some TraceWriter
  ) {
    if let left = bytes[worker]?.value, left != 0 {
      add(-left, to: \.bytes, worker, time, &processes, &writer)
    }
    for (key, result) in held {
      if let place = result.workers.firstIndex(of: worker) {
        held[key]?.workers.remove(at: place)
      }
    }
  }
}
