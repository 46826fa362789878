import EventLog
import LogFormat
import TaskLogPlugin

/// A phase of the chain of tasks and waits that determined the duration of a run; a row of the view
/// `critical_path`.
package struct PathPhase: Sendable {
  package enum Kind: String, Sendable {
    case wait, queue, transfer, compute, report
  }

  package var kind: Kind
  package var key: String
  package var worker: SQLiteValue
  /// Which of the workers at that address it is; see `WorkerLife.number`.
  package var life: Int64?
  /// Nanoseconds since 1970 UTC; `nil` if the log does not say.
  package var start: Int64?
  package var stop: Int64?
  /// Its share of the whole chain.
  package var share: SQLiteValue = .null
  /// The event that ended the task.
  package var seq: Int64

  /// The part of it that is within a time window; `nil` if none is.
  fileprivate func cut(to window: TimeWindow) -> PathPhase? {
    guard window.isBounded, let start, let stop else { return self }
    guard let part = window.part(start, stop) else { return nil }
    var phase = self
    (phase.start, phase.stop) = part
    return phase
  }
}

extension LogReader {
  /// The chain of tasks and waits that determined the duration of a run: the same as the view
  /// `critical_path`, but found by going back from the last task only instead of over all tasks.
  ///
  /// - Parameter scope: the part of the run: the chain ends with its last task, and is cut at the
  ///   edges of its time window. The tasks that this task waited for may be any.
  /// - Throws: `LogError`.
  package func criticalPath(of run: RunInfo, in scope: RunScope? = nil) throws -> [PathPhase] {
    try translating {
      guard let range = try range(of: run) else { return [] }
      let walk = try PathWalk(self, run, range, scope)
      let phases = try walk.phases(try walk.chain())
      return try walk.shared(
        scope.map { scope in phases.compactMap { $0.cut(to: scope.window) } } ?? phases)
    }
  }
}

private struct PathWalk {
  private let reader: LogReader
  private let range: ClosedRange<Int64>
  private let schedulers: String
  private let graphs: GraphDependencies
  private let lives: WorkerLives
  private let scope: RunScope?

  init(
    _ reader: LogReader, _ run: RunInfo, _ range: ClosedRange<Int64>, _ scope: RunScope?
  ) throws {
    self.scope = scope
    self.reader = reader
    self.range = range
    schedulers = try reader.sources(of: run).filter { $0.source.kind == .scheduler }
      .map { String($0.number) }.joined(separator: ", ")
    graphs = try GraphDependencies(reader, run)
    lives = try reader.workerLives(of: run)
  }

  private static func id(_ text: String) -> String {
    "(SELECT id FROM text WHERE text = '\(text)')"
  }

  // MARK: - The chain

  /// The events that ended the tasks of the chain, the last first.
  ///
  /// Conditions with a unary plus keep SQLite from the indexes of states, which it may not know to
  /// be unselective.
  func chain() throws -> [Int64] {
    let outcome = """
      +event.hook = \(Self.id("transition")) AND +event.start = \(Self.id("processing"))
        AND +event.source IN (\(schedulers))
      """
    let last = try reader.connection.prepare(
      """
      SELECT event.seq, event.key, event.time, event.worker FROM event
      WHERE \(outcome) AND event.seq BETWEEN ? AND ?
        AND +event.finish IN (\(Self.id("memory")), \(Self.id("erred")))
      ORDER BY event.seq DESC \(scope == nil ? "LIMIT 1" : "")
      """)
    try last.bind(1, range.lowerBound)
    try last.bind(2, range.upperBound)
    let sent = try reader.connection.prepare(
      """
      SELECT done.key, (SELECT max(sent.seq) FROM event AS sent
        WHERE sent.key = done.key AND sent.source = done.source AND sent.seq < done.seq
          AND +sent.finish = \(Self.id("processing"))), done.time
      FROM event AS done WHERE done.seq = ?
      """)
    let before = try reader.connection.prepare(
      """
      SELECT max(event.seq) FROM event WHERE event.key = ? AND event.seq < ? AND \(outcome)
        AND +event.finish = \(Self.id("memory"))
      """)
    var chain: [Int64] = []
    var next: Int64?
    while next == nil, try last.step() {
      if try isIncluded(last) { next = last.integer(0) }
    }
    last.reset()
    // Each event is before the previous one, so the loop ends.
    while let seq = next {
      chain.append(seq)
      next = nil
      defer { sent.reset() }
      try sent.bind(1, seq)
      guard try sent.step(), !sent.isNull(1),
        sent.integer(2) >= scope?.window.start ?? .min,
        let key = try reader.keys.element(sent.integer(0))
      else { break }
      next = try PathRule.predecessor(try graphs.dependencies(of: key)) { dependency in
        defer { before.reset() }
        try before.bind(1, dependency)
        try before.bind(2, sent.integer(1))
        return try before.step() ? before.optionalInteger(0) : nil
      }
    }
    return chain
  }

