/// When threads had nothing to run although tasks were unfinished, and whose fault it was: pure, from
/// intervals. All times are nanoseconds.
struct IdleThreads: Sendable {
  private typealias Interval = ThreadTimeInput.Interval

  /// The tasks of a prefix that computed much longer than its median, while threads had nothing to run.
  struct Stragglers: Sendable, Equatable {
    var prefix: String
    var tasks: Int
    var longest: Int64
    var median: Int64
    var cost: Int64
  }

  /// The time of all threads while tasks were unfinished.
  var active: Int64 = 0
  /// The same between the first and the last task while no task was unfinished.
  var betweenTasks: Int64 = 0
  /// Idle threads while tasks were ready on other workers.
  var imbalance: Int64 = 0
  var stragglers: [Stragglers] = []
  /// Idle threads for neither reason: there were too few tasks.
  var tooFewTasks: Int64 = 0
  /// The maximum number of threads at a time.
  var threads: Int64 = 0
  /// The maximum number of tasks that ran or were ready at a time.
  var mostTasks: Int64 = 0
  /// The threads of workers that joined after the first task was there, and the time that they missed.
  var late: (workers: Int, time: Int64, longest: Int64) = (0, 0, 0)

  /// The time of threads of workers that had left while tasks waited for a thread, and the maximum number
  /// of threads that were missing so.
  var left: (time: Int64, threads: Int64) = (0, 0)

  init() {}

  init(_ input: ThreadTimeInput, _ thresholds: AdviceThresholds) {
    let whole = input.unfinished.compactMap { $0.part(of: input.window) }.merged()
    let unfinished = whole.flatMap { part in input.known.merged().compactMap { part.part(of: $0) } }
      .merged()
    guard let start = unfinished.first?.start, let stop = unfinished.last?.stop else { return }
    active = Self.threadTime(input.workers, in: unfinished)
    betweenTasks = Self.threadTime(input.workers, in: Interval(start, stop).without(unfinished))
    threads = Self.mostThreads(input.workers)
    for worker in input.workers where worker.threads > 0 {
      guard let joined = worker.present.map(\.start).min(), joined > start else { continue }
      let missed = [Interval(start, joined)].flatMap { part in
        unfinished.compactMap { part.part(of: $0) }
      }.reduce(Int64(0)) { $0 + $1.stop - $1.start }
      guard Double(missed) >= thresholds.lateWorkerSeconds * 1e9 else { continue }
      late.workers += 1
      late.time += missed * worker.threads
      late.longest = max(late.longest, missed)
    }
    guard !input.selectsTasks else { return }
    left = Self.left(input, thresholds)
    let steps = IdleSteps(input, unfinished, thresholds)
    mostTasks = steps.mostTasks
    imbalance = steps.imbalance
    stragglers = Self.stragglers(input, steps, thresholds)
    tooFewTasks = max(0, steps.unshared - stragglers.reduce(0) { $0 + $1.cost })
  }

  /// What is missing of the threads that were there before, while tasks waited for a thread.
  private static func left(
    _ input: ThreadTimeInput, _ thresholds: AdviceThresholds
  ) -> (time: Int64, threads: Int64) {
    let delay = Int64(thresholds.imbalanceSeconds * 1e9)
    let all = input.workers.flatMap(\.allReady) + input.schedulerLag
    let waits = all.compactMap { wait -> Interval? in
      guard wait.stop - wait.start > delay else { return nil }
      return Interval(wait.start + delay, wait.stop).part(of: input.window)
    }.merged()
    var steps: [(time: Int64, threads: Int64, waits: Int64)] = []
    for worker in input.workers {
      for present in worker.present.compactMap({ $0.part(of: input.window) }).merged() {
        steps += [(present.start, worker.threads, 0), (present.stop, -worker.threads, 0)]
      }
    }
    for wait in waits { steps += [(wait.start, 0, 1), (wait.stop, 0, -1)] }
    steps.sort { $0 < $1 }
    var (threads, before, isWaiting): (Int64, Int64, Int64) = (0, 0, 0)
    var left: (time: Int64, threads: Int64) = (0, 0)
    for (index, step) in steps.enumerated() where index + 1 < steps.count {
      threads += step.threads
      isWaiting += step.waits
      before = max(before, threads)
      let time = steps[index + 1].time - step.time
      guard isWaiting > 0, time > 0, threads < before else { continue }
      left.time += (before - threads) * time
      left.threads = max(left.threads, before - threads)
    }
    return left
  }

  private static func mostThreads(_ workers: [ThreadTimeInput.Worker]) -> Int64 {
    let steps = workers.flatMap { worker in
      worker.present.merged().flatMap { [($0.start, worker.threads), ($0.stop, -worker.threads)] }
    }.sorted { $0 < $1 }
    var (threads, most): (Int64, Int64) = (0, 0)
    for (_, step) in steps {
      threads += step
      most = max(most, threads)
    }
    return most
  }

  /// Threads × time that workers were there, within intervals.
  private static func threadTime(
    _ workers: [ThreadTimeInput.Worker], in intervals: [Interval]
  ) -> Int64 {
    workers.reduce(0) { sum, worker in
      let present = worker.present.merged()
      let time = intervals.reduce(Int64(0)) { sum, interval in
        sum
          + present.reduce(Int64(0)) { sum, each in
            sum + (each.part(of: interval).map { $0.stop - $0.start } ?? 0)
          }
      }
      return sum + time * worker.threads
    }
  }

