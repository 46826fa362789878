import TaskLogPlugin

/// Where a task was, at the scheduler or at a worker.
public struct TaskWhereabouts: Sendable {
  /// The number of the source in the file.
  public var source: Int64
  public var key: String
  public var state: String
  /// The worker that the event named: the one that a task was given to.
  public var worker: String?
  /// Since when, in nanoseconds since 1970 UTC.
  public var since: Int64
  /// The event that brought it there.
  public var seq: Int64
}

/// A moment of a run.
public enum Moment: Sendable {
  /// Behind an event in the order of arrival.
  case seq(Int64)
  /// By the clock of each source, in nanoseconds since 1970 UTC.
  case time(Int64)
  case end
}

extension LogReader {
  /// What was where at a moment, what came there first first. Tasks that were forgotten are nowhere.
  ///
  /// - Throws: `LogError`.
  public func whereabouts(in run: RunInfo, at moment: Moment) throws -> [TaskWhereabouts] {
    try translating {
      var (lastSeq, lastTime) = (run.lastSeq ?? 0, Int64.max)
      switch moment {
      case .seq(let seq): lastSeq = min(lastSeq, seq)
      case .time(let time): lastTime = time
      case .end: break
      }
      let sources = Set(try sources(of: run).map(\.number))
      return try found(sources, from: run.firstSeq ?? 1, to: lastSeq, until: lastTime)
    }
  }

  /// The time of the last event of a run, by a look at the last one of each source.
  ///
  /// - Throws: `LogError`.
  public func timeOfLastEvent(in run: RunInfo) throws -> Int64? {
    try translating {
      try connection.integer(
        "SELECT (\(RunEnd.timeOfLastEventSQL)) FROM run WHERE id = \(run.number)")
    }
  }

  private func found(
    _ sources: Set<Int64>, from first: Int64, to last: Int64, until lastTime: Int64
  ) throws -> [TaskWhereabouts] {
    struct Place: Hashable { var source, key: Int64 }
    struct Found { var seq, time, state, worker: Int64 }
    let texts = try KnownTexts(self)
    let select = try connection.prepare(
      """
      SELECT seq, source, time, hook, key, start, finish, worker FROM event
      WHERE seq > ? AND seq <= ? ORDER BY seq
      """)
    var places: [Place: Found] = [:]
    var position = first - 1
    while position < last {
      try select.bind(1, position)
      try select.bind(2, last)
      var count = 0
      // Short transactions, so that the write-ahead log can be checkpointed.
      while count < 1 << 16, try select.step() {
        count += 1
        let seq = select.integer(0)
        try checkOrder(of: seq, after: position)
        position = seq
        let (source, finish) = (select.integer(1), select.integer(6))
        guard select.integer(3) == texts.transition, select.integer(2) <= lastTime,
          sources.contains(source), finish != 0, finish != select.integer(5)
        else { continue }
        let place = Place(source: source, key: select.integer(4))
        places[place] =
          finish == texts.forgotten
          ? nil
          : Found(
            seq: seq, time: select.integer(2), state: finish, worker: select.integer(7))
      }
      select.reset()
      if count < 1 << 16 { break }
    }
    return try places.sorted { $0.value.seq < $1.value.seq }.map { place, found in
      TaskWhereabouts(
        source: place.source, key: try keys.element(place.key)?.text ?? "",
        state: try self.texts.element(found.state) ?? "",
        worker: found.worker == 0 ? nil : try self.texts.element(found.worker),
        since: found.time, seq: found.seq)
    }
  }
}
