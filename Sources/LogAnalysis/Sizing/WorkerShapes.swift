/// Which workers would have held a run: pure, from its memory.
struct WorkerShapes {
  /// The part of its limit from which on Dask pauses a worker.
  static let pausedFrom = 0.8
  /// The part of the work of which the range must be known.
  static let leastCovered = 0.9
  private static let mostThreads: Int64 = 256

  private(set) var shapes: [Sizing.Shape] = []

  init(
    _ input: ThreadTimeInput, _ samples: [Int: [MemorySweep.Sample]], _ memory: MemorySweep,
    _ prefixes: [Sizing.Prefix]
  ) {
    let threads = Self.most(
      input.workers.flatMap { worker in
        worker.present.merged().map { ($0, Double(worker.threads)) }
      })
    guard threads >= 1, !samples.isEmpty else { return }
    let kept = samples.mapValues { $0.map(\.managed).max() ?? 0 }
    let data =
      Self.most(
        samples.values.flatMap { samples in
          samples.enumerated().map { place, sample in
            let stop = place + 1 < samples.count ? samples[place + 1].told : sample.told &+ 1
            return (ThreadTimeInput.Interval(sample.told, stop), sample.managed)
          }
        }) / threads
    // The worker that kept the most for its threads.
    let skewed = kept.map { $1 / Double(max(1, input.workers[$0].threads)) }.max() ?? 0
    let least = samples.values.flatMap { $0.map(\.unmanaged) }.min() ?? 0
    let idle = memory.idle ?? least...least
    let low = prefixes.compactMap(\.memory.low).max() ?? 0
    func busy(_ prefixes: [Sizing.Prefix]) -> Double { Double(prefixes.reduce(0) { $0 + $1.busy }) }
    let covered = busy(prefixes.filter { $0.memory.high != nil }) / max(1, busy(prefixes))
    let high = covered < Self.leastCovered ? nil : prefixes.compactMap(\.memory.high).max()
    var seen: [Int64: Double] = [:]
    for (worker, samples) in samples {
      seen[input.workers[worker].threads, default: 0] = max(
        seen[input.workers[worker].threads] ?? 0, samples.map(\.process).max() ?? 0)
    }
    var counts = Set(seen.keys.filter { $0 > 0 })
    var count: Int64 = 1
    while Double(count) <= threads, count <= Self.mostThreads {
      counts.insert(count)
      count *= 2
    }
    shapes = counts.sorted().map { count in
      let own = Double(count)
      // Whether the task with the highest peak ran when most was kept is not known.
      var shape = Sizing.Shape(
        threads: count, workers: Int64((threads / own).rounded(.up)),
        low: idle.lowerBound + max(low, own * data), covered: covered)
      // A result is on one worker, however few threads that has.
      let most = max(own * skewed, Double(input.largestResult))
      shape.high = high.map { idle.upperBound + own * $0 + most }
      shape.limit = shape.high.map { $0 / Self.pausedFrom }
      shape.seen = seen[count]
      return shape
    }
  }

  /// The maximum of the sum of values that hold at the same time.
  private static func most(_ values: [(ThreadTimeInput.Interval, Double)]) -> Double {
    let steps = values.flatMap { [($0.start, $1), ($0.stop, -$1)] }.sorted { $0 < $1 }
    var (sum, most) = (0.0, 0.0)
    for (_, step) in steps {
      sum += step
      most = max(most, sum)
    }
    return most
  }
}
