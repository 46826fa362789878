import TaskLogPlugin

/// A task that failed on its own; a row of the view `errors`.
public struct FailedTask: Sendable {
  public var seq: Int64
  public var time: Int64
  public var key: String
  /// As the args have it, as have exception and traceback.
  public var worker: SQLiteValue
  public var exception: SQLiteValue
  public var traceback: SQLiteValue
  /// How often the task had been given to a worker before.
  public var retries: Int64
  /// How many tasks failed with it.
  public var dependents: Int64
}

/// A task that failed with another; one of the rows of the view `failures`.
public struct AffectedTask: Sendable {
  public var seq: Int64
  public var time: Int64
  public var key: String
  public var blamed: String?
  public var causeSeq: Int64?
}

/// An exception with the tasks that it failed; a row of the view `error_causes`.
public struct ErrorCause: Sendable {
  public var exception: SQLiteValue
  public var tasks: Int64 = 0
  public var dependents: Int64 = 0
  public var workers: Int64 = 0
  public var firstSeq: Int64
  public var firstKey: String
  public var firstTraceback: SQLiteValue = .null
}

/// What failed in a run. Only numbers are kept; what is shown of each is read when it is asked for.
public struct RunFailures {
  struct Failure: Sendable {
    var seq: Int64
    var stimulus: Int64?
    /// Whether it became erred by this: it may have been before.
    var isChange: Bool
    var isCause: Bool
    /// The failure that it came of: the last one before it of the same stimulus.
    var causeSeq: Int64?

    /// Whether it failed with another.
    var isAffected: Bool { isChange && !isCause }
  }

  private static let pageSize = 512
  private let reader: LogReader
  /// In the order of arrival.
  private let failures: [Failure]
  private var dependents: [Int64: Int64] = [:]

  init(_ reader: LogReader, _ found: [Failure]) {
    self.reader = reader
    var failures = found
    var causes: [Int64: Int64] = [:]
    for place in failures.indices where failures[place].isChange {
      guard let stimulus = failures[place].stimulus else { continue }
      if failures[place].isCause {
        causes[stimulus] = failures[place].seq
      } else if let cause = causes[stimulus] {
        failures[place].causeSeq = cause
        dependents[cause, default: 0] += 1
      }
    }
    self.failures = failures
  }

  private func pages(
    _ isWanted: (Failure) -> Bool, _ body: (ArraySlice<Failure>) throws -> Void
  ) throws {
    var page: [Failure] = []
    for failure in failures where isWanted(failure) {
      page.append(failure)
      if page.count == Self.pageSize {
        try body(page[...])
        page.removeAll(keepingCapacity: true)
      }
    }
    if !page.isEmpty { try body(page[...]) }
  }

  private func list(_ page: ArraySlice<Failure>) -> String {
    "[" + page.map { String($0.seq) }.joined(separator: ",") + "]"
  }

  /// Gives each task that failed on its own, in the order of arrival.
  ///
  /// - Throws: `LogError`, or what the body throws.
  public func forEachError(_ body: (FailedTask) throws -> Void) throws {
    let select = try reader.translating {
      try reader.connection.prepare(
        """
        SELECT event.seq, event.time, key.text, event.args ->> '$.worker',
          event.args ->> '$.exception_text', event.args ->> '$.traceback_text',
          (SELECT max(0, count(*) - 1) FROM event AS sent
            WHERE sent.key = event.key AND sent.source = event.source AND sent.seq < event.seq
              AND sent.start IS NOT sent.finish
              AND +sent.finish = (SELECT id FROM text WHERE text = 'processing'))
        FROM event JOIN key ON key.id = event.key
        WHERE event.seq IN (SELECT value FROM json_each(?)) ORDER BY event.seq
        """)
    }
    try pages(\.isCause) { page in
      var errors: [FailedTask] = []
      try reader.translating {
        defer { select.reset() }
        try select.bind(1, list(page))
        while try select.step() {
          errors.append(
            FailedTask(
              seq: select.integer(0), time: select.integer(1), key: select.text(2),
              worker: select.value(3), exception: select.value(4), traceback: select.value(5),
              retries: select.integer(6), dependents: dependents[select.integer(0)] ?? 0))
        }
      }
      for error in errors { try body(error) }
    }
  }

