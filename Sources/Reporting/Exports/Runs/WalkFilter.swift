import EventLog
import LogAnalysis
import TaskLogPlugin

/// Selects what a walk over a part of a run passes to its visitor.
///
/// Events outside of a time window are passed, too: counters need those before it. A graph that is
/// not in the window, or may have no selected task, is held back until one of its tasks is passed.
struct WalkFilter {
  private let scope: RunScope?
  /// The labels of the workers in the scope; `nil` for all.
  private let labels: Set<String>?
  /// The graphs that were held back, by the row ID of their stimulus.
  private var graphs: [Int64: RecordedEvent] = [:]

  init(_ scope: RunScope?, _ lives: WorkerLives) {
    self.scope = scope
    guard let scope, scope.selectsWorkers else {
      labels = nil
      return
    }
    labels = Set(
      lives.lives.indices.filter { scope.includes(worker: $0) }.map(lives.label))
  }

  /// Whether an event matters for the selected tasks and workers.
  func isNeeded(_ recorded: RecordedEvent) -> Bool {
    guard let scope, recorded.keyNumber != 0 else { return true }
    return scope.includes(task: recorded.keyNumber)
  }

  /// The graph that an event's task came with, if it was held back.
  mutating func graph(of recorded: RecordedEvent) -> RecordedEvent? {
    guard scope != nil, recorded.keyNumber != 0, recorded.stimulusNumber != 0 else { return nil }
    return graphs.removeValue(forKey: recorded.stimulusNumber)
  }

  /// Whether the visitor gets an event that is needed.
  mutating func passes(_ recorded: RecordedEvent, time: Int64) -> Bool {
    guard let scope, recorded.keyNumber == 0 else { return true }
    if recorded.event.hook == .updateGraph {
      if !scope.selectsTasks, !scope.selectsWorkers, scope.window.contains(time) { return true }
      if recorded.stimulusNumber != 0 { graphs[recorded.stimulusNumber] = recorded }
      return false
    }
    guard scope.selectsWorkers, let worker = recorded.event.worker else { return true }
    return scope.includes(worker: worker, at: recorded.seq)
  }

  /// Whether the visitor gets an attempt; cuts its times at the edges of the time window.
  func cut(_ attempt: Attempt) -> Bool {
    guard let scope else { return true }
    if let labels {
      guard let worker = attempt.worker, labels.contains(worker) else { return false }
    }
    return attempt.cut(to: scope.window)
  }
}
