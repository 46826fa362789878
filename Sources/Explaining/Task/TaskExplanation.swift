/// What happened to a task and why, in the order of happening.
package struct TaskExplanation {
  package struct Sentence: Sendable, Equatable {
    /// Counted from 1 for each time that the task was sent to a worker; 0 before the first one.
    package var attempt: Int
    /// In nanoseconds since 1970 UTC.
    package var time: Int64
    package var text: String
    /// The events that show it.
    package var evidence: [Int64]
    /// Whether it is about the choice of the worker in this attempt.
    var isChoice = false
  }

  /// A choice of a worker, in the order of attempts.
  package struct Choice {
    package var attempt: Int
    package var recorded: RecordedPlacement
  }

  package var sentences: [Sentence] = []
  package var choices: [Choice] = []
}

/// An event about a task, as far as its explanation needs it.
struct TaskStep {
  enum Observer: Sendable, Equatable {
    case scheduler
    case worker(String)
  }

  var seq: Int64
  var time: Int64
  var observer: Observer
  var start: String
  var finish: String
  var stimulus: String?
  /// The number of the dispatch that it belongs to.
  var taskRun: Int64?
  var worker: String?
  var bytes: Int64?
  var exception: String?
  /// The other task that ended by the same stimulus, and the event of that.
  var ended: (key: String, seq: Int64)?
  /// The client that requested it, and the event of that.
  var request: ClientRequests.Request?
  /// What its worker did until it began to run.
  var wait: WorkerWait?
  /// Why it was sent to its worker, and the choice itself.
  var choice: (sentence: String, recorded: RecordedPlacement?)?
  /// Who stole it from whom and why, with the names of workers by their addresses: no transition.
  var steal: (recorded: RecordedSteal, label: (String) -> String)?
}

extension TaskStep {
  /// Whether the scheduler sends it to a worker.
  var isSent: Bool { observer == .scheduler && finish == "processing" && start != finish }

  /// Whether a worker is, or was, to run it.
  var isAtWorker: Bool { start == "processing" || finish == "processing" }
}

extension [TaskStep] {
  /// The steps with those of a worker within the dispatch that they belong to: events of a worker may
  /// arrive after the scheduler has sent the task again.
  var byDispatch: Self {
    var ofRun: [Int64: Self] = [:]
    let dispatched = Set(
      filter { $0.observer == .scheduler && $0.finish == "processing" }.compactMap(\.taskRun))
    func isMoved(_ step: TaskStep) -> Bool {
      step.observer != .scheduler && step.taskRun.map(dispatched.contains) ?? false
    }
    for step in self where isMoved(step) { ofRun[step.taskRun ?? 0, default: []].append(step) }
    var steps: Self = []
    for step in self where !isMoved(step) {
      steps.append(step)
      guard step.observer == .scheduler, step.finish == "processing", let run = step.taskRun else {
        continue
      }
      steps += ofRun.removeValue(forKey: run) ?? []
    }
    return steps
  }
}