  /// Whether the chain may end with the event of a row.
  private func isIncluded(_ row: Statement) throws -> Bool {
    guard let scope else { return true }
    guard scope.includes(task: row.integer(1)), scope.window.contains(row.integer(2)) else {
      return false
    }
    guard scope.selectsWorkers else { return true }
    let worker = try reader.texts.element(row.integer(3))
    return worker.map { scope.includes(worker: $0, at: row.integer(0)) } ?? false
  }

  // MARK: - The phases

  func phases(_ chain: [Int64]) throws -> [PathPhase] {
    func moment(_ action: String, _ function: String) -> String {
      """
      (SELECT CAST(round(\(function) * 1e6) AS INTEGER) * 1000 FROM task_durations
        WHERE task_durations.seq = done.seq AND action = '\(action)')
      """
    }
    let select = try reader.connection.prepare(
      """
      SELECT done.key, done.args ->> '$.worker', done.time,
        (SELECT min(first.time) FROM event AS first
          WHERE first.key = done.key AND first.source = done.source
            AND first.seq < done.seq AND first.hook = done.hook),
        (SELECT sent.time FROM event AS sent
          WHERE sent.key = done.key AND sent.source = done.source AND sent.seq < done.seq
            AND +sent.finish = done.start ORDER BY sent.seq DESC LIMIT 1),
        \(moment("compute", "min(start)")), \(moment("compute", "max(stop)")),
        \(moment("transfer", "min(start)")), \(moment("transfer", "max(stop)"))
      FROM event AS done WHERE done.seq = ?
      """)
    var phases: [PathPhase] = []
    var before: Int64?
    for seq in chain.reversed() {
      defer { select.reset() }
      try select.bind(1, seq)
      guard try select.step(), let key = try reader.keys.element(select.integer(0)) else {
        continue
      }
      var moments = PathMoments(
        ready: before ?? select.optionalInteger(3), sent: select.optionalInteger(4),
        done: select.integer(2))
      moments.started = select.optionalInteger(5)
      moments.stopped = select.optionalInteger(6)
      moments.fetchedFrom = select.optionalInteger(7)
      moments.fetchedTo = select.optionalInteger(8)
      let worker = select.value(1)
      phases += moments.phases.map { phase in
        PathPhase(
          kind: phase.kind, key: key.text, worker: phase.kind == .wait ? .null : worker,
          start: phase.start, stop: phase.stop, seq: seq)
      }
      before = moments.done
    }
    return phases
  }

  /// The phases with their shares, rounded as in the view.
  func shared(_ phases: [PathPhase]) throws -> [PathPhase] {
    let lengths = phases.map { PathMoments.both($0.start, $0.stop, { $1 - $0 }) }
    let total = lengths.reduce(Int64(0)) { $0 + ($1 ?? 0) }
    let select = try reader.connection.prepare("SELECT round(? * 1.0 / nullif(?, 0), 4)")
    return try zip(phases, lengths).map { phase, length in
      defer { select.reset() }
      try select.bind(1, length)
      try select.bind(2, total)
      var phase = phase
      if case .text(let worker) = phase.worker {
        phase.life = lives.number(worker, at: phase.seq)
      }
      if try select.step() { phase.share = select.value(0) }
      return phase
    }
  }
}
