import EventLog
import LogFormat
import TaskLogPlugin

/// A task on a worker, from when it was sent there until it begins to run.
struct WorkerVisit {
  /// The position in the worker's events from which on it has the task.
  var since: Int64
  /// And from which on it is ready to run.
  var ready: Int64?
  /// The workers that held each input, by the text of its key.
  var holders: [String: [String]] = [:]
  var priority: [Double]?

  /// - Parameter args: of the event `compute-task`.
  init(since: Int64, args: Value = .null) {
    self.since = since
    priority = Self.priority(args)
    guard case .dict(let entries)? = args["who_has"] else { return }
    for entry in entries {
      guard let key = Key(entry.key) else { continue }
      holders[key.text] = (entry.value.elements ?? []).compactMap(\.string)
    }
  }

  /// One for each message: inputs of the same message arrived by the same stimulus.
  fileprivate func arrivals(
    _ arrived: [(stimulus: Int64, input: String, duration: Int64?, seq: Int64)],
    _ senders: [Int64: String], _ label: (String) -> String
  ) -> [WorkerWait.Arrival] {
    var arrivals: [WorkerWait.Arrival] = []
    var places: [Int64: Int] = [:]
    for (stimulus, input, duration, seq) in arrived {
      if let place = places[stimulus] {
        let longest = [arrivals[place].duration, duration].compactMap(\.self).max()
        arrivals[place].duration = longest
        continue
      }
      places[stimulus] = arrivals.count
      let holders = holders[input] ?? []
      let sender = senders[stimulus] ?? (holders.count == 1 ? holders[0] : nil)
      arrivals.append(.init(worker: sender.map(label), duration: duration, seq: seq))
    }
    return arrivals
  }

  /// The worker whose message a stimulus was, as Dask's workers record it.
  fileprivate static func sender(_ args: String) -> String? {
    guard args.contains("gather-dep-success"), let args = try? JSONReader.value(args),
      args["op"]?.string == "gather-dep-success"
    else { return nil }
    return args["worker"]?.string
  }

  /// What Dask compares, with the lowest first; `nil` if it is not numbers alone.
  static func priority(_ args: Value) -> [Double]? {
    guard let elements = args["priority"]?.elements, !elements.isEmpty else { return nil }
    let numbers = elements.compactMap(\.number)
    return numbers.count == elements.count ? numbers : nil
  }
}

extension LogReader {
  /// What a worker did while a task waited there.
  ///
  /// - Parameters:
  ///   - key: the row ID of its key.
  ///   - source: the row ID of the worker.
  ///   - start: the event with which it began to run.
  ///   - label: the name of a worker by its address.
  /// - Throws: `LogError`.
  func wait(
    of key: Int64, _ visit: WorkerVisit, on source: Int64, until start: RecordedEvent,
    label: (String) -> String
  ) throws -> WorkerWait {
    var wait = WorkerWait()
    try translating {
      let numbers = try NameNumbers(self)
      let select = try connection.prepare(
        """
        SELECT seq, source_seq, time, key, start, finish, stimulus, CASE hook WHEN ?4 THEN args END
        FROM event WHERE source = ?1 AND source_seq BETWEEN ?2 AND ?3 ORDER BY source_seq
        """)
      try select.bind(1, source)
      try select.bind(2, visit.since)
      try select.bind(3, start.sourceSeq)
      try select.bind(4, numbers.stimulus)
      // By their stimuli: the workers that sent messages with results.
      var senders: [Int64: String] = [:]
      var requested: [Int64: Int64] = [:]
      var arrived: [(stimulus: Int64, input: String, duration: Int64?, seq: Int64)] = []
      var ahead: [(key: Int64, seq: Int64)] = []
      while try select.step() {
        let (seq, time, stimulus) = (select.integer(0), select.integer(2), select.integer(6))
        if let sender = select.optionalText(7).flatMap(WorkerVisit.sender) {
          senders[stimulus] = sender
        }
        guard let other = select.optionalInteger(3), other != key else { continue }
        let (before, after) = (select.integer(4), select.integer(5))
        if after == numbers.flight { requested[other] = time }
        if before == numbers.flight, after == numbers.memory,
          let input = try keys.element(other)?.text, visit.holders[input] != nil
        {
          arrived.append((stimulus, input, requested[other].map { time - $0 }, seq))
        }
        guard let ready = visit.ready, select.integer(1) > ready else { continue }
        // One that was cancelled and is wanted again has been running all the time.
        if after == numbers.executing, [numbers.ready, numbers.constrained].contains(before) {
          ahead.append((other, seq))
        }
        if before == numbers.executing, start.stimulusNumber != 0,
          stimulus == start.stimulusNumber, let text = try keys.element(other)?.text
        {
          wait.freed = .init(key: text, seq: seq)
        }
      }
      wait.arrivals = visit.arrivals(arrived, senders, label)
      wait.ahead = try ahead.compactMap { other in
        try keys.element(other.key).map { .init(key: $0.text, seq: other.seq) }
      }
      if let first = ahead.first?.key, let last = ahead.last?.key, let own = visit.priority {
        wait.isByPriority = try [first, last].allSatisfy { other in
          try priority(of: other, on: source, before: start.sourceSeq)
            .map { $0.lexicographicallyPrecedes(own) } ?? false
        }
      }
    }
    return wait
  }

  /// The priority with which a worker got a task last.
  private func priority(
    of key: Int64, on source: Int64, before sourceSeq: Int64
  ) throws -> [Double]? {
    let select = try connection.prepare(
      """
      SELECT args FROM event WHERE key = ? AND source = ? AND source_seq < ? AND hook = ?
      ORDER BY source_seq DESC
      """)
    try select.bind(1, key)
    try select.bind(2, source)
    try select.bind(3, sourceSeq)
    try select.bind(4, try number(ofText: Hook.stimulus.name) ?? 0)
    while try select.step() {
      guard let args = try? JSONReader.value(select.text(0)), args["op"]?.string == "compute-task"
      else { continue }
      return WorkerVisit.priority(args)
    }
    return nil
  }
}

/// The row IDs of names; 0, which none has, where a log has no such event.
private struct NameNumbers {
  let flight: Int64, memory: Int64, ready: Int64, constrained: Int64, executing: Int64
  /// That of the hook.
  let stimulus: Int64

  init(_ reader: LogReader) throws {
    func number(_ state: State) throws -> Int64 { try reader.number(ofText: state.name) ?? 0 }
    flight = try number(.flight)
    memory = try number(.memory)
    ready = try number(.ready)
    constrained = try number(.constrained)
    executing = try number(.executing)
    stimulus = try reader.number(ofText: Hook.stimulus.name) ?? 0
  }
}