  private static func stragglers(
    _ input: ThreadTimeInput, _ steps: IdleSteps, _ thresholds: AdviceThresholds
  ) -> [Stragglers] {
    var runs: [String: [Interval]] = [:]
    for worker in input.workers {
      for work in worker.work where work.kind == .computing {
        guard work.interval.part(of: input.window) != nil else { continue }
        guard let prefix = input.tasks[work.task].prefix else { continue }
        runs[prefix, default: []].append(work.interval)
      }
    }
    var found: [Stragglers] = []
    for (prefix, runs) in runs where runs.count >= thresholds.stragglerTasks {
      let durations = runs.map { $0.stop - $0.start }.sorted()
      let median = durations[(durations.count - 1) / 2]
      let limit = Double(median) * thresholds.stragglerFactor
      let long = runs.filter { Double($0.stop - $0.start) > limit }
      guard !long.isEmpty, median > 0 else { continue }
      // What it computed for longer than the others, counted once where several did.
      let beyond = long.map { Interval($0.start + median, $0.stop) }.merged()
      let cost = beyond.reduce(Int64(0)) { $0 + steps.unshared(from: $1.start, to: $1.stop) }
      guard cost > 0 else { continue }
      found.append(
        Stragglers(
          prefix: prefix, tasks: long.count, longest: durations.last ?? 0, median: median,
          cost: cost))
    }
    return found.sorted { ($1.cost, $0.prefix) < ($0.cost, $1.prefix) }
  }
}

/// The number of idle threads that no other class explains, as a step function of time.
private struct IdleSteps {
  private typealias Interval = ThreadTimeInput.Interval

  private(set) var imbalance: Int64 = 0
  private(set) var mostTasks: Int64 = 0
  private var times: [Int64] = []
  private var counts: [Int64] = []
  /// The sum of thread-time before each time.
  private var sums: [Int64] = []

  private enum Change { case threads, active, lag, ready, running }

  init(
    _ input: ThreadTimeInput, _ unfinished: [ThreadTimeInput.Interval],
    _ thresholds: AdviceThresholds
  ) {
    var boundaries: [(time: Int64, change: Change, step: Int64)] = []
    func bound(_ interval: Interval, _ change: Change, _ count: Int64) {
      guard interval.start < interval.stop, count != 0 else { return }
      boundaries.append((interval.start, change, count))
      boundaries.append((interval.stop, change, -count))
    }
    for interval in unfinished { bound(interval, .active, 1) }
    for interval in input.schedulerLag { bound(interval, .lag, 1) }
    let delay = Int64(thresholds.imbalanceSeconds * 1e9)
    for worker in input.workers where worker.threads > 0 {
      for idle in Self.idle(worker) { bound(idle.interval, .threads, idle.count) }
      for work in worker.work { bound(work.interval, .running, 1) }
      for ready in worker.allReady where ready.stop - ready.start > delay {
        bound(Interval(ready.start + delay, ready.stop), .ready, 1)
      }
    }
    boundaries.sort { $0.time < $1.time }
    var (threads, active, lag): (Int64, Int64, Int64) = (0, 0, 0)
    var (ready, running): (Int64, Int64) = (0, 0)
    var sum: Int64 = 0
    for (index, boundary) in boundaries.enumerated() {
      switch boundary.change {
      case .threads: threads += boundary.step
      case .active: active += boundary.step
      case .lag: lag += boundary.step
      case .ready: ready += boundary.step
      case .running: running += boundary.step
      }
      guard index + 1 < boundaries.count, boundaries[index + 1].time > boundary.time else {
        continue
      }
      let duration = boundaries[index + 1].time - boundary.time
      if active > 0 { mostTasks = max(mostTasks, running + ready) }
      let idle = active > 0 && lag == 0 ? max(0, threads) : 0
      imbalance += min(idle, ready) * duration
      let unshared = max(0, idle - ready)
      times.append(boundary.time)
      counts.append(unshared)
      sums.append(sum)
      sum += unshared * duration
    }
    if let last = boundaries.last {
      times.append(last.time)
      counts.append(0)
      sums.append(sum)
    }
  }

  /// Idle threads × time while no task was ready elsewhere.
  var unshared: Int64 { sums.last ?? 0 }

  func unshared(from start: Int64, to stop: Int64) -> Int64 { sum(stop) - sum(start) }

  private func sum(_ time: Int64) -> Int64 {
    var (low, high) = (0, times.count)
    while low < high {
      let middle = (low + high) / 2
      if times[middle] <= time { low = middle + 1 } else { high = middle }
    }
    guard low > 0 else { return 0 }
    return sums[low - 1] + counts[low - 1] * (time - times[low - 1])
  }

  /// The idle threads of a worker while it neither changes nor waits for memory, disk or data.
  private static func idle(
    _ worker: ThreadTimeInput.Worker
  ) -> [(interval: ThreadTimeInput.Interval, count: Int64)] {
    let explained =
      worker.changing + worker.paused + worker.disk + worker.transfers + worker.allReady
    let open = worker.present.merged().flatMap { $0.without(explained) }
    var boundaries: [(time: Int64, open: Int64, busy: Int64)] = []
    for interval in open {
      boundaries.append((interval.start, 1, 0))
      boundaries.append((interval.stop, -1, 0))
    }
    for work in worker.work where work.interval.start < work.interval.stop {
      boundaries.append((work.interval.start, 0, 1))
      boundaries.append((work.interval.stop, 0, -1))
    }
    boundaries.sort { $0.time < $1.time }
    var found: [(interval: Interval, count: Int64)] = []
    var (isOpen, busy): (Int64, Int64) = (0, 0)
    for (index, boundary) in boundaries.enumerated() {
      isOpen += boundary.open
      busy += boundary.busy
      guard isOpen > 0, busy < worker.threads, index + 1 < boundaries.count else { continue }
      found.append(
        (Interval(boundary.time, boundaries[index + 1].time), worker.threads - busy))
    }
    return found
  }
}
