import TaskLogPlugin

/// One attempt of a task, from its assignment to a worker to its end.
package final class Attempt {
  package enum Outcome: Equatable {
    case memory
    case erred
    /// Ended without a result: the state that the task moved to.
    case other(State)
    /// Its end is not in the log.
    case unfinished
  }

  package let key: Key
  package let keyNumber: Int64
  /// Counted from 1 for each task; 0 if only a worker recorded it.
  package let number: Int32
  /// The worker: its address, with a number if it is not the first worker there.
  package var worker: String?
  /// The run ID of the task, by which late events of a worker are joined to the attempt.
  package var taskRunID: Int64?
  package var stimulusID: String?

  // Times are nanoseconds since 1970 UTC, by the scheduler's clock as far as the log has clock
  // offsets.

  /// When the scheduler sent the task to the worker.
  package var sent: Int64?
  /// When the worker started and stopped running it.
  package var started: Int64?
  package var stopped: Int64?
  /// When the scheduler received its end, and the seq of that event.
  package var ended: Int64?
  package var endSeq: Int64?

  package var outcome = Outcome.unfinished
  /// The args of its end at the scheduler.
  package var runArgs = RunArgs()
  /// The worker's snapshot at its end; used only if the scheduler received no spans or exception.
  package var workerSnapshot: Snapshot = .none

  /// Cuts its times; `nil` for none.
  private var window: TimeWindow?

  package init(key: Key, keyNumber: Int64, number: Int32) {
    self.key = key
    self.keyNumber = keyNumber
    self.number = number
  }

  /// The spans of work received by the scheduler, or else those of the worker's snapshot.
  package var spans: [WorkSpan] {
    guard let window else { return allSpans }
    return allSpans.compactMap { span in
      guard let part = window.part(span.start, span.stop ?? .max) else { return nil }
      var span = span
      // A span that continues after the window has no stop there either.
      (span.start, span.stop) = (part.start, part.stop == .max ? nil : part.stop)
      return span
    }
  }

  private var allSpans: [WorkSpan] {
    if !runArgs.spans.isEmpty { return runArgs.spans }
    if case .task(let snapshot) = workerSnapshot.decoded, !snapshot.startStops.isEmpty {
      return snapshot.startStops.map(WorkSpan.init)
    }
    guard let started else { return [] }
    return [WorkSpan(action: "compute", start: started, stop: stopped)]
  }

  /// Cuts its times at the edges of a window; returns whether any part of it is within.
  package func cut(to window: TimeWindow) -> Bool {
    guard window.isBounded else { return true }
    let all = allSpans
    let start = sent ?? started ?? all.map(\.start).min() ?? ended ?? .min
    // The clock of a worker is known only roughly: its work may lie outside of that.
    guard
      window.part(start, max(start, ended ?? stopped ?? .max)) != nil
        || all.contains(where: { window.part($0.start, $0.stop ?? .max) != nil })
    else { return false }
    self.window = window
    func inside(_ time: Int64?) -> Int64? { time.map { min(max($0, window.start), window.stop) } }
    (sent, started, stopped, ended) = (
      inside(sent), inside(started), inside(stopped), inside(ended)
    )
    return true
  }

  /// The reason of the failure; `nil` if it did not fail.
  package var exception: (text: String, traceback: String?)? {
    if let text = runArgs.exception { return (text, runArgs.traceback) }
    guard outcome != .memory, case .task(let snapshot) = workerSnapshot.decoded,
      let text = snapshot.exceptionText
    else { return nil }
    return (text, snapshot.tracebackText)
  }
}

/// A span of work.
package struct WorkSpan: Equatable, Sendable {
  package var action: String
  /// Nanoseconds since 1970 UTC.
  package var start: Int64
  /// `nil` if it did not end.
  package var stop: Int64?
  /// The worker that a transfer came from.
  package var source: String?

  package init(action: String, start: Int64, stop: Int64?, source: String? = nil) {
    self.action = action
    self.start = start
    self.stop = stop
    self.source = source
  }
}

extension WorkSpan {
  package init(_ span: StartStop) {
    let start = Self.nanoseconds(span.start)
    self.init(
      action: span.action, start: start, stop: max(start, Self.nanoseconds(span.stop)),
      source: span.source)
  }

  /// Seconds as integer nanoseconds; an invalid time becomes 0.
  package static func nanoseconds(_ seconds: Double) -> Int64 {
    Int64(exactly: (seconds * 1e9).rounded()) ?? 0
  }
}
