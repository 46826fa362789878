/// Splits the time of threads: pure, from intervals.
///
/// For each worker the boundaries of its intervals are visited in order of time. Between two of them
/// nothing changes, so that each of its threads belongs to one class. What is the same for all workers
/// is summed up once, and an idle time takes the difference of two sums.
package struct ThreadTimeSweep {
  private typealias Class = ThreadTime.Class
  private typealias Interval = ThreadTimeInput.Interval

  private let input: ThreadTimeInput
  private let idle: IdleClasses
  private var result = ThreadTime()

  package static func split(_ input: ThreadTimeInput) -> ThreadTime {
    var sweep = ThreadTimeSweep(input)
    for worker in input.workers { sweep.add(worker) }
    return sweep.result
  }

  private init(_ input: ThreadTimeInput) {
    self.input = input
    let present = input.workers.flatMap(\.present).compactMap { $0.part(of: input.window) }
    let start = present.map(\.start).min() ?? 0
    let stop = present.map(\.stop).max() ?? 0
    let count = Int64(max(1, input.intervalCount))
    result.start = start
    result.width = max(1, (stop - start + count - 1) / count)
    result.intervals = Array(
      repeating: ThreadTime.Split(),
      count: Int(max(0, stop - start + result.width - 1) / result.width))
    idle = IdleClasses(input)
  }

  // MARK: - One worker

  /// What begins or ends at a boundary.
  private enum Change {
    case present, changing, paused, disk, transfer, ready
    case work(Int)
  }

  private mutating func add(_ worker: ThreadTimeInput.Worker) {
    guard worker.threads > 0 else { return }
    let present = worker.present.compactMap { $0.part(of: input.window) }.merged()
    result.total += worker.threads * present.reduce(0) { $0 + ($1.stop - $1.start) }
    var boundaries: [(time: Int64, isStart: Bool, change: Change)] = []
    func bound(_ intervals: [Interval], _ change: Change) {
      for interval in intervals where interval.start < interval.stop {
        boundaries.append((interval.start, true, change))
        boundaries.append((interval.stop, false, change))
      }
    }
    bound(present, .present)
    bound(worker.changing, .changing)
    bound(worker.paused, .paused)
    bound(worker.disk, .disk)
    bound(worker.transfers, .transfer)
    bound(worker.ready, .ready)
    bound(worker.sent, .ready)
    bound(worker.constrained, .ready)
    for (index, work) in worker.work.enumerated() { bound([work.interval], .work(index)) }
    boundaries.sort { $0.time < $1.time }

    var counts = Counts()
    var working = Working(threads: worker.threads, count: worker.work.count)
    var last = Int64.min
    for boundary in boundaries {
      if boundary.time > last, counts.present > 0 {
        add(worker, working.busy, counts.first, last, boundary.time)
      }
      last = boundary.time
      let step = boundary.isStart ? 1 : -1
      switch boundary.change {
      case .present: counts.present += step
      case .changing: counts.changing += step
      case .paused: counts.paused += step
      case .disk: counts.disk += step
      case .transfer: counts.transfers += step
      case .ready: counts.ready += step
      case .work(let index):
        if boundary.isStart { working.begin(index) } else { working.end(index) }
      }
    }
  }

  /// The work that has a thread. A task that has left its thread, as one that waits for others, may run in
  /// addition to a new one: what began first has a thread, the rest waits for one.
  private struct Working {
    private let threads: Int
    /// In the order in which they began.
    private(set) var busy: [Int] = []
    /// From `next` on, some of which have ended.
    private var waiting: [Int] = []
    private var next = 0
    private var hasEnded: [Bool]

    init(threads: Int64, count: Int) {
      self.threads = Int(clamping: threads)
      hasEnded = Array(repeating: false, count: count)
    }

    mutating func begin(_ index: Int) {
      if busy.count < threads { busy.append(index) } else { waiting.append(index) }
    }

    mutating func end(_ index: Int) {
      hasEnded[index] = true
      guard let place = busy.firstIndex(of: index) else { return }
      busy.remove(at: place)
      while next < waiting.count {
        next += 1
        if !hasEnded[waiting[next - 1]] { return busy.append(waiting[next - 1]) }
      }
    }
  }

  private struct Counts {
    var present = 0, changing = 0, paused = 0, disk = 0, transfers = 0, ready = 0

    /// The class of an idle thread; `nil` if the worker does not tell.
    var first: Class? {
      if changing > 0 { return .workerChange }
      if paused > 0 { return .paused }
      if disk > 0 { return .disk }
      if transfers > 0 { return .transfer }
      return ready > 0 ? .ready : nil
    }
  }

  /// Adds a time in which nothing changes.
  private mutating func add(
    _ worker: ThreadTimeInput.Worker, _ busy: [Int], _ first: Class?, _ start: Int64,
    _ stop: Int64
  ) {
    let idleCount = worker.threads - Int64(busy.count)
    var time = start
    while time < stop {
      // A damaged log may have any times.
      let last = max(0, result.intervals.count - 1)
      let index = min(last, max(0, Int((time - result.start) / result.width)))
      let (edge, isPast) = result.start.addingReportingOverflow(Int64(index + 1) * result.width)
      let end = isPast || edge <= time ? stop : min(stop, edge)
      for place in busy { add(worker, worker.work[place], index, time, end) }
      if idleCount > 0 {
        if let first {
          add(first, nil, worker, index, idleCount * (end - time))
        } else {
          for (kind, nanoseconds) in idle.times(time, end) where nanoseconds > 0 {
            add(kind, nil, worker, index, idleCount * nanoseconds)
          }
        }
      }
      time = end
    }
  }

  private mutating func add(
    _ worker: ThreadTimeInput.Worker, _ work: ThreadTimeInput.Work, _ index: Int,
    _ start: Int64, _ stop: Int64
  ) {
    let (task, nanoseconds) = (input.tasks[work.task], stop - start)
    guard work.kind == .computing, let share = task.prefix.flatMap({ worker.cpuShares[$0] }) else {
      return add(work.kind, task, worker, index, nanoseconds, lock: work.lock)
    }
    // Differences of sums since the start of the work: they do not depend on where it is divided.
    func sum(_ time: Int64) -> Int64 {
      Int64(exactly: (Double(time &- work.interval.start) * share).rounded()) ?? 0
    }
    let cpu = min(nanoseconds, max(0, sum(stop) &- sum(start)))
    add(.cpu, task, worker, index, cpu)
    add(.notCPU, task, worker, index, nanoseconds - cpu)
  }

  private mutating func add(
    _ kind: Class, _ task: ThreadTimeInput.Task?, _ worker: ThreadTimeInput.Worker, _ index: Int,
    _ nanoseconds: Int64, lock: String? = nil
  ) {
    guard nanoseconds > 0, !input.selectsTasks || task?.isSelected == true else { return }
    let isWasted = task?.isWasted ?? false
    func add(to dimension: inout ThreadTime.Dimension, _ name: String?) {
      dimension.add(name, kind, nanoseconds, isWasted: isWasted)
    }
    result.split.add(kind, nanoseconds, isWasted: isWasted)
    add(to: &result.prefixes, task?.prefix)
    add(to: &result.clients, task?.client)
    add(to: &result.spans, task?.span)
    add(to: &result.jobs, task?.job)
    add(to: &result.workers, worker.name)
    add(to: &result.locks, lock)
    guard result.intervals.indices.contains(index) else { return }
    result.intervals[index].add(kind, nanoseconds, isWasted: isWasted)
  }
}

