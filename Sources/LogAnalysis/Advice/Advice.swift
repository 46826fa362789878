/// Something worth knowing about a run: what it cost, what shows it, and what to do about it.
package struct Advice: Sendable, Equatable {
  package enum Kind: String, CaseIterable, Sendable {
    // Work that failed or was repeated.
    case failedTasks = "failed-tasks"
    case lostWorkers = "lost-workers"
    case alwaysRetried = "always-retried"
    case hiddenErrors = "hidden-errors"
    // How work was divided.
    case smallTasks = "small-tasks"
    case fewTasks = "few-tasks"
    case straggler
    case skewedPrefix = "skewed-prefix"
    case imbalance
    case stealing
    // Data.
    case transfers
    case deserializing
    case spilling
    case pausedWorkers = "paused-workers"
    case memoryNearLimit = "memory-near-limit"
    case largeResult = "large-result"
    case heldResults = "held-results"
    // Scheduler, clients and workers.
    case schedulerBusy = "scheduler-busy"
    case workerBusy = "worker-busy"
    case largeGraph = "large-graph"
    case largeArguments = "large-arguments"
    case heldGIL = "held-gil"
    case lockWaits = "lock-waits"
    case idleCluster = "idle-cluster"
    case waitingClients = "waiting-clients"
    case lateWorkers = "late-workers"
    case leavingWorkers = "leaving-workers"
    // What makes the rest uncertain.
    case clockOffsets = "clock-offsets"
    case gaps
  }

  package enum Severity: String, CaseIterable, Sendable, Comparable {
    case note, warning

    package static func < (one: Severity, other: Severity) -> Bool {
      one == .note && other == .warning
    }
  }

  /// How sure it is that this is what cost the time.
  package enum Certainty: String, CaseIterable, Sendable {
    /// Counted in the log.
    case certain
    /// Concluded from what the log says; another reason is improbable.
    case likely
  }

  /// What shows it.
  package enum Evidence: Sendable, Equatable {
    case sql(String)
    /// A command and its arguments, after `tasklog`.
    case command(String)
  }

  package var kind: Kind
  package var severity: Severity
  /// What it is about: a prefix, a worker, a lock; `nil` if it is the run as a whole.
  package var subject: String?
  /// The cost in nanoseconds of one thread; `nil` if it is not known. Costs of different pieces of advice
  /// may overlap.
  package var cost: Int64?
  package var bytes: Int64?
  /// What is so, in one sentence with the numbers.
  package var finding: String
  /// What to do, in one sentence.
  package var action: String
  package var certainty: Certainty
  package var evidence: Evidence

  /// Warnings come first, then what cost the most.
  static func isBefore(_ one: Advice, _ other: Advice) -> Bool {
    if one.severity != other.severity { return one.severity > other.severity }
    let costs = (one.cost ?? -1, other.cost ?? -1)
    if costs.0 != costs.1 { return costs.0 > costs.1 }
    let bytes = (one.bytes ?? -1, other.bytes ?? -1)
    if bytes.0 != bytes.1 { return bytes.0 > bytes.1 }
    return (one.kind.rawValue, one.subject ?? "") < (other.kind.rawValue, other.subject ?? "")
  }
}
