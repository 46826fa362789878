/// What a worker did at a moment, or why a thread of it had nothing to do.
package struct IdleReason: Sendable, Equatable {
  package enum Kind: String, CaseIterable, Sendable {
    /// Its threads ran tasks.
    case running
    /// It had not joined, was being started, had left, or was leaving.
    case notJoined = "not-joined"
    case starting
    case left
    case closing
    case paused
    /// The scheduler had sent it a task, and it had recorded nothing of that.
    case notReceived = "not-received"
    /// A task that it was given waited for inputs from other workers.
    case data
    /// A task had all inputs, and was not started.
    case ready
    /// A task waited for a resource of this worker.
    case resources
    /// Tasks were queued at the scheduler, and the worker had as many as it is sent.
    case saturation
    /// The scheduler had not done what it had to.
    case scheduler
    /// Tasks were ready that it may not run.
    case restrictions
    /// Tasks that it could have run were ready on other workers.
    case elsewhere
    /// All unfinished tasks ran, or waited for those.
    case nothingReady = "nothing-ready"
    /// No task was unfinished.
    case noTasks = "no-tasks"
    /// The log does not say.
    case unknown
  }

  package var kind: Kind
  /// A task that it is about, and how many there are.
  package var key: String?
  package var tasks: Int64 = 0
  /// The other worker that it is about.
  package var other: String?
  /// Since when, in nanoseconds since 1970 UTC.
  package var since: Int64?
  package var sentence: String
  /// The events that show it.
  package var evidence: [Int64] = []

  package init(_ kind: Kind, _ sentence: String) {
    (self.kind, self.sentence) = (kind, sentence)
  }
}

/// A worker at a moment, and what it did or why it did nothing.
package struct IdleWorker: Sendable {
  /// `WorkerLives.label`.
  package var worker: String
  /// In nanoseconds since 1970 UTC.
  package var moment: Int64
  /// Those that come first matter most.
  package var reasons: [IdleReason]
}