/// The classes of idle threads that are the same for all workers, as sums since the beginning.
private struct IdleClasses {
  private static let classes: [ThreadTime.Class] = [
    .schedulerLag, .client, .nothingToRun, .unknown,
  ]

  private var times: [Int64] = []
  /// The class from each time on, as an index in `classes`.
  private var kinds: [Int] = []
  /// The sums at each time.
  private var sums: [[Int64]] = Array(repeating: [], count: classes.count)

  init(_ input: ThreadTimeInput) {
    var boundaries: [(time: Int64, place: Int, step: Int)] = []
    for (place, intervals) in [input.schedulerLag, input.unfinished, input.known].enumerated() {
      for interval in intervals where interval.start < interval.stop {
        boundaries.append((interval.start, place, 1))
        boundaries.append((interval.stop, place, -1))
      }
    }
    boundaries.sort { $0.time < $1.time }
    var counts = [0, 0, 0]
    var current = [Int64](repeating: 0, count: Self.classes.count)
    for (index, boundary) in boundaries.enumerated() {
      counts[boundary.place] += boundary.step
      guard index + 1 == boundaries.count || boundaries[index + 1].time > boundary.time else {
        continue
      }
      let kind = counts[0] > 0 ? 0 : counts[2] == 0 ? 3 : counts[1] == 0 ? 1 : 2
      if let last = kinds.last {
        if last == kind { continue }
        current[last] &+= boundary.time &- times[times.count - 1]
      }
      times.append(boundary.time)
      kinds.append(kind)
      for place in current.indices { sums[place].append(current[place]) }
    }
  }

  /// The time of each class between two times.
  func times(_ start: Int64, _ stop: Int64) -> [(ThreadTime.Class, Int64)] {
    var parts = Self.classes.indices.map { sum($0, stop) &- sum($0, start) }
    // Before the first boundary nothing is known.
    parts[3] &+= stop &- start &- parts.reduce(0, &+)
    return zip(Self.classes, parts).map { ($0, $1) }
  }

  private func sum(_ place: Int, _ time: Int64) -> Int64 {
    var (low, high) = (0, times.count)
    while low < high {
      let middle = (low + high) / 2
      if times[middle] <= time { low = middle + 1 } else { high = middle }
    }
    guard low > 0 else { return 0 }
    return sums[place][low - 1] &+ (kinds[low - 1] == place ? time &- times[low - 1] : 0)
  }
}
