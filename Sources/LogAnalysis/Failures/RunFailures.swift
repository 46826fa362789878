import EventLog
import LogFormat
import TaskLogPlugin

/// A task that failed on its own; a row of the view `errors`.
package struct FailedTask: Sendable {
  package var seq: Int64
  package var time: Int64
  package var key: String
  /// As in the args, like the traceback and usually the exception: see the view `failure_texts`.
  package var worker: SQLiteValue
  package var exception: SQLiteValue
  package var traceback: SQLiteValue
  /// How often the task had been assigned to a worker before.
  package var retries: Int64
  /// The number of tasks that failed with it.
  package var dependents: Int64
}

/// A task that failed because of another; one of the rows of the view `failures`.
package struct AffectedTask: Sendable {
  package var seq: Int64
  package var time: Int64
  package var key: String
  package var blamed: String?
  package var causeSeq: Int64?
}

/// A failure that only a worker recorded; a row of the view `worker_errors`.
package struct WorkerFailure: Sendable {
  package var seq: Int64
  package var time: Int64
  package var key: String
  package var worker: String
  /// The state of the task before.
  package var start: String?
  package var exception: SQLiteValue
  package var traceback: SQLiteValue
}

/// An exception with the tasks that it failed; a row of the view `error_causes`.
package struct ErrorCause: Sendable {
  package var exception: SQLiteValue
  package var tasks: Int64 = 0
  package var dependents: Int64 = 0
  package var workers: Int64 = 0
  package var firstSeq: Int64
  package var firstKey: String
  package var firstTraceback: SQLiteValue = .null
  /// When it first failed a task.
  package var firstTime: Int64
  /// How often one of its tasks had been assigned to a worker before, at most.
  package var retries: Int64 = 0
  /// Examples of its tasks, of their workers and of the tasks that failed with them.
  package var keys: [String] = []
  package var workerAddresses: [String] = []
  package var dependentKeys: [String] = []
}

