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

extension EndEvidence {
  /// The cause of the end. What was planned comes before what the process did then: a nanny kills a
  /// worker that does not close on request.
  package var verdict: EndVerdict {
    let rules = [
      byMemory, byManager, byHeartbeat, byRequest, byJobEnd, byReason, byNanny, byItself,
      byEndOfContainer,
    ]
    for rule in rules {
      if let verdict = rule() { return verdict }
    }
    return undecided
  }

  // MARK: - Rules

  private func byMemory() -> EndVerdict? {
    for fact in facts {
      guard case .memoryLimit(let bytes) = fact.kind else { continue }
      let used = bytes.map { " at \(Self.mebibytes($0))" } ?? ""
      let limit = memoryLimit > 0 ? " of \(Self.mebibytes(memoryLimit))" : ""
      return EndVerdict(
        .outOfMemory, "its nanny ended it\(used)\(limit) of memory", [fact.seq] + exits)
    }
    for fact in facts {
      guard case .nannyExit(let code, let kills?) = fact.kind, kills > 0, Self.signal(code) == 9
      else { continue }
      return EndVerdict(
        .outOfMemory, "the kernel killed it for want of memory in its cgroup", [fact.seq])
    }
    return nil
  }

  private func byHeartbeat() -> EndVerdict? {
    for fact in facts {
      switch fact.kind {
      case .heartbeatTimeout(let seconds):
        let limit = seconds.map { " for more than \(Self.short($0)) s" } ?? ""
        return silent("the scheduler had no heartbeat of it\(limit) (worker-ttl)", fact)
      case .nannyKill(let reason) where reason.hasPrefix("check-worker-ttl"),
        .removed(let reason?, _) where reason.hasPrefix("check-worker-ttl"):
        return silent("the scheduler had no heartbeat of it (worker-ttl)", fact)
      default: continue
      }
    }
    return nil
  }

  /// A host that has been started again since is why nothing of it was heard, unless its nanny was.
  private func silent(_ words: String, _ fact: EndFact) -> EndVerdict {
    guard let restart = hostRestart, exits.isEmpty else {
      return EndVerdict(.heartbeatLost, words, [fact.seq] + exits)
    }
    return EndVerdict(
      .hostGone, words + ", and its host was started again afterwards", [fact.seq, restart])
  }

  private func byRequest() -> EndVerdict? {
    if let (fact, reason) = closing, reason == "worker-lifetime-reached" {
      return EndVerdict(.lifetime, "it reached its lifetime", [fact.seq])
    }
    for fact in facts {
      let stimulus: String?
      switch fact.kind {
      case .retired(let known), .removed(let known, _): stimulus = known
      case .nannyKill(let reason): stimulus = reason
      default: continue
      }
      guard let stimulus else { continue }
      if stimulus.hasPrefix("restart") || stimulus.hasPrefix("client-restart") {
        return EndVerdict(.restarted, "a client restarted the workers", [fact.seq])
      }
      guard stimulus.hasPrefix("retire-workers") else { continue }
      if let asked = facts.first(where: { $0.kind == .scaledDown }) {
        return EndVerdict(
          .scaledDown, "adaptive scaling did not need it any more", [asked.seq, fact.seq])
      }
      return EndVerdict(.retired, "it was retired with retire_workers", [fact.seq])
    }
    if let fact = facts.first(where: { $0.kind == .closeRequested }) {
      return EndVerdict(.closed, "it was closed with Scheduler.close_worker", [fact.seq])
    }
    if let fact = facts.first(where: { $0.kind == .restartRequested }), exitCode ?? 0 == 0 {
      return EndVerdict(.restarted, "a client restarted the workers", [fact.seq])
    }
    return nil
  }

