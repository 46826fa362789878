import EventLog
import LogAnalysis

/// A page of a part of a run: which events it shows, and which tasks it keeps.
extension PageScan {
  func microseconds(_ window: TimeWindow) -> TimeWindow {
    TimeWindow(
      window.start == .min ? .min : microseconds(window.start),
      window.stop == .max ? .max : microseconds(window.stop))
  }

  /// Whether an event is in the scope, as `RunScope.includes(_:time:)` has it.
  ///
  /// - Parameter time: in nanoseconds.
  mutating func includes(
    _ row: EventRow, _ worker: Int?, _ time: Int64, _ scope: RunScope
  ) throws -> Bool {
    guard scope.window.contains(time),
      row.key == 0 ? !scope.selectsTasks : scope.includes(task: row.key)
    else { return false }
    guard scope.selectsWorkers else { return true }
    if let worker { return workers[worker].isIncluded }
    guard row.key == 0 else { return true }
    let reader = reader
    let about = try workers.index(ofText: row.worker, at: row.seq) { try reader.text($0) }
    return about.map { workers[$0].isIncluded } ?? false
  }

  /// The events of all failures in the scope.
  static func events(of failures: RunFailures) throws -> Set<Int64> {
    var events: Set<Int64> = []
    try failures.forEachError { events.insert($0.seq) }
    try failures.forEachAffected { events.insert($0.seq) }
    return events
  }

  /// The first and last time that the page shows, in microseconds.
  var shownTimes: TimeExtent {
    if isScoped { return selectedTimes }
    return firstTime <= lastTime ? TimeExtent(first: firstTime, last: lastTime) : TimeExtent()
  }

  /// Removes the tasks that are neither in the scope nor on a chain that ends in it.
  mutating func restrict() throws {
    let paths = attempts.paths
    let predecessors = paths.predecessors(NeedTable(tasks), taskCount: tasks.slots.count)
    var chains = PageChains(predecessors: predecessors)
    var isKept = attempts.rows.map { row in
      tasks[Int(row.task)].isSelected && row.isInWindow
        && (row.worker < 0 ? !selectsWorkers : workers[Int(row.worker)].isIncluded)
    }
    var isOnChain = [Bool](repeating: false, count: paths.outcomes.count)
    let ends = zip(attempts.rows, isKept).filter { $0.1 }.map { Int($0.0.path) }
    for end in ends + paths.lastOfRun.values {
      var next = end
      while next >= 0, !isOnChain[next] {
        isOnChain[next] = true
        let outcome = paths.outcomes[next]
        let start = windows[Int(tasks[Int(outcome.task)].run)].start
        let before = Int(predecessors[next])
        // A chain begins in the time window.
        guard before >= 0, paths.outcomes[before].done >= start else { break }
        chains.links[next] = predecessors[next]
        next = before
      }
    }
    var isTaskKept = tasks.slots.map(\.isSelected)
    for (outcome, isOnChain) in zip(paths.outcomes, isOnChain) where isOnChain {
      isTaskKept[Int(outcome.task)] = true
    }
    for (row, attempt) in attempts.rows.enumerated()
    where attempt.path >= 0 && isOnChain[Int(attempt.path)] { isKept[row] = true }
    var indexes = [Int32](repeating: -1, count: isTaskKept.count)
    var count: Int32 = 0
    for task in isTaskKept.indices where isTaskKept[task] {
      indexes[task] = count
      count += 1
      if !tasks[task].isSelected {
        tasks[task].prefix = Int32(try prefix(ofKey: tasks[task].key))
      }
    }
    tasks.renumber(indexes)
    lanes.renumber(indexes)
    failures.renumber(indexes)
    attempts.renumber(isKept, indexes)
    self.chains = chains
  }

  private var selectsWorkers: Bool { runs.contains { scopes[$0.run]?.selectsWorkers ?? false } }
}

/// What chains of tasks consist of in a page of a part of a run, by index of the outcome.
struct PageChains {
  /// The predecessor in the whole run, whose end is the beginning of the phases; -1 if it has none.
  let predecessors: [Int32]
  /// The predecessor that is in the page, too.
  var links: [Int32]

  init(predecessors: [Int32]) {
    self.predecessors = predecessors
    links = [Int32](repeating: -1, count: predecessors.count)
  }
}

/// The first and last of some times.
struct TimeExtent: Equatable {
  private(set) var first: Int64?
  private(set) var last: Int64?

  init() {}

  init(first: Int64, last: Int64) { (self.first, self.last) = (first, last) }

  mutating func add(_ time: Int64) {
    first = min(first ?? time, time)
    last = max(last ?? time, time)
  }
}
