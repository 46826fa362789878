/// The tasks that share a group: Dask's `TaskGroup`, mostly one call of `map`.
public final class TaskGroup {
  public let name: String
  public let prefix: TaskPrefix
  /// How many tasks of the group are in each state, forgotten ones included.
  public var states: [State: Int] { counts.byState }
  @exclusivity(unchecked) private var counts = StateCounts()
  /// Seconds spent by action (`compute`, `transfer`, …).
  @exclusivity(unchecked) public internal(set) var allDurations = OrderedMap<String, Double>()
  /// Bytes of all results that the group ever had.
  @exclusivity(unchecked) public internal(set) var nbytesTotal: Int64 = 0

  init(name: String, prefix: TaskPrefix) {
    self.name = name
    self.prefix = prefix
  }

  /// Tasks of the group that are not forgotten.
  @exclusivity(unchecked) public private(set) var count = 0
  /// Tasks that the group ever had, forgotten ones included: Dask's `len(group)`.
  @exclusivity(unchecked) public private(set) var size = 0
  /// The groups that tasks of this one need, which may be itself.
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

  /// Tasks that had been forgotten before a recorder was attached.
  func addForgotten(_ difference: Int) {
    guard difference > 0 else { return }
    size &+= difference
    counts.add(difference, to: .forgotten)
    prefix.counts.add(difference, to: .forgotten)
  }

  /// What has been counted, as it was saved: tasks that are found again are not counted once more.
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

/// How many tasks are in each state, of the states that any has been in.
private struct StateCounts {
  /// By the place among the known states.
  private var known = InlineArray<19, Int>(repeating: 0)
  /// A bit for each known state that any task has been in.
  private var seen: UInt32 = 0
  private var others: [State: Int] = [:]

  init() {}

  init(_ counts: [State: Int]) {
    for (state, count) in counts { add(count, to: state) }
  }

  mutating func add(_ difference: Int, to state: State) {
    guard let place = state.knownPlace else {
      others[state, default: 0] &+= difference
      return
    }
    known[place] &+= difference
    seen |= 1 << UInt32(place)
  }

  subscript(state: State) -> Int {
    state.knownPlace.map { known[$0] } ?? others[state] ?? 0
  }

  var byState: [State: Int] {
    var counts = others
    for (place, state) in State.known.enumerated() where seen & 1 << UInt32(place) != 0 {
      counts[state] = known[place]
    }
    return counts
  }
}

/// How many tasks of a scheduler are in each state.
final class StateTotals {
  @exclusivity(unchecked) fileprivate var counts = StateCounts()

  subscript(state: State) -> Int { counts[state] }

  var byState: [State: Int] { counts.byState }

  func restore(_ states: [State: Int]) { counts = StateCounts(states) }
}

/// The tasks that share a prefix: Dask's `TaskPrefix`, mostly one function.
public final class TaskPrefix {
  public let name: String
  /// How many tasks with the prefix are in each state, forgotten ones included.
  public var states: [State: Int] { counts.byState }
  @exclusivity(unchecked) fileprivate var counts = StateCounts()
  /// Seconds spent by action.
  @exclusivity(unchecked) public internal(set) var allDurations = OrderedMap<String, Double>()
  /// How many spans of computing `allDurations` adds up.
  @exclusivity(unchecked) public internal(set) var computeCount = 0
  /// How often a worker died while it had a task with the prefix.
  @exclusivity(unchecked) public internal(set) var suspicious = 0

  fileprivate let totals: StateTotals

  init(name: String, totals: StateTotals) {
    self.name = name
    self.totals = totals
  }

  func restore(_ states: [State: Int]) { counts = StateCounts(states) }

  /// Mean seconds of computing, nothing before the first task has finished.
  public var durationAverage: Double? {
    guard computeCount > 0, let total = allDurations["compute"] else { return nil }
    return total / Double(computeCount)
  }
}
