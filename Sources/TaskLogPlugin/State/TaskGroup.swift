/// The tasks that share a group: Dask's `TaskGroup`, usually one call of `map`.
public final class TaskGroup {
  public let name: String
  public let prefix: TaskPrefix
  /// The number of tasks of the group in each state, forgotten ones included.
  public var states: [State: Int] { counts.byState }
  @exclusivity(unchecked) private var counts = StateCounts()
  /// Seconds spent, by action (`compute`, `transfer`, …).
  @exclusivity(unchecked) public internal(set) var allDurations = OrderedMap<String, Double>()
  /// Bytes of all results that the group ever had.
  @exclusivity(unchecked) public internal(set) var nbytesTotal: Int64 = 0

  init(name: String, prefix: TaskPrefix) {
    self.name = name
    self.prefix = prefix
  }

  /// The number of tasks of the group that are not forgotten.
  @exclusivity(unchecked) public private(set) var count = 0
  /// The number of tasks that the group ever had, forgotten ones included: Dask's `len(group)`.
  @exclusivity(unchecked) public private(set) var size = 0
  /// The groups that tasks of this one depend on, which may include itself.
  @exclusivity(unchecked) public internal(set) var dependencies = OrderedSet<TaskGroup>()

  func moved(from start: State?, to finish: State) {
    if let start {
      if start != .forgotten { count -= 1 }
      counts.add(-1, to: start)
      prefix.counts.add(-1, to: start)
      prefix.totals.counts.add(-1, to: start)
    } else {
      size += 1
    }
    if finish != .forgotten { count += 1 }
    counts.add(1, to: finish)
    prefix.counts.add(1, to: finish)
    prefix.totals.counts.add(1, to: finish)
  }

  /// Adds tasks that had been forgotten before a recorder was attached.
  func addForgotten(_ difference: Int) {
    guard difference > 0 else { return }
    size &+= difference
    counts.add(difference, to: .forgotten)
    prefix.counts.add(difference, to: .forgotten)
  }

  /// Sets the saved counts: recreated tasks must not be counted twice.
  func restore(size: Int, count: Int, states: [State: Int]) {
    self.size = size
    self.count = count
    counts = StateCounts(states)
  }

  func add(_ span: StartStop) {
    let seconds = max(0, span.stop - span.start)
    allDurations[span.action] = (allDurations[span.action] ?? 0) + seconds
    prefix.allDurations[span.action] = (prefix.allDurations[span.action] ?? 0) + seconds
    if span.action == "compute" { prefix.computeCount += 1 }
  }
}

/// The number of tasks in each state that any task has been in.
private struct StateCounts {
  /// By the index among the known states.
  private var known = InlineArray<19, Int>(repeating: 0)
  /// A bit for each known state that any task has been in.
  private var seenMask: UInt32 = 0
  private var others: [State: Int] = [:]

  init() {}

  init(_ counts: [State: Int]) {
    for (state, count) in counts { add(count, to: state) }
  }

  mutating func add(_ difference: Int, to state: State) {
    guard let index = state.knownIndex else {
      others[state, default: 0] &+= difference
      return
    }
    known[index] &+= difference
    seenMask |= 1 << UInt32(index)
  }

  subscript(state: State) -> Int {
    state.knownIndex.map { known[$0] } ?? others[state] ?? 0
  }

  var byState: [State: Int] {
    var counts = others
    for (index, state) in State.known.enumerated() where seenMask & 1 << UInt32(index) != 0 {
      counts[state] = known[index]
    }
    return counts
  }
}

/// The number of tasks of a scheduler in each state.
final class StateTotals {
  @exclusivity(unchecked) fileprivate var counts = StateCounts()

  subscript(state: State) -> Int { counts[state] }

  var byState: [State: Int] { counts.byState }

  func restore(_ states: [State: Int]) { counts = StateCounts(states) }
}

/// The tasks that share a prefix: Dask's `TaskPrefix`, usually one function.
public final class TaskPrefix {
  public let name: String
  /// The number of tasks with the prefix in each state, forgotten ones included.
  public var states: [State: Int] { counts.byState }
  @exclusivity(unchecked) fileprivate var counts = StateCounts()
  /// Seconds spent, by action.
  @exclusivity(unchecked) public internal(set) var allDurations = OrderedMap<String, Double>()
  /// The number of compute spans that `allDurations` adds up.
  @exclusivity(unchecked) public internal(set) var computeCount = 0
  /// The number of times that a worker died while it had a task with the prefix.
  @exclusivity(unchecked) public internal(set) var suspicious = 0

  fileprivate let totals: StateTotals

  init(name: String, totals: StateTotals) {
    self.name = name
    self.totals = totals
  }

  func restore(_ states: [State: Int]) { counts = StateCounts(states) }

  /// Mean seconds of computing; `nil` before the first task has finished.
  public var durationAverage: Double? {
    guard computeCount > 0, let total = allDurations["compute"] else { return nil }
    return total / Double(computeCount)
  }
}
