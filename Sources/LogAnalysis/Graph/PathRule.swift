/// The rule of the critical path, for the command line and the report page.
package enum PathRule {
  /// The result that a task waited for last: of each dependency the last result before the task was
  /// sent to its worker, and of these the last.
  ///
  /// Later means later in the order of arrival: the time is data, never order.
  ///
  /// - Parameters:
  ///   - dependencies: those of the task.
  ///   - lastResult: the last event before the task was sent by which a dependency came to memory;
  ///     `nil` if there is none.
  package static func predecessor<Dependency, Result: Comparable>(
    _ dependencies: some Sequence<Dependency>, lastResult: (Dependency) throws -> Result?
  ) rethrows -> Result? {
    var last: Result?
    for dependency in dependencies {
      guard let result = try lastResult(dependency) else { continue }
      last = last.map { max($0, result) } ?? result
    }
    return last
  }
}

/// What the scheduler and the worker recorded about the end of a task; `nil` where they did not.
/// All times have one unit and one origin.
package struct PathMoments {
  /// When its predecessor ended; without one, when the scheduler first knew the task.
  package var ready: Int64?
  package var sent: Int64?
  package var done: Int64
  package var started, stopped, fetchedFrom, fetchedTo: Int64?

  package init(ready: Int64?, sent: Int64?, done: Int64) {
    (self.ready, self.sent, self.done) = (ready, sent, done)
  }

  package struct Phase {
    package var kind: PathPhase.Kind
    package var start: Int64?
    package var stop: Int64?
  }

  /// The consecutive phases from `ready` to `done`; without those that have no length, except
  /// `compute`.
  ///
  /// Workers have their own clocks: their times are clamped to what the scheduler observed.
  package var phases: [Phase] {
    let sent = Self.both(sent, ready, max)
    func within(_ moment: Int64?, to end: Int64? = nil) -> Int64? {
      Self.both(Self.both(moment, sent, max), min(end ?? done, done), min)
    }
    let begin = within(started ?? sent)
    let end = within(Self.both(stopped ?? done, started ?? sent, max))
    let from = within(fetchedFrom ?? sent, to: started)
    let to = within(fetchedTo ?? sent, to: started)
    var phases: [Phase] = []
    func add(_ kind: PathPhase.Kind, _ start: Int64?, _ stop: Int64?) {
      let isLong = Self.both(start, stop, { $1 > $0 ? 1 : 0 }) == 1
      guard isLong || kind == .compute else { return }
      phases.append(Phase(kind: kind, start: start, stop: stop))
    }
    add(.wait, ready, sent)
    if let from, let to, to > from {
      add(.queue, sent, Self.both(from, sent, max))
      add(.transfer, from, to)
      add(.queue, to, begin)
    } else {
      add(.queue, sent, begin)
    }
    add(.compute, begin, end)
    add(.report, end, done)
    return phases
  }

  /// As in SQL: an expression with an unknown operand is unknown.
  static func both(_ a: Int64?, _ b: Int64?, _ body: (Int64, Int64) -> Int64) -> Int64? {
    guard let a, let b else { return nil }
    return body(a, b)
  }
}