  /// Gives each task that failed with another, in the order of arrival.
  ///
  /// - Throws: `LogError`, or what the body throws.
  public func forEachAffected(_ body: (AffectedTask) throws -> Void) throws {
    let (select, key) = try reader.translating {
      (
        try reader.connection.prepare(
          """
          SELECT event.seq, event.time, key.text, event.args -> '$.cause', event.args ->> '$.cause'
          FROM event JOIN key ON key.id = event.key
          WHERE event.seq IN (SELECT value FROM json_each(?)) ORDER BY event.seq
          """),
        try reader.connection.prepare(
          "SELECT text FROM event JOIN key ON key.id = event.key WHERE seq = ?")
      )
    }
    try pages(\.isAffected) { page in
      var tasks: [AffectedTask] = []
      try reader.translating {
        defer { select.reset() }
        try select.bind(1, list(page))
        let causes = Dictionary(page.map { ($0.seq, $0.causeSeq) }, uniquingKeysWith: { $1 })
        while try select.step() {
          let seq = select.integer(0)
          var task = AffectedTask(
            seq: seq, time: select.integer(1), key: select.text(2), causeSeq: causes[seq] ?? nil)
          if let json = select.optionalText(3) {
            task.blamed = try typedKey(json) ?? select.optionalText(4)
          } else if let cause = task.causeSeq {
            defer { key.reset() }
            try key.bind(1, cause)
            task.blamed = try key.step() ? key.optionalText(0) : nil
          }
          tasks.append(task)
        }
      }
      for task in tasks { try body(task) }
    }
  }

  /// The text of a key that is more than its text, when this log has it.
  private func typedKey(_ json: String) throws -> String? {
    guard let key = (try? JSONReader.value(json)).flatMap(Key.init), !key.typed.isEmpty else {
      return nil
    }
    let select = try reader.connection.prepare("SELECT 1 FROM key WHERE text = ? AND typed = ?")
    try select.bind(1, key.text)
    try select.bind(2, key.typed)
    return try select.step() ? key.text : nil
  }

  /// The tasks that failed on their own by what went wrong, the most first.
  ///
  /// - Throws: `LogError`.
  public func causes() throws -> [ErrorCause] {
    var causes: [ErrorCause] = []
    // By bytes, as SQL compares them.
    var workers: [Set<[UInt8]>] = []
    var places: [[UInt8]: Int] = [:]
    try forEachError { error in
      let name = Array("\(error.exception)".utf8)
      let place = places[name] ?? causes.count
      if place == causes.count {
        places[name] = place
        causes.append(
          ErrorCause(exception: error.exception, firstSeq: error.seq, firstKey: error.key))
        workers.append([])
      }
      causes[place].tasks += 1
      causes[place].dependents += error.dependents
      if error.worker != .null { workers[place].insert(Array("\(error.worker)".utf8)) }
    }
    return try reader.translating {
      let select = try reader.connection.prepare(
        "SELECT args ->> '$.traceback_text' FROM event WHERE seq = ?")
      for place in causes.indices {
        defer { select.reset() }
        causes[place].workers = Int64(workers[place].count)
        try select.bind(1, causes[place].firstSeq)
        if try select.step() { causes[place].firstTraceback = select.value(0) }
      }
      return causes.sorted { ($1.tasks, $0.firstSeq) < ($0.tasks, $1.firstSeq) }
    }
  }
}

extension LogReader {
  /// What failed in a run.
  ///
  /// - Throws: `LogError`.
  public func failures(of run: RunInfo) throws -> RunFailures {
    try translating {
      guard let range = try range(of: run) else { return RunFailures(self, []) }
      let texts = try KnownTexts(self)
      let schedulers = SourcePlaces(
        try sources(of: run).filter { $0.source.kind == .scheduler })
      let (path, processing, erred) = (path, texts.processing, texts.erred)
      let scan = PartedScan<[RunFailures.Failure]>(
        """
        SELECT seq, source, start, stimulus, args FROM event
        WHERE seq BETWEEN ? AND ? AND finish = \(erred) AND +hook = \(texts.transition)
          AND +key IS NOT NULL ORDER BY seq
        """, over: range)
      var failures: [RunFailures.Failure] = []
      try scan.run(self) { select, range in
        var part: [RunFailures.Failure] = []
        try select.forEachRow(in: range, path) { seq in
          guard schedulers.place(select.integer(1)) != nil else { return }
          let start = select.integer(2)
          let isCause =
            start == processing || select.withText(4) { OutcomeScan($0).hasException } ?? false
          guard isCause || start != erred else { return }
          part.append(
            RunFailures.Failure(
              seq: seq, stimulus: select.optionalInteger(3), isChange: start != erred,
              isCause: isCause))
        }
        return part
      } take: {
        failures += $0
      }
      return RunFailures(self, failures)
    }
  }
}
