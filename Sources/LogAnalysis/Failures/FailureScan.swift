import EventLog
import LogFormat
import TaskLogPlugin

/// The failures of a run, found in one pass over its events.
extension LogReader {
  /// - Throws: `LogError`.
  package func failures(of run: RunInfo) throws -> RunFailures {
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
            if workers.place(source) != nil { part.atWorkers.append(seq) }
          } else if schedulers.place(source) != nil {
            part.failed.append(Self.failure(seq, select, texts))
          }
        }
        return part
      } take: { part in
        for failed in part.failed { try finder.add(failed) }
        atWorkers += part.atWorkers
      }
      return RunFailures(self, finder.failures, unresolved: finder.unresolved, atWorkers)
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
    var scan = JSONScan(args)
    scan.members { name, scan in
      if scan.equals(name, "cause") {
        blame = blame ?? Self.key(args[scan.value()])
      } else if scan.equals(name, "exception_text") {
        hasText = hasText || Self.isValue(scan)
      }
    }
  }

  mutating func read(snapshot: UnsafeBufferPointer<UInt8>) {
    var scan = JSONScan(snapshot)
    scan.members { name, scan in
      guard scan.equals(name, "task") else { return }
      scan.members { name, scan in
        if scan.equals(name, "blame") {
          blame = blame ?? Self.key(snapshot[scan.value()])
        } else if scan.equals(name, "exceptionText") {
          hasText = hasText || Self.isValue(scan)
        }
      }
    }
  }

  private static func isValue(_ scan: JSONScan) -> Bool {
    scan.peek().map { $0 != UInt8(ascii: "n") } ?? false
  }

  private static func key(_ json: Slice<UnsafeBufferPointer<UInt8>>) -> String? {
    json.first == UInt8(ascii: "n") ? nil : String(decoding: json, as: UTF8.self)
  }
}
