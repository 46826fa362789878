import EventLog
import LogFormat
import TaskLogPlugin

/// A piece of the chain of tasks and waits that determined the duration of a run; a row of the view
/// `critical_path`.
package struct PathSegment: Sendable {
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
}

extension LogReader {
  /// The chain of tasks and waits that determined the duration of a run: the same as the view
  /// `critical_path`, but found by going back from the last task only instead of over all tasks.
  ///
  /// - Throws: `LogError`.
  package func criticalPath(of run: RunInfo) throws -> [PathSegment] {
    try translating {
      guard let range = try range(of: run) else { return [] }
      let walk = try PathWalk(self, run, range)
      return try walk.shared(walk.pieces(try walk.chain()))
    }
  }
}

private struct PathWalk {
  private let reader: LogReader
  private let range: ClosedRange<Int64>
  private let schedulers: String
  private let graphs: GraphDependencies
  private let lives: WorkerLives

  init(_ reader: LogReader, _ run: RunInfo, _ range: ClosedRange<Int64>) throws {
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
      SELECT event.seq FROM event WHERE \(outcome) AND event.seq BETWEEN ? AND ?
        AND +event.finish IN (\(Self.id("memory")), \(Self.id("erred")))
      ORDER BY event.seq DESC LIMIT 1
      """)
    try last.bind(1, range.lowerBound)
    try last.bind(2, range.upperBound)
    let sent = try reader.connection.prepare(
      """
      SELECT done.key, (SELECT max(sent.seq) FROM event AS sent
        WHERE sent.key = done.key AND sent.source = done.source AND sent.seq < done.seq
          AND +sent.finish = \(Self.id("processing")))
      FROM event AS done WHERE done.seq = ?
      """)
    let before = try reader.connection.prepare(
      """
      SELECT max(event.seq) FROM event WHERE event.key = ? AND event.seq < ? AND \(outcome)
        AND +event.finish = \(Self.id("memory"))
      """)
    var chain: [Int64] = []
    var next = try last.step() ? last.integer(0) : nil
    last.reset()
    // Each event is before the previous one, so the loop ends.
    while let seq = next {
      chain.append(seq)
      next = nil
      defer { sent.reset() }
      try sent.bind(1, seq)
      guard try sent.step(), !sent.isNull(1), let key = try reader.keys.element(sent.integer(0))
      else { break }
      for dependency in try graphs.dependencies(of: key) {
        defer { before.reset() }
        try before.bind(1, dependency)
        try before.bind(2, sent.integer(1))
        if try before.step(), let seq = before.optionalInteger(0) { next = max(seq, next ?? .min) }
      }
    }
    return chain
  }

  // MARK: - The pieces

  /// What the scheduler and the worker recorded about a task of the chain; `nil` if they did not.
  private struct Task {
    var key: String
    var worker: SQLiteValue
    var seq: Int64
    var ready, sent: Int64?
    var done: Int64
    var started, stopped, fetchedFrom, fetchedTo: Int64?
  }

  func pieces(_ chain: [Int64]) throws -> [PathSegment] {
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
    var pieces: [PathSegment] = []
    var before: Int64?
    for seq in chain.reversed() {
      defer { select.reset() }
      try select.bind(1, seq)
      guard try select.step(), let key = try reader.keys.element(select.integer(0)) else {
        continue
      }
      let task = Task(
        key: key.text, worker: select.value(1), seq: seq,
        ready: before ?? select.optionalInteger(3), sent: select.optionalInteger(4),
        done: select.integer(2), started: select.optionalInteger(5),
        stopped: select.optionalInteger(6), fetchedFrom: select.optionalInteger(7),
        fetchedTo: select.optionalInteger(8))
      pieces += Self.pieces(task)
      before = task.done
    }
    return pieces
  }

  /// Workers have their own clocks: their times are clamped to what the scheduler observed.
  private static func pieces(_ task: Task) -> [PathSegment] {
    let done = task.done
    let sent = both(task.sent, task.ready, max)
    func within(_ moment: Int64?, to end: Int64? = nil) -> Int64? {
      both(both(moment, sent, max), min(end ?? done, done), min)
    }
    let started = within(task.started ?? sent)
    let stopped = within(both(task.stopped ?? done, task.started ?? sent, max))
    let from = within(task.fetchedFrom ?? sent, to: task.started)
    let to = within(task.fetchedTo ?? sent, to: task.started)
    var pieces: [PathSegment] = []
    func add(_ kind: PathSegment.Kind, _ start: Int64?, _ stop: Int64?) {
      let isLong = both(start, stop, { $1 > $0 ? 1 : 0 }) == 1
      guard isLong || kind == .compute else { return }
      pieces.append(
        PathSegment(
          kind: kind, key: task.key, worker: kind == .wait ? .null : task.worker, start: start,
          stop: stop, seq: task.seq))
    }
    add(.wait, task.ready, sent)
    if let from, let to, to > from {
      add(.queue, sent, both(from, sent, max))
      add(.transfer, from, to)
      add(.queue, to, started)
    } else {
      add(.queue, sent, started)
    }
    add(.compute, started, stopped)
    add(.report, stopped, done)
    return pieces
  }

  /// As in SQL: an expression with an unknown operand is unknown.
  private static func both(
    _ a: Int64?, _ b: Int64?, _ body: (Int64, Int64) -> Int64
  ) -> Int64? {
    guard let a, let b else { return nil }
    return body(a, b)
  }

  /// The pieces with their shares, rounded as in the view.
  func shared(_ pieces: [PathSegment]) throws -> [PathSegment] {
    let lengths = pieces.map { Self.both($0.start, $0.stop, { $1 &- $0 }) }
    let total = lengths.reduce(Int64(0)) { $0 &+ ($1 ?? 0) }
    let select = try reader.connection.prepare("SELECT round(? * 1.0 / nullif(?, 0), 4)")
    return try zip(pieces, lengths).map { piece, length in
      defer { select.reset() }
      try select.bind(1, length)
      try select.bind(2, total)
      var piece = piece
      if case .text(let worker) = piece.worker {
        piece.life = lives.number(worker, at: piece.seq)
      }
      if try select.step() { piece.share = select.value(0) }
      return piece
    }
  }
}
