/// Why a worker ended, as far as the evidence decides it.
package struct EndVerdict: Sendable, Equatable {
  package enum Cause: String, Sendable, CaseIterable {
    /// The scheduler closed, and its workers with it.
    case shutdown
    /// `retire_workers`, or a cluster that was scaled down by hand.
    case retired
    /// Adaptive scaling.
    case scaledDown = "scaled-down"
    /// A client restarted its workers.
    case restarted
    /// `close_worker`, or the worker's own `close`.
    case closed
    /// Its nanny closed it, such as at the end of a cluster.
    case nannyClosed = "nanny-closed"
    /// The option `lifetime` of `dask worker`.
    case lifetime
    case outOfMemory = "out-of-memory"
    /// A signal that ends processes: SIGKILL, SIGTERM, SIGINT, …
    case killed
    /// A signal of an error in the process: SIGSEGV, SIGABRT, …
    case crashed
    /// The process ended itself with an exit code.
    case exited
    case heartbeatLost = "heartbeat-lost"
    /// It closed itself as it had lost the scheduler.
    case connectionLost = "connection-lost"
    /// The manager of its host evicted it: Kubernetes.
    case evicted
    /// For something more important: Kubernetes, SLURM.
    case preempted
    /// The time limit of its job or pod.
    case walltime
    /// Its host failed or was started again.
    case hostGone = "host-gone"
    /// The manager of its host stopped it on request: `scancel`, a deleted pod.
    case stopped
    case unknown
  }

  package var cause: Cause
  /// One sentence, with the numbers that decided it.
  package var explanation: String
  /// The events that decided it.
  package var evidence: [Int64] = []
  /// For an unknown cause: what would have told.
  package var missing: String?

  package init(
    _ cause: Cause, _ explanation: String, _ evidence: [Int64] = [], missing: String? = nil
  ) {
    (self.cause, self.explanation, self.evidence, self.missing) =
      (cause, explanation, evidence, missing)
  }
}
