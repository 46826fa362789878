import TaskLogPlugin

/// One time that a task was given to a worker, from there to its end.
final class Attempt {
  enum Outcome: Equatable {
    case memory
    case erred
    /// Taken back before there was a result: to what state the task went.
    case other(State)
    /// There was no end to it in the log.
    case unfinished
  }

  let key: Key
  let keyNumber: Int64
  /// The first of a task is 1; 0 for what only a worker tells of.
  let number: Int32
  /// The worker: its address, with a number when another was there before.
  var worker: String?
  /// The worker's place among the sources, while only that is known.
  var taskRunID: Int64?
  var stimulusID: String?

  // Times are nanoseconds since 1970 UTC, by the scheduler's clock as far as the log tells.

  /// When the scheduler gave it to the worker.
  var sent: Int64?
  /// When the worker began and ceased to run it.
  var started: Int64?
  var stopped: Int64?
  /// When the scheduler knew of its end.
  var ended: Int64?

  var outcome = Outcome.unfinished
  /// What the scheduler was told of it.
  var facts = RunArgs()
  /// What the worker told at its end; looked at only where the scheduler was told nothing.
  var lastWords: Snapshot = .none

  init(key: Key, keyNumber: Int64, number: Int32) {
    self.key = key
    self.keyNumber = keyNumber
    self.number = number
  }

  /// What was done for it: as the scheduler was told, or else the worker's own words.
  var spans: [WorkSpan] {
    if !facts.spans.isEmpty { return facts.spans }
    if case .task(let facts) = lastWords.decoded, !facts.startStops.isEmpty {
      return facts.startStops.map(WorkSpan.init)
    }
    guard let started else { return [] }
    return [WorkSpan(action: "compute", start: started, stop: stopped)]
  }

  /// Why it failed, nothing when it did not.
  var exception: (text: String, traceback: String?)? {
    if let text = facts.exception { return (text, facts.traceback) }
    guard outcome != .memory, case .task(let facts) = lastWords.decoded,
      let text = facts.exceptionText
    else { return nil }
    return (text, facts.tracebackText)
  }
}

/// A span of work.
struct WorkSpan: Equatable {
  var action: String
  /// Nanoseconds since 1970 UTC.
  var start: Int64
  /// Nothing when it did not end.
  var stop: Int64?
  /// The worker that a transfer came from.
  var source: String?
}

extension WorkSpan {
  init(_ span: StartStop) {
    let start = Self.nanoseconds(span.start)
    self.init(
      action: span.action, start: start, stop: max(start, Self.nanoseconds(span.stop)),
      source: span.source)
  }

  /// Seconds as whole nanoseconds; what is no time at all becomes 0.
  static func nanoseconds(_ seconds: Double) -> Int64 {
    Int64(exactly: (seconds * 1e9).rounded()) ?? 0
  }
}
