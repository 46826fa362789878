extension EndEvidence {
  /// The cause of the end. What was planned comes before what the process did then: a nanny kills a
  /// worker that does not close on request.
  package var verdict: EndVerdict { untilExit.decided }

  /// Without what its nanny did after the process had ended: a nanny that closes names the worker that
  /// it had last until the next one has started.
  private var untilExit: EndEvidence {
    var evidence = self
    let exit = facts.firstIndex { fact in if case .nannyExit = fact.kind { true } else { false } }
    guard let exit else { return self }
    evidence.facts.removeAll { fact in
      if case .nannyKill = fact.kind { fact.seq > facts[exit].seq } else { false }
    }
    return evidence
  }

  private var decided: EndVerdict {
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

  func byMemory() -> EndVerdict? {
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

  func byHeartbeat() -> EndVerdict? {
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
  func silent(_ words: String, _ fact: EndFact) -> EndVerdict {
    guard let restart = hostRestart, exits.isEmpty else {
      return EndVerdict(.heartbeatLost, words, [fact.seq] + exits)
    }
    return EndVerdict(
      .hostGone, words + ", and its host was started again afterwards", [fact.seq, restart])
  }

  func byRequest() -> EndVerdict? {
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

  func byReason() -> EndVerdict? {
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

  static func nannyVerdict(_ reason: String, _ fact: EndFact) -> EndVerdict {
    if let signal = signal(inReason: reason) {
      return EndVerdict(
        .killed, "its nanny got \(name(ofSignal: signal)) and closed it", [fact.seq])
    }
    return EndVerdict(.nannyClosed, "its nanny closed it (\(reason))", [fact.seq])
  }

  /// By what its nanny saw of its process.
  func byNanny() -> EndVerdict? {
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
  func byItself() -> EndVerdict? {
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

  // MARK: - What the rules ask for

  var closing: (EndFact, String)? {
    for fact in facts {
      if case .closing(let reason) = fact.kind { return (fact, reason) }
    }
    return nil
  }

  var exitCode: Int64? {
    for fact in facts {
      if case .nannyExit(let code, _) = fact.kind { return code }
    }
    return nil
  }

  var exits: [Int64] {
    facts.compactMap { fact in if case .nannyExit = fact.kind { fact.seq } else { nil } }
  }

  /// The last sample is this close to the limit, or would have been soon.
  static let nearShare = 0.8

  var isNearLimit: Bool {
    guard let share = lastShare else { return true }
    return share >= Self.nearShare
  }

  /// `; its memory was last 1.2 GiB of 2.0 GiB, growing by 30.0 MiB/s`.
  var memoryWords: String {
    guard let last = memory.last else { return "" }
    let limit = memoryLimit > 0 ? " of \(Self.mebibytes(memoryLimit))" : ""
    let growing =
      growth.map {
        $0 >= 1_048_576 ? ", growing by \(Self.mebibytes(Int64(saturating: $0)))/s" : ""
      } ?? ""
    return "; its memory was last \(Self.mebibytes(last.bytes))\(limit)\(growing)"
  }

  static func mebibytes(_ bytes: Int64) -> String {
    "\(short(Double(bytes) / 1_048_576)) MiB"
  }

  static func short(_ number: Double) -> String {
    let tenths = (number * 10).rounded() / 10
    return tenths == tenths.rounded() && abs(tenths) < 1e15
      ? "\(Int64(saturating: tenths))" : "\(tenths)"
  }

  /// SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS.
  static let crashes: Set<Int64> = [4, 5, 6, 7, 8, 11, 31]

  static let names: [Int64: String] = [
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS",
    8: "SIGFPE", 9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE",
    14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
  ]

  package static func name(ofSignal number: Int64) -> String {
    names[number] ?? "signal \(number)"
  }

  /// The signal of an exit code: Python's are negative, a shell's 128 more.
  static func signal(_ code: Int64) -> Int64? {
    if code < 0, code >= -64 { return -code }
    return code > 128 && names[code - 128] != nil ? code - 128 : nil
  }

  /// The signal of a reason such as `signal-15`.
  static func signal(inReason reason: String) -> Int64? {
    reason.hasPrefix("signal-") ? Int64(reason.dropFirst(7)) : nil
  }
}
