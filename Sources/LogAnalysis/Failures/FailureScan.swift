import EventLog
import LogFormat
import TaskLogPlugin

/// The failures of a run, found in one pass over its events.
extension LogReader {
  /// - Parameter scope: the part of the run whose failures are passed on; the cause of each is
  ///   searched in all of the run.
  /// - Throws: `LogError`.
  package func failures(of run: RunInfo, in scope: RunScope? = nil) throws -> RunFailures {
    try translating {
      guard let range = try range(of: run) else { return RunFailures(self) }
      let sources = try sources(of: run)
      let schedulers = SourceIndex(sources.filter { $0.source.kind == .scheduler })
      let workers = SourceIndex(sources.filter { $0.source.kind == .worker })
      var finder = try BlameFinder(self, run)
      var atWorkers: [Int64] = []
      let scan = try scan(range)
      let texts = try KnownTexts(self)
      let path = path
      try scan.run(self) { select, range in
        var part = FailurePart()
        try select.forEachRow(in: range, path) { seq in
          let (source, finish) = (select.integer(1), select.integer(3))
          if finish != texts.erred {
            guard workers.place(source) != nil else { return }
            if let scope {
              guard scope.includes(source: source), scope.includes(task: select.integer(5)) else {
                return
              }
            }
            part.atWorkers.append(seq)
          } else if schedulers.place(source) != nil {
            part.failed.append(Self.failure(seq, select, texts))
          }
        }
        return part
      } take: { part in
        for failed in part.failed { try finder.add(failed) }
        atWorkers += part.atWorkers
      }
      return RunFailures(self, finder.failures, unresolved: finder.unresolved, atWorkers, scope)
    }
  }

  private func scan(_ range: ClosedRange<Int64>) throws -> ParallelScan<FailurePart> {
    let finishes = try ["erred", "error"].compactMap { try number(ofText: $0) }
    let transition = try number(ofText: "transition") ?? -1
    return ParallelScan(
      """
      SELECT seq, source, start, finish, stimulus, key, args, snapshot FROM event
      WHERE seq BETWEEN ? AND ? AND finish IN (\(finishes.map(String.init).joined(separator: ", ")))
        AND +hook = \(transition) AND +key IS NOT NULL AND +start IS NOT +finish
      ORDER BY seq
      """, over: range)
  }

  private static func failure(
    _ seq: Int64, _ select: Statement, _ texts: KnownTexts
  ) -> FailurePart.Failed {
    let start = select.integer(2)
    var failed = FailurePart.Failed(
      seq: seq, source: select.integer(1), stimulus: select.optionalInteger(4),
      key: select.integer(5), looks: .affected)
    if start == texts.processing { failed.looks = .own }
    if start == texts.memory { failed.looks = .certainlyOwn }
    var told = BlameScan()
    _ = select.withText(6) { told.read(args: $0) }
    _ = select.withText(7) { told.read(snapshot: $0) }
    if told.hasText { failed.looks = .certainlyOwn }
    failed.blame = told.blame
    return failed
  }
}

/// The results of one thread for its part of the events.
struct FailurePart: Sendable {
  /// A task that became erred.
  struct Failed: Sendable {
    /// Tells whether it has failed on its own, if the event does not say which task it blames.
    enum Looks: Sendable { case affected, own, certainlyOwn }

    var seq: Int64
    var source: Int64
    var stimulus: Int64?
    var key: Int64
    var looks: Looks
    /// The blamed key, in JSON.
    var blame: String?
  }

  var failed: [Failed] = []
  /// Events of workers.
  var atWorkers: [Int64] = []
}

/// What args and snapshot of a failure say about its cause, read without decoding all of them.
private struct BlameScan {
  /// A key in JSON.
  var blame: String?
  /// Whether there is an exception's text, or a placeholder for it.
  var hasText = false

  mutating func read(args: UnsafeBufferPointer<UInt8>) {
    var scanner = JSONScanner(args)
    scanner.members { name, scanner in
      if scanner.equals(name, "cause") {
        blame = Self.key(&scanner)
      } else if scanner.equals(name, "exception_text") {
        hasText = Self.isValue(&scanner)
      }
    }
  }

  /// Adds what the args do not say.
  mutating func read(snapshot: UnsafeBufferPointer<UInt8>) {
    var task = BlameScan()
    var scanner = JSONScanner(snapshot)
    scanner.members { name, scanner in
      guard scanner.equals(name, "task") else { return }
      task = BlameScan()
      scanner.members { name, scanner in
        if scanner.equals(name, "blame") {
          task.blame = Self.key(&scanner)
        } else if scanner.equals(name, "exceptionText") {
          task.hasText = Self.isValue(&scanner)
        }
      }
    }
    blame = blame ?? task.blame
    hasText = hasText || task.hasText
  }

  private static func isValue(_ scanner: inout JSONScanner) -> Bool {
    scanner.peek() != UInt8(ascii: "n")
  }

  private static func key(_ scanner: inout JSONScanner) -> String? {
    guard isValue(&scanner), let json = scanner.token() else { return nil }
    return String(decoding: scanner[json], as: UTF8.self)
  }
}
