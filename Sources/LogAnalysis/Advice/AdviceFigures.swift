import EventLog
import LogFormat
import TaskLogPlugin

/// What `AdviceScan` counts in the events of a scheduler. All times are nanoseconds.
struct AdviceFigures: Sendable {
  struct Retries: Sendable, Equatable {
    /// The tasks that failed at least once and were sent again, and those of them with a result.
    var tasks: Int64 = 0
    var succeeded: Int64 = 0
    var attempts: Int64 = 0
    /// From when a task was sent until its failure was known.
    var time: Int64 = 0
    /// The number of tasks that were sent to a worker.
    var all: Int64 = 0
  }

  /// By prefix.
  var retries: [String: Retries] = [:]
  /// Tasks that failed for good on their own: how many, and how long they computed.
  var failed: Int64 = 0
  var failedTime: Int64 = 0
  /// What was lost with workers, by the stimulus of their removal: results computed before, and
  /// tasks under way.
  var lost: [String: (results: Int64, tasks: Int64, time: Int64)] = [:]
  var largest: (key: String, prefix: String?, bytes: Int64)?
  /// What the scheduler spent on the graphs of clients.
  var graphs: (count: Int64, tasks: Int64, time: Int64, longest: Int64) = (0, 0, 0, 0)
  /// Graphs of a size that the recorder tells: how many, their bytes, and the largest.
  var arguments: (count: Int64, bytes: Int64, largest: Int64) = (0, 0, 0)
  /// The time for which tasks fetched inputs, each its longest fetch: of all and of stolen ones.
  var fetched: (all: Int64, stolen: Int64) = (0, 0)
  /// Stolen tasks: how many, and the time of fetching their inputs and of computing them.
  var stolen: (tasks: Int64, transfer: Int64, compute: Int64) = (0, 0, 0)
}

/// Counts what was repeated, failed, lost, stolen and submitted, in one pass over a scheduler's events.
struct AdviceScan {
  private struct Task {
    var sent: Int64 = 0
    /// The time that its last result was computed; -1 if it has none.
    var computed: Int64 = -1
    var failures: Int32 = 0
    var isSent = false
    /// When its worker last began to run it; `nil` if that recorded nothing of it since it was sent, -1 if
    /// it does not run there.
    var began: Int64?
  }

  private let reader: LogReader
  private let run: RunInfo
  private let scope: RunScope?
  private let schedulers: Set<Int64>
  private let texts: KnownTexts
  private let executing: Int64
  private let hooks: (logEvent: Int64, request: Int64)
  /// By the number of a stimulus that removed a worker.
  private var removals: [Int64: String] = [:]
  private let stolen: Set<Int64>
  private let index: TaskIndex
  private var tasks: [Int64: Task] = [:]
  private var retryStimuli: [Int64: Bool] = [:]
  private var result = AdviceFigures()
  private var results = ResultTimes()

  init(_ reader: LogReader, _ run: RunInfo, _ scope: RunScope?, _ ends: [WorkerEnd]) throws {
    (self.reader, self.run, self.scope) = (reader, run, scope)
    schedulers = Set(
      try reader.sources(of: run).filter { $0.source.kind == .scheduler }.map(\.number))
    texts = try KnownTexts(reader)
    hooks = (
      try reader.number(ofText: Hook.logEvent.name) ?? -1,
      try reader.number(ofText: Hook.request.name) ?? -1
    )
    executing = try reader.number(ofText: State.executing.name) ?? -1
    stolen = Set(try reader.taskMoves(of: run).map(\.key))
    index = try TaskIndex(reader, run, nil, [])
    for stimulus in ends.filter(\.isLoss).compactMap(\.removalStimulus) {
      if let number = try reader.number(ofText: stimulus) { removals[number] = stimulus }
    }
  }

