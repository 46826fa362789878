import LogAnalysis

/// The ends of tasks at the scheduler: what the critical path and the chains to other tasks consist
/// of.
struct PathTable {
  /// A task that came to memory or erred while it was processing. Times are in microseconds;
  /// `unknown` if the log does not have them.
  struct Outcome {
    var seq: Int64
    /// The event by which the scheduler sent the task; 0 if it is not in the log.
    var sentSeq: Int64
    var task: Int32
    var worker: Int32
    var isResult: Bool
    /// When the scheduler first knew the task, sent it, and learned of its end.
    var seen: Int64
    var sent: Int64
    var done: Int64
    // By the worker's spans of work.
    var started = unknown
    var stopped = unknown
    var fetchedFrom = unknown
    var fetchedTo = unknown
    /// Whether the critical path may end with it: whether it is in the scope.
    var isSelected = true
  }

  static let unknown = Int64.min

  private(set) var outcomes: ContiguousArray<Outcome> = []
  /// The index of the last outcome of each run that has one.
  private(set) var lastOfRun: [Int: Int] = [:]
  private var firstOfRun = 0

  mutating func beginRun() { firstOfRun = outcomes.count }

  /// - Parameters:
  ///   - outcome: comes after those of its source that were added before.
  ///   - spans: of the work, in microseconds.
  mutating func add(_ outcome: Outcome, _ spans: [WorkSpan]) {
    var outcome = outcome
    for span in spans {
      let stop = span.stop ?? span.start
      if span.action == "compute" {
        Self.extend(&outcome.started, &outcome.stopped, to: span.start, stop)
      } else if span.action == "transfer" {
        Self.extend(&outcome.fetchedFrom, &outcome.fetchedTo, to: span.start, stop)
      }
    }
    outcomes.append(outcome)
  }

  private static func extend(
    _ first: inout Int64, _ last: inout Int64, to start: Int64, _ stop: Int64
  ) {
    first = first == unknown ? start : min(first, start)
    last = max(last, stop)
  }

  /// Sorts the outcomes of the run by seq: sources may have been read interleaved.
  mutating func endRun(_ run: Int) {
    guard firstOfRun < outcomes.count else { return }
    outcomes[firstOfRun...].sort { $0.seq < $1.seq }
    lastOfRun[run] = outcomes[firstOfRun...].lastIndex { $0.isSelected }
  }

  /// The index of the outcome with a seq in the current run.
  func index(ofSeq seq: Int64) -> Int? {
    var (low, high) = (firstOfRun, outcomes.count)
    while low < high {
      let middle = low + (high - low) / 2
      if outcomes[middle].seq < seq { low = middle + 1 } else { high = middle }
    }
    return low < outcomes.count && outcomes[low].seq == seq ? low : nil
  }

  /// The index of the predecessor of each outcome; -1 if it has none.
  func predecessors(_ needs: NeedTable, taskCount: Int) -> [Int32] {
    // The results of each task, in order: a counting sort.
    var starts = [Int32](repeating: 0, count: taskCount + 1)
    for outcome in outcomes where outcome.isResult { starts[Int(outcome.task) + 1] += 1 }
    for index in 1..<max(1, starts.count) { starts[index] += starts[index - 1] }
    var results = [Int32](repeating: 0, count: Int(starts.last ?? 0))
    var next = starts
    for (index, outcome) in outcomes.enumerated() where outcome.isResult {
      results[Int(next[Int(outcome.task)])] = Int32(index)
      next[Int(outcome.task)] += 1
    }
    return outcomes.map { outcome in
      guard outcome.sentSeq > 0 else { return -1 }
      return PathRule.predecessor(needs[Int(outcome.task)]) { need in
        let own = results[Int(starts[Int(need)])..<Int(starts[Int(need) + 1])]
        return own.last { outcomes[Int($0)].seq < outcome.sentSeq }
      } ?? -1
    }
  }

  /// - Parameter indexes: the new index of each task.
  mutating func renumber(_ indexes: [Int32]) {
    for index in outcomes.indices {
      outcomes[index].task = indexes[Int(outcomes[index].task)]
    }
  }

  /// The phases of an outcome, in microseconds.
  ///
  /// - Parameter window: cuts them; a `compute` out of it has no length.
  func phases(
    _ index: Int, after predecessor: Int32, in window: TimeWindow = TimeWindow()
  ) -> [PathMoments.Phase] {
    func known(_ time: Int64) -> Int64? { time == Self.unknown ? nil : time }
    let outcome = outcomes[index]
    var moments = PathMoments(
      ready: predecessor < 0 ? known(outcome.seen) : outcomes[Int(predecessor)].done,
      sent: known(outcome.sent), done: outcome.done)
    moments.started = known(outcome.started)
    moments.stopped = known(outcome.stopped)
    moments.fetchedFrom = known(outcome.fetchedFrom)
    moments.fetchedTo = known(outcome.fetchedTo)
    guard window.isBounded else { return moments.phases }
    return moments.phases.compactMap { phase in
      guard let start = phase.start, let stop = phase.stop else { return phase }
      let from = min(max(start, window.start), window.stop)
      let to = min(max(stop, window.start), window.stop)
      // The page expects each end of a task to have a `compute`.
      guard to > from || phase.kind == .compute else { return nil }
      var phase = phase
      (phase.start, phase.stop) = (from, to)
      return phase
    }
  }
}