  private func byReason() -> EndVerdict? {
    for fact in facts {
      if case .nannyKill(let reason) = fact.kind { return Self.nannyVerdict(reason, fact) }
      guard case .schedulerClosing(let byClient, let reason) = fact.kind else { continue }
      let words = reason.map { " (\($0))" } ?? ""
      return EndVerdict(
        .shutdown,
        byClient
          ? "a client or a cluster object shut the scheduler down" : "the scheduler closed\(words)",
        [fact.seq])
    }
    guard let (fact, reason) = closing else { return nil }
    switch reason {
    case "scheduler-close":
      return EndVerdict(.shutdown, "the scheduler closed", [fact.seq])
    case "scheduler-close-worker", "worker-close":
      return EndVerdict(.closed, "it closed (\(reason))", [fact.seq])
    case "worker-handle-scheduler-connection-broken", "worker-heartbeat-missing",
      "worker-heartbeat-error":
      return EndVerdict(
        .connectionLost, "it closed as it had lost the scheduler (\(reason))", [fact.seq])
    case "scheduler-remove-worker": return nil
    default:
      if let signal = Self.signal(inReason: reason) {
        return EndVerdict(
          .killed, "its process got \(Self.name(ofSignal: signal)) and closed", [fact.seq])
      }
      return reason.hasPrefix("nanny-")
        ? EndVerdict(.nannyClosed, "its nanny closed it (\(reason))", [fact.seq])
        : EndVerdict(.closed, "it closed (\(reason))", [fact.seq])
    }
  }

  private static func nannyVerdict(_ reason: String, _ fact: EndFact) -> EndVerdict {
    if let signal = signal(inReason: reason) {
      return EndVerdict(
        .killed, "its nanny got \(name(ofSignal: signal)) and closed it", [fact.seq])
    }
    return EndVerdict(.nannyClosed, "its nanny closed it (\(reason))", [fact.seq])
  }

  /// By what its nanny saw of its process.
  private func byNanny() -> EndVerdict? {
    for fact in facts {
      guard case .nannyExit(let code, let kills) = fact.kind else { continue }
      guard let signal = Self.signal(code) else {
        return EndVerdict(.exited, "its process ended with exit code \(code)", [fact.seq])
      }
      let name = Self.name(ofSignal: signal)
      if Self.crashes.contains(signal) {
        return EndVerdict(.crashed, "its process crashed with \(name)", [fact.seq])
      }
      guard signal == 9, kills == nil, isNearLimit else {
        let not = signal == 9 && kills == 0 ? "; not for want of memory in its cgroup" : ""
        return EndVerdict(.killed, "its process was killed by \(name)\(not)", [fact.seq])
      }
      return EndVerdict(
        .unknown, "its process was killed by SIGKILL\(memoryWords); by the kernel or by hand",
        [fact.seq], missing: "memory.events of its cgroup, or the kernel's log")
    }
    return nil
  }

  /// By what the worker recorded itself.
  private func byItself() -> EndVerdict? {
    for fact in facts {
      guard case .teardown(let signal) = fact.kind else { continue }
      if let signal {
        return EndVerdict(
          .killed, "its process got \(Self.name(ofSignal: signal)) and ended", [fact.seq])
      }
      return EndVerdict(
        .closed, "its process ended in an orderly way, and did not say why", [fact.seq])
    }
    return nil
  }

  // MARK: - What the manager of its host said

  private var words: [(fact: EndFact, word: ManagerFact, effect: ManagerEffect)] {
    facts.compactMap { fact in
      guard case .manager(let word) = fact.kind, let effect = word.effect else { return nil }
      return (fact, word, effect)
    }.sorted { ($0.word.time, $0.fact.seq) < ($1.word.time, $1.fact.seq) }
  }

  /// Whether its nanny saw the process end in a way that no manager causes.
  private var hasEndedItself: Bool {
    guard let exitCode, exitCode != 0 else { return false }
    return ![1, 2, 9, 15].contains(Self.signal(exitCode) ?? 0)
  }

  /// The first of what the manager did to all of a pod, a job or a host, or to its only worker.
  private func byManager() -> EndVerdict? {
    // A request at the scheduler came first: a manager stops what the scheduler has let go.
    guard !hasEndedItself, byHeartbeat() != nil || byRequest() == nil,
      byReason()?.cause != .shutdown || !isClosedByClient
    else { return nil }
    for (fact, word, effect) in words {
      // What is left of a cluster that has closed is stopped.
      if effect == .stopped, byReason()?.cause == .shutdown { continue }
      guard let (cause, words) = meaning(word, effect) else { continue }
      return EndVerdict(cause, words, [fact.seq] + exits)
    }
    return nil
  }