  mutating func figures() throws -> AdviceFigures {
    let cursor = try reader.events(of: run, order: .arrival)
    while let row = try cursor.nextRow() {
      guard schedulers.contains(row.source) else {
        // Only the cost of lost workers depends on it.
        if !removals.isEmpty, row.hook == texts.transition, row.start != row.finish {
          tasks[row.key]?.began = row.finish == executing ? row.time : -1
        }
        continue
      }
      let isMove = row.hook == texts.transition && row.key != 0 && row.start != row.finish
      let outcome = isMove ? outcome(of: row, cursor) : nil
      // What is used again after a window is not held in it for nothing.
      if isMove { results.move(row, bytes: outcome?.bytes, texts) }
      guard scope?.window.contains(row.time) ?? true else { continue }
      if row.hook == hooks.logEvent || row.hook == hooks.request, !(scope?.selectsTasks ?? false) {
        let text = cursor.withArgs(of: row) { String(decoding: $0, as: UTF8.self) }
        if let text { row.hook == hooks.request ? sent(text) : submitted(text) }
      }
      guard isMove, scope?.includes(task: row.key) ?? true else { continue }
      try move(row, outcome)
    }
    return result
  }

  /// Results that stayed in memory for this long after their last use, after `figures`.
  func heldResults(atLeast seconds: Double) throws -> [HeldResult] {
    try results.held(reader, run, atLeast: seconds).map { result in
      var result = result
      result.prefix = try prefix(result.key)
      return result
    }
  }

  /// The prefixes between which most bytes moved, after `figures`.
  func largestEdge() throws -> TransferEdge? { try results.largestEdge(reader, run, prefix) }

  private mutating func move(_ row: EventRow, _ outcome: Outcome?) throws {
    if row.start == texts.processing {
      if row.finish == texts.memory || row.finish == texts.erred {
        try end(row, outcome)
      } else {
        try withdraw(row)
      }
    } else if row.start == texts.memory, let removal = removals[row.stimulus],
      let computed = tasks[row.key]?.computed, computed >= 0, row.finish != texts.forgotten
    {
      result.lost[removal, default: (0, 0, 0)].results += 1
      result.lost[removal, default: (0, 0, 0)].time += computed
    }
    if row.finish == texts.processing {
      var task = tasks[row.key] ?? Task()
      (task.sent, task.began) = (row.time, nil)
      if !task.isSent, let prefix = try prefix(row.key) {
        result.retries[prefix, default: .init()].all += 1
      }
      task.isSent = true
      tasks[row.key] = task
    }
  }

  private typealias Outcome = (
    bytes: Int64?, compute: Double, transfer: Double, longest: Double
  )
  private static let transfer = OutcomeScan.Action.named(Array("transfer".utf8))

  /// What the scheduler recorded of the end of a task at a worker.
  private func outcome(of row: EventRow, _ cursor: EventCursor) -> Outcome? {
    guard row.start == texts.processing, row.finish == texts.memory || row.finish == texts.erred
    else { return nil }
    let isStolen = stolen.contains(row.key)
    return cursor.withArgs(of: row) { text in
      let scan = OutcomeScan(text, longestOf: Self.transfer, retainsSpans: isStolen)
      let transfer = scan.spans.reduce(0.0) {
        let name = UnsafeBufferPointer(rebasing: text[$1.action])
        return name.elementsEqual("transfer".utf8) ? $0 + $1.stop - $1.start : $0
      }
      return (scan.nbytes, scan.computeSeconds, transfer, scan.longest ?? 0)
    }
  }

  /// A task came to its end at a worker.
  private mutating func end(_ row: EventRow, _ outcome: Outcome?) throws {
    let compute = max(0, WorkSpan.nanoseconds(outcome?.compute ?? 0))
    guard row.finish == texts.memory else {
      result.failed += 1
      result.failedTime += compute
      return
    }
    let failures = tasks[row.key]?.failures ?? 0
    if failures > 0, let prefix = try prefix(row.key) {
      result.retries[prefix, default: .init()].succeeded += 1
    }
    tasks[row.key, default: Task()].computed = compute
    tasks[row.key]?.failures = 0
    let longest = max(0, WorkSpan.nanoseconds(outcome?.longest ?? 0))
    result.fetched.all += longest
    if stolen.contains(row.key) {
      result.fetched.stolen += longest
      result.stolen.tasks += 1
      result.stolen.compute += compute
      result.stolen.transfer += max(0, WorkSpan.nanoseconds(outcome?.transfer ?? 0))
    }
    if let bytes = outcome?.bytes, bytes > result.largest?.bytes ?? 0,
      let key = try reader.keys.element(row.key)?.text
    {
      result.largest = (key, try prefix(row.key), bytes)
    }
  }

