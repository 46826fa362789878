/// The memory that a task of a prefix uses at its peak, beyond the data that its worker keeps: an
/// estimate from what workers measured of their processes. All sizes are bytes.
package struct MemoryEstimate: Sendable, Equatable {
  /// What ran on a worker when it measured.
  package enum Basis: String, Sendable {
    /// One task of the prefix, alone.
    case alone
    /// Several tasks of the prefix, and no other.
    case together
    /// Tasks of several prefixes: what each of them used is not known, only that it was not more.
    case mixed
    /// No worker measured its memory while a task of the prefix ran.
    case none
  }

  package var basis = Basis.none
  /// The number of samples, and of the tasks that ran then.
  package var samples = 0
  package var tasks = 0
  /// The range in which the peak is expected; the high end is `nil` if too few tasks were sampled.
  package var low: Double?
  package var high: Double?
  /// The largest use that was seen.
  package var seen: Double?
  /// How many tasks were left out to see whether the range from the others holds them, and how many it
  /// held.
  package var leftOut = 0
  package var held = 0

  package init() {}
}

/// What one task, or one sample, says about the memory of a task.
struct MemoryUse: Sendable, Equatable {
  /// It used at least and at most this, and probably that.
  var low: Double
  var seen: Double
  var high: Double
  var samples = 1

  mutating func add(_ other: Self) {
    (low, seen, high) = (max(low, other.low), max(seen, other.seen), max(high, other.high))
    samples += other.samples
  }
}

extension MemoryEstimate {
  /// The factor of the distance between the two largest values, for one chance in ten that the largest one
  /// of all tasks is even larger: Robson and Whitlock, "Estimation of a truncation point", 1964.
  static let factor = 9.0
  /// The number of samples of the only task of a prefix from which they take the place of tasks.
  static let leastSamples = 3
  /// The number of tasks from which half of them is left out.
  static let leastLeftOut = 4

  /// - Parameters:
  ///   - tasks: what each task that was sampled used.
  ///   - samples: what each sample says.
  ///   - isOnlyTask: whether there is no other task.
  ///   - limit: no process used more.
  init(
    _ basis: Basis, tasks: [MemoryUse], samples: [MemoryUse], isOnlyTask: Bool = false,
    limit: Double?
  ) {
    guard !tasks.isEmpty else { return }
    self.basis = basis
    (self.tasks, self.samples) = (tasks.count, samples.count)
    seen = basis == .mixed ? nil : tasks.map(\.seen).max()
    low = basis == .mixed ? 0 : tasks.map(\.low).max()
    let isEnough = isOnlyTask && samples.count >= Self.leastSamples
    let units = tasks.count > 1 ? tasks : isEnough ? samples : []
    high = Self.bound(units.map(\.high)).map { min($0, limit ?? .infinity) }
    if basis != .mixed, tasks.count >= Self.leastLeftOut { leaveOut(tasks) }
  }

  /// Beyond which the largest of all values is not expected, from some of them.
  static func bound(_ values: [Double]) -> Double? {
    let sorted = values.sorted(by: >)
    guard sorted.count > 1 else { return nil }
    return sorted[0] + factor * (sorted[0] - sorted[1])
  }

  /// Checks each half of the tasks against the range from the other half.
  private mutating func leaveOut(_ tasks: [MemoryUse]) {
    for half in 0...1 {
      let kept = tasks.enumerated().filter { $0.offset % 2 == half }.map(\.element.high)
      guard let bound = Self.bound(kept) else { continue }
      for (index, task) in tasks.enumerated() where index % 2 != half {
        leftOut += 1
        if task.seen <= bound { held += 1 }
      }
    }
  }
}
