/// Something that a log says about the end of a worker, and the event that says it.
package struct EndFact: Sendable, Equatable {
  package enum Kind: Sendable, Equatable {
    /// The scheduler removed it. `isExpected` is `nil` where the log does not say.
    case removed(stimulus: String?, isExpected: Bool?)
    /// The worker said that it closes, and why.
    case closing(reason: String)
    /// `Scheduler.close_worker` was called for it.
    case closeRequested
    /// `retire_workers` has ended for it.
    case retired(stimulus: String?)
    /// Adaptive scaling was told that it may close it.
    case scaledDown
    /// A client requested a restart of all workers, or of this one.
    case restartRequested
    /// The scheduler was asked to close, by a client or by its own process.
    case schedulerClosing(byClient: Bool, reason: String?)
    /// The scheduler had no heartbeat of it for longer than `distributed.scheduler.worker-ttl`.
    case heartbeatTimeout(seconds: Double?)
    /// Its nanny found that it uses more memory than it may, and ends it.
    case memoryLimit(bytes: Int64?)
    /// Its nanny ends its process.
    case nannyKill(reason: String)
    /// Its nanny saw the end of its process: an exit code, or a signal as a negative number; and the
    /// number of processes that the kernel killed meanwhile for want of memory in their cgroup.
    case nannyExit(code: Int64, outOfMemoryKills: Int64?)
    /// The worker recorded its own end, with the signal that it got if it is known.
    case teardown(signal: Int64?)
    /// What Kubernetes or SLURM said about its end, and was imported.
    case manager(ManagerFact)
  }

  package var seq: Int64
  package var time: Int64
  package var kind: Kind

  package init(_ seq: Int64, _ time: Int64, _ kind: Kind) {
    (self.seq, self.time, self.kind) = (seq, time, kind)
  }
}

/// A sample of the memory of a worker's process.
package struct MemorySample: Sendable, Equatable {
  package var seq: Int64
  package var time: Int64
  package var bytes: Int64

  package init(_ seq: Int64, _ time: Int64, _ bytes: Int64) {
    (self.seq, self.time, self.bytes) = (seq, time, bytes)
  }
}

/// All that a log says about the end of a worker.
package struct EndEvidence: Sendable, Equatable {
  /// In the order of arrival.
  package var facts: [EndFact] = []
  /// Whether a nanny started it; `nil` if the log does not say.
  package var hasNanny: Bool?
  /// Whether that nanny was recorded, so that its events include the end of the process.
  package var isNannyRecorded = false
  /// 0 for none.
  package var memoryLimit: Int64 = 0
  /// The last ones before it left, in the order of time.
  package var memory: [MemorySample] = []
  /// When it left, by the scheduler's clock.
  package var left: Int64?
  /// What the manager of its host knows it by.
  package var identity: HostIdentity?
  /// A later process on its host that reports another start of the host, if there is one.
  package var hostRestart: Int64?

  package init() {}

  /// The last sample, as a share of the limit.
  package var lastShare: Double? {
    guard memoryLimit > 0, let last = memory.last else { return nil }
    return Double(last.bytes) / Double(memoryLimit)
  }

  /// The time of its last heartbeat.
  package var lastSeen: Int64? { memory.last?.time }

  /// By how many bytes a second the memory grew over the samples; `nil` if that is not known.
  package var growth: Double? {
    guard let first = memory.first, let last = memory.last, last.time > first.time else {
      return nil
    }
    return Double(last.bytes - first.bytes) / (Double(last.time - first.time) / 1e9)
  }
}