/// The failures of a run. Only row IDs and numbers are kept; the values of each are read on demand.
package struct RunFailures {
  /// A key by its row ID, which may be any number, or the index of a name that is no key of this log.
  enum Blamed: Equatable, Sendable {
    case key(Int64)
    case unresolved(Int)
  }

  struct Failure: Sendable {
    var seq: Int64
    var key: Int64
    /// The task that the scheduler blames explicitly.
    var blamed: Blamed?
    /// The failure that caused it: itself if it has failed on its own.
    var causeSeq: Int64?

    var isOwn: Bool { causeSeq == seq }
  }

  private static let pageSize = 512
  private let reader: LogReader
  /// In the order of arrival.
  private let failures: [Failure]
  /// Blamed names that are not keys of this log.
  private let unresolved: [String]
  /// Events of workers that may be failures that the scheduler does not know.
  private let atWorkers: [Int64]
  /// What is passed on; `nil` for all of the run.
  private let scope: RunScope?
  private var dependents: [Int64: Int64] = [:]

  init(
    _ reader: LogReader, _ failures: [Failure] = [], unresolved: [String] = [],
    _ atWorkers: [Int64] = [], _ scope: RunScope? = nil
  ) {
    self.scope = scope
    self.reader = reader
    self.failures = failures
    self.unresolved = unresolved
    self.atWorkers = atWorkers
    for failure in failures where !failure.isOwn {
      if let cause = failure.causeSeq { dependents[cause, default: 0] += 1 }
    }
  }

  // MARK: - Single events

  private func failure(_ seq: Int64) -> Failure? {
    var (low, high) = (0, failures.count)
    while low < high {
      let middle = (low + high) / 2
      if failures[middle].seq < seq { low = middle + 1 } else { high = middle }
    }
    return low < failures.count && failures[low].seq == seq ? failures[low] : nil
  }

  /// The event of the failure that caused the failure of a task, which is itself for a task that
  /// has failed on its own; `nil` if unknown.
  package func cause(of seq: Int64) -> Int64? { failure(seq)?.causeSeq }

  /// The task that a failed task blames; `nil` for one that has failed on its own.
  ///
  /// - Throws: `LogError`.
  package func blamed(at seq: Int64) throws -> String? {
    guard let failure = failure(seq), !failure.isOwn else { return nil }
    return try reader.translating { try blamed(failure) }
  }

  private func blamed(_ failure: Failure) throws -> String? {
    switch failure.blamed {
    case .unresolved(let index): return unresolved[index]
    case .key(let key): return try reader.keys.element(key)?.text
    case nil:
      guard let cause = failure.causeSeq.flatMap({ self.failure($0) }) else { return nil }
      return try reader.keys.element(cause.key)?.text
    }
  }

  // MARK: - All failures

  /// The events of the failures of tasks in the scope: those on their own, or those because of
  /// others.
  private func events(own: Bool) -> some Sequence<Int64> {
    let scope = scope
    return failures.lazy.filter {
      $0.isOwn == own && scope?.includes(task: $0.key) ?? true
    }.map(\.seq)
  }

  /// Whether a failure is in the scope by its time and the worker in its args.
  private func isIncluded(_ seq: Int64, _ time: Int64, _ worker: SQLiteValue) -> Bool {
    guard let scope else { return true }
    guard scope.window.contains(time) else { return false }
    guard scope.selectsWorkers else { return true }
    guard case .text(let address) = worker else { return false }
    return scope.includes(worker: address, at: seq)
  }

  private func pages(_ events: some Sequence<Int64>, _ body: (String) throws -> Void) throws {
    func list(_ page: [Int64]) -> String {
      "[" + page.map(String.init).joined(separator: ",") + "]"
    }
    var page: [Int64] = []
    for seq in events {
      page.append(seq)
      if page.count == Self.pageSize {
        try body(list(page))
        page.removeAll(keepingCapacity: true)
      }
    }
    if !page.isEmpty { try body(list(page)) }
  }

  /// Reads rows of some events, a page at a time, so that no transaction stays open while the
  /// consumer is busy.
  private func rows<Row>(
    _ sql: String, of events: some Sequence<Int64>, _ make: (Statement) throws -> Row,
    _ body: (Row) throws -> Void
  ) throws {
    let select = try reader.translating { try reader.connection.prepare(sql) }
    try pages(events) { page in
      var rows: [Row] = []
      try reader.translating {
        defer { select.reset() }
        try select.bind(1, page)
        while try select.step() { rows.append(try make(select)) }
      }
      for row in rows { try body(row) }
    }
  }

  /// Passes each task that failed on its own to the body, in the order of arrival.
  ///
  /// - Throws: `LogError`, or what the body throws.
  package func forEachError(_ body: (FailedTask) throws -> Void) throws {
    try rows(
      """
      SELECT event.seq, event.time, key.text, event.args ->> '$.worker',
        (SELECT exception FROM failure_texts WHERE failure_texts.seq = event.seq),
        event.args ->> '$.traceback_text',
        (SELECT max(0, count(*) - 1) FROM event AS sent
          WHERE sent.key = event.key AND sent.source = event.source AND sent.seq < event.seq
            AND sent.start IS NOT sent.finish
            AND +sent.finish = (SELECT id FROM text WHERE text = 'processing'))
      FROM event JOIN key ON key.id = event.key
      WHERE event.seq IN (SELECT value FROM json_each(?)) ORDER BY event.seq
      """, of: events(own: true)
    ) { select in
      FailedTask(
        seq: select.integer(0), time: select.integer(1), key: select.text(2),
        worker: select.value(3), exception: select.value(4), traceback: select.value(5),
        retries: select.integer(6), dependents: dependents[select.integer(0)] ?? 0)
    } _: {
      if isIncluded($0.seq, $0.time, $0.worker) { try body($0) }
    }
  }

  /// Passes each task that failed because of another to the body, in the order of arrival.
  ///
  /// - Throws: `LogError`, or what the body throws.
  package func forEachAffected(_ body: (AffectedTask) throws -> Void) throws {
    try rows(
      """
      SELECT event.seq, event.time, key.text FROM event JOIN key ON key.id = event.key
      WHERE event.seq IN (SELECT value FROM json_each(?)) ORDER BY event.seq
      """, of: events(own: false)
    ) { select in
      let failure = failure(select.integer(0))
      return AffectedTask(
        seq: select.integer(0), time: select.integer(1), key: select.text(2),
        blamed: try failure.flatMap(blamed), causeSeq: failure?.causeSeq)
    } _: {
      if scope?.window.contains($0.time) ?? true { try body($0) }
    }
  }

  /// Passes each failure that only a worker recorded to the body, in the order of arrival.
  ///
  /// - Throws: `LogError`, or what the body throws.
  package func forEachAtWorkers(_ body: (WorkerFailure) throws -> Void) throws {
    try rows(
      """
      SELECT seq, time_ns, key, worker, start, exception, traceback FROM worker_errors
      WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq
      """, of: atWorkers
    ) { select in
      WorkerFailure(
        seq: select.integer(0), time: select.integer(1), key: select.text(2),
        worker: select.text(3), start: select.optionalText(4), exception: select.value(5),
        traceback: select.value(6))
    } _: {
      if scope?.window.contains($0.time) ?? true { try body($0) }
    }
  }

  /// Exceptions of tasks that failed on their own, by event, if the args do not have a text: those
  /// that the scheduler created itself, such as Dask's `KilledWorker`.
  ///
  /// - Throws: `LogError`.
  package func textsBesideArgs() throws -> [Int64: String] {
    var texts: [Int64: String] = [:]
    try rows(
      """
      SELECT event.seq, (SELECT exception FROM failure_texts WHERE failure_texts.seq = event.seq)
      FROM event WHERE event.seq IN (SELECT value FROM json_each(?))
        AND event.args ->> '$.exception_text' IS NULL
      """, of: failures.lazy.filter(\.isOwn).map(\.seq)
    ) { select in
      (select.integer(0), select.optionalText(1))
    } _: {
      texts[$0.0] = $0.1
    }
    return texts
  }

  /// The number of tasks that failed on their own, and of those that failed because of others.
  ///
  /// - Throws: `LogError`.
  package func counts() throws -> (own: Int64, affected: Int64) {
    guard scope != nil else {
      let own = Int64(failures.count { $0.isOwn })
      return (own, Int64(failures.count) - own)
    }
    var (own, affected) = (Int64(0), Int64(0))
    try forEachError { _ in own += 1 }
    try forEachAffected { _ in affected += 1 }
    return (own, affected)
  }

  /// The tasks that failed on their own, grouped by cause, the most frequent first.
  ///
  /// - Throws: `LogError`.
  package func causes() throws -> [ErrorCause] { try causes(examples: 0) }

  /// The same with some of the tasks and workers of each.
  ///
  /// - Parameter examples: the maximum number of each kind.
  /// - Throws: `LogError`.
  package func causes(examples: Int) throws -> [ErrorCause] {
    var causes = CauseTable(examples: examples)
    var indexesOfFailures: [Int64: Int] = [:]
    try forEachError { error in
      let index = causes.add(error)
      if examples > 0, error.dependents > 0 { indexesOfFailures[error.seq] = index }
    }
    if !indexesOfFailures.isEmpty {
      try forEachAffected { task in
        guard let index = task.causeSeq.flatMap({ indexesOfFailures[$0] }) else { return }
        causes.add(task, failedWith: index)
      }
    }
    return causes.sorted().map(\.cause)
  }
}