  private var isClosedByClient: Bool {
    facts.contains { fact in
      if case .schedulerClosing(true, _) = fact.kind { return true }
      return false
    }
  }

  private func meaning(
    _ word: ManagerFact, _ effect: ManagerEffect
  ) -> (EndVerdict.Cause, String)? {
    let says = "\(word.reason) of \(word.object), says \(word.manager.rawValue)"
    let more = word.message.map { ": \($0)" } ?? ""
    switch effect {
    case .outOfMemory:
      guard word.workers == 1 else { return nil }
      let by = word.manager == .kubernetes ? "OOMKilled by the kubelet" : "OUT_OF_MEMORY in SLURM"
      return (.outOfMemory, "it ran out of memory (\(by), \(word.object))\(memoryWords)")
    case .evicted: return (.evicted, "it was evicted (\(says))\(more)")
    case .preempted: return (.preempted, "it was preempted (\(says))\(more)")
    case .walltime: return (.walltime, "the time limit was reached (\(says))\(more)")
    case .hostGone:
      if word.manager == .slurm {
        guard let failed = word.failedNode else {
          return (.stopped, "a node of its job failed (\(says))\(more)")
        }
        guard identity?.host.map({ Self.isSameNode($0, failed) }) ?? true else {
          return (.stopped, "node \(failed) of its job failed (\(says))\(more)")
        }
        return (.hostGone, "its node \(failed) failed (\(says))\(more)")
      }
      return (.hostGone, "its node failed (\(says))\(more)")
    case .stopped: return (.stopped, "it was stopped (\(says))\(more)")
    case .ended: return nil
    }
  }

  /// A host may know itself by a name with its domain.
  private static func isSameNode(_ name: String, _ other: String) -> Bool {
    name.split(separator: ".").first == other.split(separator: ".").first
  }

  /// What the end of its container or step says, where nothing else does.
  private func byEndOfContainer() -> EndVerdict? {
    for (fact, word, effect) in words where !effect.isOfAll {
      let says = "\(word.reason) of \(word.object), says \(word.manager.rawValue)"
      guard word.workers == 1 else {
        let what = effect == .outOfMemory ? "ran out of memory" : "ended"
        return EndVerdict(
          .unknown, "\(says): of \(word.workers) workers there it does not say which \(what)",
          [fact.seq], missing: "a recorded nanny, or the kernel's log of the host")
      }
      let signal = word.signal ?? word.exitCode.flatMap(Self.signal)
      if let signal {
        let name = Self.name(ofSignal: signal)
        return Self.crashes.contains(signal)
          ? EndVerdict(.crashed, "its process crashed with \(name) (\(says))", [fact.seq])
          : EndVerdict(.killed, "its process was killed by \(name) (\(says))", [fact.seq])
      }
      guard let code = word.exitCode else { continue }
      return EndVerdict(
        .exited, "its process ended with exit code \(code) (\(says))", [fact.seq])
    }
    return nil
  }

  /// What its job was told about its time limit, and a process that was ended at that time.
  private func byJobEnd() -> EndVerdict? {
    guard let identity, let end = identity.jobEnd, let left else { return nil }
    guard exitCode == nil || [9, 15].contains(exitCode.flatMap(Self.signal)) || isSignalled,
      !isClosedByClient
    else { return nil }
    let isSilent = byHeartbeat() != nil
    let time = isSilent ? lastSeen ?? left : left
    let after = Double(time - end) / 1e9
    guard after >= -Self.mostBeforeJobEnd, after <= Self.mostAfterJobEnd else { return nil }
    let job = identity.job["SLURM_JOB_ID"].map { " of job \($0)" } ?? ""
    let when = "\(Self.short(abs(after))) s \(after < 0 ? "before" : "after") it"
    return EndVerdict(
      .walltime,
      "the time limit\(job) was reached (SLURM_JOB_END_TIME); it left \(when)",
      [identity.seq] + facts.map(\.seq).prefix(1) + exits)
  }

  /// SLURM ends a job some seconds after its limit, and kills it `KillWait` (30 s) later.
  private static let mostBeforeJobEnd = 5.0
  private static let mostAfterJobEnd = 90.0

