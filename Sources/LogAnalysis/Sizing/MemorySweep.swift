/// Finds out what tasks used of the memory of their workers: pure, from samples and from what ran.
///
/// A process uses more than it manages even if it does nothing. What it used beyond its results while
/// idle, before and after a sample, is taken off. All times are nanoseconds since 1970 UTC.
struct MemorySweep {
  struct Sample: Sendable {
    /// When the process was measured, and when the worker told its scheduler what it keeps.
    var measured: Int64
    var told: Int64
    /// The bytes of the process, and those of the results in it.
    var process: Double
    var managed: Double

    var unmanaged: Double { max(0, process - managed) }

    /// Between both times, and as far beyond as a clock may be off.
    var span: ThreadTimeInput.Interval {
      .init(measured &- MemorySweep.slack, told &+ MemorySweep.slack)
    }
  }

  /// How far a clock may be off.
  static let slack: Int64 = 20_000_000

  private typealias Interval = ThreadTimeInput.Interval

  /// By prefix.
  private(set) var estimates: [String: MemoryEstimate] = [:]
  /// What idle processes used beyond their results, from the least to the most; `nil` if none was idle.
  private(set) var idle: ClosedRange<Double>?

  private struct Uses {
    /// By worker and index of its work.
    var tasks: [SIMD2<Int>: MemoryUse] = [:]
    var samples: [MemoryUse] = []

    mutating func add(_ use: MemoryUse, of works: [SIMD2<Int>]) {
      samples.append(use)
      for work in works {
        if tasks[work]?.add(use) == nil { tasks[work] = use }
      }
    }

    func estimate(
      _ basis: MemoryEstimate.Basis, isOnlyTask: Bool, _ limit: Double?
    ) -> MemoryEstimate {
      // In an order that does not depend on hashes.
      let sorted = tasks.sorted { ($0.key.x, $0.key.y) < ($1.key.x, $1.key.y) }.map(\.value)
      return MemoryEstimate(
        basis, tasks: sorted, samples: samples, isOnlyTask: isOnlyTask, limit: limit)
    }
  }

  private var alone: [String: Uses] = [:]
  private var together: [String: Uses] = [:]
  private var mixed: [String: Uses] = [:]

  /// - Parameters:
  ///   - samples: of each worker, in the order of time.
  ///   - limits: of each worker; 0 or absent if it has none.
  ///   - singles: the prefixes that have one task.
  init(
    _ input: ThreadTimeInput, _ samples: [Int: [Sample]], limits: [Int: Int64],
    singles: Set<String> = []
  ) {
    let idle = Dictionary(
      uniqueKeysWithValues: samples.map { ($0, Self.idle($1, input.workers[$0])) })
    let unmanaged = idle.values.flatMap { $0.map(\.unmanaged) }
    if let least = unmanaged.min(), let most = unmanaged.max() { self.idle = least...most }
    for (worker, samples) in samples.sorted(by: { $0.key < $1.key }) {
      add(samples, idle[worker] ?? [], worker, input, leastIdle: unmanaged.min() ?? 0)
    }
    let known = input.workers.indices.map { Double(limits[$0] ?? 0) }
    let limit = known.allSatisfy { $0 > 0 } ? known.max() : nil
    for prefix in Set(alone.keys).union(together.keys).union(mixed.keys) {
      let found: [(MemoryEstimate.Basis, Uses?)] = [
        (.alone, alone[prefix]), (.together, together[prefix]), (.mixed, mixed[prefix]),
      ]
      let all = found.compactMap { basis, uses in
        uses?.estimate(basis, isOnlyTask: singles.contains(prefix), limit)
      }
      // What says more is preferred, if it says how much more there may be.
      estimates[prefix] = all.first { $0.high != nil && $0.basis != .mixed } ?? all.first
    }
  }

  /// The samples during which no task ran.
  private static func idle(
    _ samples: [Sample], _ worker: ThreadTimeInput.Worker
  ) -> [Sample] {
    let busy = worker.work.map(\.interval).merged()
    var next = 0
    return samples.filter { sample in
      let span = sample.span
      while next < busy.count, busy[next].stop <= span.start { next += 1 }
      return next == busy.count || busy[next].start >= span.stop
    }
  }

  private mutating func add(
    _ samples: [Sample], _ idle: [Sample], _ worker: Int, _ input: ThreadTimeInput,
    leastIdle: Double
  ) {
    let works = input.workers[worker].work.enumerated().sorted {
      ($0.element.interval.start, $0.offset) < ($1.element.interval.start, $1.offset)
    }
    let least = samples.map(\.unmanaged).min() ?? 0
    var (next, before) = (0, 0)
    var active: [(offset: Int, element: ThreadTimeInput.Work)] = []
    for sample in samples {
      let (start, stop) = (sample.span.start, sample.span.stop)
      while next < works.count, works[next].element.interval.start < stop {
        active.append(works[next])
        next += 1
      }
      active.removeAll { $0.element.interval.stop <= start }
      guard !active.isEmpty,
        active.allSatisfy({ $0.element.interval.start <= start && $0.element.interval.stop >= stop }
        )
      else { continue }
      while before < idle.count, idle[before].measured < sample.measured { before += 1 }
      let around = [before > 0 ? idle[before - 1] : nil, before < idle.count ? idle[before] : nil]
        .compactMap { $0?.unmanaged }
      // Of a worker that was never idle the least that it ever used is an upper bound.
      let base = (min: around.min() ?? min(least, leastIdle), max: around.max() ?? least)
      add(
        sample.unmanaged - base.max, sample.unmanaged - base.min,
        active.map { work in
          (SIMD2(worker, work.offset), input.tasks[work.element.task].prefix ?? "")
        })
    }
  }

  private mutating func add(
    _ low: Double, _ high: Double, _ works: [(id: SIMD2<Int>, prefix: String)]
  ) {
    let (low, high) = (max(0, low), max(0, high))
    let (count, ids) = (Double(works.count), works.map(\.id))
    guard let first = works.first?.prefix else { return }
    if works.allSatisfy({ $0.prefix == first }) {
      let use = MemoryUse(low: low / count, seen: (low + high) / 2 / count, high: high)
      if works.count == 1 {
        alone[first, default: Uses()].add(use, of: ids)
      } else {
        together[first, default: Uses()].add(use, of: ids)
      }
    } else {
      for (id, prefix) in works {
        mixed[prefix, default: Uses()].add(MemoryUse(low: 0, seen: 0, high: high), of: [id])
      }
    }
  }
}
