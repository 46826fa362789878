/// Why tasks cannot continue: the end of a chain of tasks that wait for each other.
package struct StuckCause: Sendable, Equatable {
  package enum Kind: String, CaseIterable, Sendable {
    /// A task waits for a lock, semaphore, event, queue or variable.
    case lock
    /// The scheduler has sent a task, and its worker has recorded nothing of it.
    case notReceived = "not-received"
    /// A worker has finished a task, and the scheduler has not recorded its result.
    case resultNotReceived = "result-not-received"
    /// The scheduler takes a task to be on a worker that has released it.
    case disagreement
    /// A task that the scheduler knows to be on a worker waits there for inputs.
    case missingInput = "missing-input"
    /// There is no worker at all, or all are paused or closing.
    case noWorker = "no-worker"
    case pausedWorkers = "paused-workers"
    /// A task may run only on workers that are not there.
    case restrictions
    case resources
    /// An input was released and is not being computed.
    case releasedInput = "released-input"
    /// Nothing that the log says keeps the scheduler from sending a task.
    case notSent = "not-sent"
    /// A task runs.
    case running
    /// A task waits for a thread.
    case noThread = "no-thread"
    /// The log does not say what the worker does.
    case unknown
  }

  package var kind: Kind
  /// A task at the end of the chain, and the number of those with the same cause.
  package var key: String
  package var tasks: Int64 = 1
  package var worker: String?
  /// Since when, in nanoseconds since 1970 UTC.
  package var since: Int64?
  package var sentence: String
  /// The events that show it.
  package var evidence: [Int64] = []
  /// Since which event the scheduler and a worker have seen a task differently; `nil` if they agree.
  package var disagreement: Disagreement?
  /// The task that they may see differently.
  var doubt: DoubtfulTask?
  /// The number of tasks that wait for these, directly or through others, and of those among them that
  /// a client waits for.
  package var waiting: Int64 = 0
  package var wanted: Int64 = 0
  /// From a task that a client waits for to the end.
  package var chain: [String] = []

  package init(_ kind: Kind, _ key: String, _ sentence: String) {
    (self.kind, self.key, self.sentence) = (kind, key, sentence)
  }
}