  /// Whether it or its nanny got a signal and closed in an orderly way.
  private var isSignalled: Bool {
    facts.contains { fact in
      switch fact.kind {
      case .closing(let reason), .nannyKill(let reason): Self.signal(inReason: reason) != nil
      case .teardown(let signal): signal != nil
      default: false
      }
    }
  }

  private var undecided: EndVerdict {
    let removals = facts.compactMap { fact in
      if case .removed = fact.kind { fact.seq } else { nil }
    }
    for fact in facts {
      guard case .removed(_, true) = fact.kind else { continue }
      return EndVerdict(.closed, "the scheduler expected it to leave", [fact.seq])
    }
    if let restart = hostRestart {
      return EndVerdict(
        .unknown,
        "it is gone, and its host was started again afterwards: it may have ended before or by that"
          + memoryWords, removals + [restart],
        missing: "when its host went down: what the manager of its host knows (kubectl, sacct)")
    }
    switch hasNanny {
    case false:
      return EndVerdict(
        .unknown, "killed or out of memory: cannot tell without a nanny\(memoryWords)", removals,
        missing: "a nanny, or what the manager of its host knows (kubectl, sacct, dmesg)")
    case true where isNannyRecorded:
      return EndVerdict(
        .unknown,
        "it is gone and its nanny did not say why: the nanny, its host or the network may be gone, "
          + "too\(memoryWords)", removals,
        missing: "what the manager of its host knows (kubectl, sacct, dmesg)")
    case true:
      return EndVerdict(
        .unknown, "the connection was lost, and its nanny was not recorded\(memoryWords)", removals,
        missing: "a recorded nanny")
    default:
      return EndVerdict(
        .unknown, "the scheduler removed it\(memoryWords)", removals,
        missing: "a nanny that is recorded")
    }
  }

  // MARK: - What the rules ask for

  private var closing: (EndFact, String)? {
    for fact in facts {
      if case .closing(let reason) = fact.kind { return (fact, reason) }
    }
    return nil
  }

  private var exitCode: Int64? {
    for fact in facts {
      if case .nannyExit(let code, _) = fact.kind { return code }
    }
    return nil
  }

  private var exits: [Int64] {
    facts.compactMap { fact in if case .nannyExit = fact.kind { fact.seq } else { nil } }
  }

  /// The last sample is this close to the limit, or would have been soon.
  private static let nearShare = 0.8

  private var isNearLimit: Bool {
    guard let share = lastShare else { return true }
    return share >= Self.nearShare
  }

  /// `; its memory was last 1.2 GiB of 2.0 GiB, growing by 30.0 MiB/s`.
  private var memoryWords: String {
    guard let last = memory.last else { return "" }
    let limit = memoryLimit > 0 ? " of \(Self.mebibytes(memoryLimit))" : ""
    let growing =
      growth.map { $0 >= 1_048_576 ? ", growing by \(Self.mebibytes(Int64($0)))/s" : "" } ?? ""
    return "; its memory was last \(Self.mebibytes(last.bytes))\(limit)\(growing)"
  }

  private static func mebibytes(_ bytes: Int64) -> String {
    "\(short(Double(bytes) / 1_048_576)) MiB"
  }

  private static func short(_ number: Double) -> String {
    let tenths = (number * 10).rounded() / 10
    return tenths == tenths.rounded() && abs(tenths) < 1e15 ? "\(Int64(tenths))" : "\(tenths)"
  }

  /// SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS.
  private static let crashes: Set<Int64> = [4, 5, 6, 7, 8, 11, 31]

  private static let names: [Int64: String] = [
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS",
    8: "SIGFPE", 9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE",
    14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
  ]

  package static func name(ofSignal number: Int64) -> String {
    names[number] ?? "signal \(number)"
  }

  /// The signal of an exit code: Python's are negative, a shell's 128 more.
  private static func signal(_ code: Int64) -> Int64? {
    if code < 0, code >= -64 { return -code }
    return code > 128 && names[code - 128] != nil ? code - 128 : nil
  }

  /// The signal of a reason such as `signal-15`.
  private static func signal(inReason reason: String) -> Int64? {
    reason.hasPrefix("signal-") ? Int64(reason.dropFirst(7)) : nil
  }
}
