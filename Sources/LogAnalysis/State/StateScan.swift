import EventLog
import TaskLogPlugin

/// The state of a task at the scheduler or at a worker.
package struct TaskLocation: Sendable {
  /// The row ID of the source in the file.
  package var source: Int64
  package var key: String
  package var state: String
  /// The worker that a task was assigned to, or that has stolen it since.
  package var worker: String?
  /// Which of the workers at that address it is; see `WorkerLife.number`.
  package var life: Int64?
  /// The start of the state, by the scheduler's clock in nanoseconds since 1970 UTC.
  package var since: Int64
  /// The event that led to the state.
  package var seq: Int64
}

/// A point in time of a run.
package enum PointInTime: Sendable {
  /// After an event, in the order of arrival.
  case seq(Int64)
  /// By the scheduler's clock, in nanoseconds since 1970 UTC.
  case time(Int64)
  /// After an event, with what others recorded before its time and what arrived after it.
  case event(seq: Int64, time: Int64)
  case end

  /// Whether an event is not after it.
  package func includes(seq: Int64, time: Int64) -> Bool {
    switch self {
    case .seq(let last): seq <= last
    case .time(let last): time <= last
    case .event(let last, let end): seq <= last || time < end
    case .end: true
    }
  }
}

/// The states of tasks at a moment, in the order in which they were entered.
package struct StateSnapshot {
  struct Found {
    var seq: Int64
    var source: Int64
    var key: Int64
    var state: Int64
    /// The last move of the task to a worker that has stolen it.
    var move: TaskReassignment?
  }

  /// The workers of the run.
  struct Known {
    var lives = WorkerLives()
    var clocks = ClockOffsets()
    var schedulers: Set<Int64> = []
  }

  private static let pageSize = 1024
  private let reader: LogReader
  private let found: [Found]
  private let known: Known

  init(_ reader: LogReader, _ found: [Found], _ known: Known = Known()) {
    self.reader = reader
    self.found = found
    self.known = known
  }

  /// The number of tasks in each state, at each source.
  ///
  /// - Throws: `LogError`.
  package func counts() throws -> [(source: Int64, state: String, count: Int64)] {
    struct Place: Hashable { var source, state: Int64 }
    var counts: [Place: Int64] = [:]
    for task in found { counts[Place(source: task.source, state: task.state), default: 0] += 1 }
    return try reader.translating {
      try counts.map { ($0.key.source, try reader.texts.element($0.key.state) ?? "", $0.value) }
        .sorted { ($0.0, $0.1) < ($1.0, $1.1) }
    }
  }

  /// Which of the workers at its address a source is; see `WorkerLife.number`.
  package func life(ofSource source: Int64) -> Int64 { known.lives.number(ofSource: source) }

  /// Passes each of them to the body, read from the log on demand.
  ///
  /// - Throws: `LogError`, or what the body throws.
  package func forEachTask(_ body: (TaskLocation) throws -> Void) throws {
    var start = 0
    while start < found.count {
      let page = found[start..<min(start + Self.pageSize, found.count)]
      for task in try reader.translating({ try tasks(page) }) { try body(task) }
      start = page.endIndex
    }
  }

  private func tasks(_ page: ArraySlice<Found>) throws -> [TaskLocation] {
    let select = try reader.connection.prepare(
      "SELECT key, worker, time, source_seq FROM event WHERE seq = ?")
    return try page.map { found in
      defer { select.reset() }
      try select.bind(1, found.seq)
      // It existed a moment ago.
      let isThere = try select.step()
      let number = isThere ? select.integer(1) : 0
      let worker = try found.move?.worker ?? (number == 0 ? nil : reader.texts.element(number))
      let isScheduler = known.schedulers.contains(found.source)
      return TaskLocation(
        source: found.source,
        key: isThere ? try reader.keys.element(select.integer(0))?.text ?? "" : "",
        state: try reader.texts.element(found.state) ?? "", worker: worker,
        life: isScheduler
          ? worker.map { known.lives.number($0, at: found.move?.seq ?? found.seq) }
          : known.lives.number(ofSource: found.source),
        since: isThere
          ? known.clocks.time(
            select.integer(2), source: found.source, sourceSeq: select.integer(3)) : 0,
        seq: found.seq)
    }
  }
}

