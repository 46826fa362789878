/// What the manager of a worker's host said, and the end of its container or job.
extension EndEvidence {
  var words: [(fact: EndFact, word: ManagerFact, effect: ManagerEffect)] {
    facts.compactMap { fact in
      guard case .manager(let word) = fact.kind, let effect = word.effect else { return nil }
      return (fact, word, effect)
    }.sorted { ($0.word.time, $0.fact.seq) < ($1.word.time, $1.fact.seq) }
  }

  /// Whether its nanny saw the process end in a way that no manager causes.
  var hasEndedItself: Bool {
    guard let exitCode, exitCode != 0 else { return false }
    return ![1, 2, 9, 15].contains(Self.signal(exitCode) ?? 0)
  }

  /// The first of what the manager did to all of a pod, a job or a host, or to its only worker.
  func byManager() -> EndVerdict? {
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

  var isClosedByClient: Bool {
    facts.contains { fact in
      if case .schedulerClosing(true, _) = fact.kind { return true }
      return false
    }
  }

  func meaning(
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
  static func isSameNode(_ name: String, _ other: String) -> Bool {
    name.split(separator: ".").first == other.split(separator: ".").first
  }

  /// What the end of its container or step says, where nothing else does.
  func byEndOfContainer() -> EndVerdict? {
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
  func byJobEnd() -> EndVerdict? {
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
  static let mostBeforeJobEnd = 5.0
  static let mostAfterJobEnd = 90.0

  /// Whether it or its nanny got a signal and closed in an orderly way.
  var isSignalled: Bool {
    facts.contains { fact in
      switch fact.kind {
      case .closing(let reason), .nannyKill(let reason): Self.signal(inReason: reason) != nil
      case .teardown(let signal): signal != nil
      default: false
      }
    }
  }

  var undecided: EndVerdict {
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
}