  /// A task was taken from its worker without a result.
  private mutating func withdraw(_ row: EventRow) throws {
    guard var task = tasks[row.key] else { return }
    let spent = max(0, row.time - task.sent)
    if let removal = removals[row.stimulus] {
      result.lost[removal, default: (0, 0, 0)].tasks += 1
      // A task that waited there for its turn lost nothing.
      let ran = task.began.map { $0 < 0 ? 0 : max(0, row.time - $0) }
      result.lost[removal, default: (0, 0, 0)].time += min(spent, ran ?? spent)
    } else if try isRetry(row.stimulus), let prefix = try prefix(row.key) {
      result.retries[prefix, default: .init()].tasks += task.failures == 0 ? 1 : 0
      result.retries[prefix, default: .init()].attempts += 1
      result.retries[prefix, default: .init()].time += spent
      task.failures += 1
      tasks[row.key] = task
    }
  }

  /// Whether a stimulus is the failure of a task, at its worker.
  private mutating func isRetry(_ stimulus: Int64) throws -> Bool {
    guard stimulus != 0 else { return false }
    if let known = retryStimuli[stimulus] { return known }
    let isRetry = try reader.texts.element(stimulus)?.hasPrefix("task-erred") ?? false
    retryStimuli[stimulus] = isRetry
    return isRetry
  }

  private func prefix(_ key: Int64) throws -> String? {
    let place = try index.index(of: key)
    return index.tasks[place].prefix
  }

  /// The size of a graph that a client has sent, of which the recorder tells.
  private mutating func sent(_ args: String) {
    guard let value = try? JSONReader.value(args), value["op"]?.string == "update-graph",
      let bytes = value["nbytes"]?.int
    else { return }
    result.arguments.count += 1
    result.arguments.bytes += bytes
    result.arguments.largest = max(result.arguments.largest, bytes)
  }

  /// What Dask logs of the graph that a client has submitted.
  private mutating func submitted(_ args: String) {
    guard args.utf8.count < 1 << 16, let value = try? JSONReader.value(args),
      value["topic"]?.string == "scheduler", value["message"]?["action"]?.string == "update-graph",
      let metrics = value["message"]?["metrics"]
    else { return }
    let phases = ["materialization", "ordering", "state_initialization"]
    let seconds = phases.reduce(0.0) {
      $0 + max(0, metrics["\($1)_duration_seconds"]?.number ?? 0)
    }
    let time = WorkSpan.nanoseconds(seconds)
    result.graphs.count += 1
    result.graphs.tasks += metrics["tasks"]?.int ?? 0
    result.graphs.time += time
    result.graphs.longest = max(result.graphs.longest, time)
  }
}

extension WorkerEnd {
  /// The stimulus by which the scheduler removed it.
  var removalStimulus: String? {
    for fact in evidence.facts {
      if case .removed(let stimulus?, _) = fact.kind { return stimulus }
    }
    return nil
  }

  /// Whether it ended unexpectedly, and work was lost with it.
  var isLoss: Bool {
    switch verdict.cause {
    case .shutdown, .retired, .scaledDown, .restarted, .closed, .nannyClosed, .lifetime, .stopped:
      return false
    case .outOfMemory, .killed, .crashed, .exited, .heartbeatLost, .connectionLost, .evicted,
      .preempted, .walltime, .hostGone, .unknown:
      return isUnexpected && (processing.count > 0 || recomputed > 0 || forgotten.count > 0)
    }
  }
}