extension LogReader {
  /// The states of tasks at a moment. Forgotten tasks have none, and there are none at a worker
  /// that has left.
  ///
  /// - Parameters:
  ///   - run: the run.
  ///   - moment: an event, after which the states are taken, or a time.
  ///   - isWanted: selects the states of interest; `nil` for all. Tasks in other states take no
  ///     memory.
  ///   - scope: the part of the run; `nil` for all of it. A task that is on a worker outside of it
  ///     is not included.
  ///   - includesForgotten: whether to include tasks that were forgotten last.
  /// - Throws: `LogError`.
  package func whereabouts(
    in run: RunInfo, at moment: PointInTime, states isWanted: ((String) -> Bool)? = nil,
    scope: RunScope? = nil, includesForgotten: Bool = false
  ) throws -> StateSnapshot {
    try translating {
      guard var range = try range(of: run) else { return StateSnapshot(self, []) }
      if case .seq(let seq) = moment {
        guard seq >= range.lowerBound else { return StateSnapshot(self, []) }
        range = range.lowerBound...min(range.upperBound, seq)
      }
      let sources = try sources(of: run)
      let known = StateSnapshot.Known(
        lives: try workerLives(of: run), clocks: try clockOffsets(of: run),
        schedulers: Set(sources.filter { $0.source.kind == .scheduler }.map(\.number)))
      // The workers that have left by then, whose tasks are dropped.
      let gone = Set(
        known.lives.lives.filter { life in
          life.gone.map { moment.includes(seq: $0.seq, time: $0.time) } ?? false
        }.compactMap(\.source))
      let present = sources.filter { !gone.contains($0.number) }
      var found = try found(
        SourceIndex(present), known.clocks, in: range, at: moment, isWanted, includesForgotten)
      if let scope { found.removeAll { !scope.includes(task: $0.key) } }
      try applyMoves(to: &found, of: run) { moment.includes(seq: $0.seq, time: $0.time) }
      if let scope, scope.selectsWorkers {
        found = try found.filter { try isIncluded($0, known, scope) }
      }
      return StateSnapshot(self, found, known)
    }
  }

  /// Whether a task is on one of the workers of a scope, or on none.
  private func isIncluded(
    _ task: StateSnapshot.Found, _ known: StateSnapshot.Known, _ scope: RunScope
  ) throws -> Bool {
    guard known.schedulers.contains(task.source) else { return scope.includes(source: task.source) }
    if let move = task.move { return scope.includes(worker: move.worker, at: move.seq) }
    let worker = try connection.integer("SELECT worker FROM event WHERE seq = \(task.seq)") ?? 0
    guard worker != 0, let address = try texts.element(worker) else { return true }
    return scope.includes(worker: address, at: task.seq)
  }

  private func applyMoves(
    to found: inout [StateSnapshot.Found], of run: RunInfo,
    where isInTime: (TaskReassignment) -> Bool
  ) throws {
    struct Place: Hashable { var source, key: Int64 }
    var last: [Place: TaskReassignment] = [:]
    for move in try taskMoves(of: run) where isInTime(move) {
      last[Place(source: move.source, key: move.key)] = move
    }
    guard !last.isEmpty else { return }
    for place in found.indices {
      let task = found[place]
      if let move = last[Place(source: task.source, key: task.key)], move.seq > task.seq {
        found[place].move = move
      }
    }
  }

  /// The time of the last event of a run, from the last event of each source.
  ///
  /// - Throws: `LogError`.
  package func timeOfLastEvent(in run: RunInfo) throws -> Int64? {
    try translating {
      try connection.integer(
        "SELECT (\(RunEnd.timeOfLastEventSQL)) FROM run WHERE id = \(run.number)")
    }
  }

  private struct Step {
    var seq, source, key, state: Int64
  }

  private func found(
    _ sources: SourceIndex, _ clocks: ClockOffsets, in range: ClosedRange<Int64>,
    at moment: PointInTime,
    _ isWanted: ((String) -> Bool)?, _ includesForgotten: Bool
  ) throws -> [StateSnapshot.Found] {
    struct Place: Hashable { var source, key: Int64 }
    struct StateInterval { var seq, state: Int64 }
    let transition = try KnownTexts(self).transition
    let path = path
    // Results for states, each of which is checked only once.
    var keeps: [Int64: Bool] = [:]
    func isKept(_ state: Int64) throws -> Bool {
      if let known = keeps[state] { return known }
      let name = try texts.element(state) ?? ""
      let isKept = (name != "forgotten" || includesForgotten) && isWanted?(name) ?? true
      keeps[state] = isKept
      return isKept
    }
    let scan = ParallelScan<ContiguousArray<Step>>(
      """
      SELECT seq, source, time, hook, key, start, finish, source_seq FROM event
      WHERE seq BETWEEN ? AND ? ORDER BY seq
      """, over: range)
    var stays: [Place: StateInterval] = [:]
    try scan.run(self) { select, range in
      var steps: ContiguousArray<Step> = []
      steps.reserveCapacity(Int(ParallelScan<ContiguousArray<Step>>.usualSize))
      try select.forEachRow(in: range, path) { seq in
        let (source, finish) = (select.integer(1), select.integer(6))
        guard select.integer(3) == transition, sources.place(source) != nil, finish != 0,
          finish != select.integer(5),
          moment.includes(
            seq: seq,
            time: clocks.time(select.integer(2), source: source, sourceSeq: select.integer(7)))
        else { return }
        steps.append(Step(seq: seq, source: source, key: select.integer(4), state: finish))
      }
      return steps
    } take: { steps in
      for step in steps {
        let place = Place(source: step.source, key: step.key)
        stays[place] =
          try isKept(step.state) ? StateInterval(seq: step.seq, state: step.state) : nil
      }
    }
    return stays.map { .init(seq: $1.seq, source: $0.source, key: $0.key, state: $1.state) }
      .sorted { $0.seq < $1.seq }
  }
}
