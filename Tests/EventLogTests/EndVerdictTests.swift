import TaskLogPlugin
import Testing

@testable import LogAnalysis

/// Why a worker left, concluded from what a log says of it, on literals.
@Suite struct EndVerdictTests {
  private static func verdict(
    nanny: Bool? = true, isRecorded: Bool = true, limit: Int64 = 0, memory: [Int64] = [],
    _ kinds: EndFact.Kind...
  ) -> EndVerdict {
    var evidence = EndEvidence()
    evidence.facts = kinds.enumerated().map { EndFact(Int64($0 + 1), Int64($0) * 100, $1) }
    evidence.hasNanny = nanny
    evidence.isNannyRecorded = isRecorded
    evidence.memoryLimit = limit
    evidence.memory = memory.enumerated().map {
      MemorySample(Int64($0), Int64($0) * 1_000_000_000, $1)
    }
    return evidence.verdict
  }

  private static let lost = EndFact.Kind.removed(
    stimulus: "handle-worker-cleanup-1", isExpected: false)

  private static func exit(_ code: Int64, kills: Int64? = 0) -> EndFact.Kind {
    .nannyExit(code: code, outOfMemoryKills: kills)
  }

  @Test(arguments: [
    ([lost, exit(-9)], EndVerdict.Cause.killed), ([lost, exit(-15)], .killed),
    ([lost, exit(137)], .killed), ([lost, exit(-11)], .crashed), ([lost, exit(-6)], .crashed),
    ([lost, exit(139)], .crashed), ([lost, exit(7)], .exited), ([lost, exit(0)], .exited),
    ([lost, exit(255)], .exited), ([lost, exit(-9, kills: 1)], .outOfMemory),
    ([.memoryLimit(bytes: 300), lost, exit(-15)], .outOfMemory),
    (
      [.heartbeatTimeout(seconds: 5), .nannyKill(reason: "check-worker-ttl-1"), lost, exit(-9)],
      .heartbeatLost
    ),
    ([.nannyKill(reason: "check-worker-ttl-1"), lost, exit(-9)], .heartbeatLost),
    ([.removed(stimulus: "retire-workers-1", isExpected: true), exit(0)], .retired),
    ([.scaledDown, .removed(stimulus: "retire-workers-1", isExpected: true)], .scaledDown),
    (
      [
        .removed(stimulus: "worker-close-gracefully-1", isExpected: true),
        .closing(reason: "worker-lifetime-reached"), exit(0),
      ], .lifetime
    ),
    ([.closeRequested, .closing(reason: "scheduler-close-worker"), lost, exit(0)], .closed),
    ([.nannyKill(reason: "client-restart-1"), lost, exit(0)], .restarted),
    ([.restartRequested, .removed(stimulus: "restart-1", isExpected: true)], .restarted),
    ([.schedulerClosing(byClient: true, reason: nil), lost], .shutdown),
    ([.closing(reason: "scheduler-close"), lost], .shutdown),
    (
      [.nannyKill(reason: "nanny-close"), .closing(reason: "nanny-close"), lost, exit(0)],
      .nannyClosed
    ),
    // It had ended before its nanny closed.
    ([lost, exit(-9), .nannyKill(reason: "nanny-close")], .killed),
    ([.nannyKill(reason: "signal-15"), .closing(reason: "signal-15"), lost, exit(0)], .killed),
    ([.closing(reason: "worker-handle-scheduler-connection-broken"), lost], .connectionLost),
    ([lost], .unknown),
  ])
  func `the cause follows from what the log says`(
    kinds: [EndFact.Kind], cause: EndVerdict.Cause
  ) {
    var evidence = EndEvidence()
    evidence.facts = kinds.enumerated().map { EndFact(Int64($0 + 1), Int64($0), $1) }
    (evidence.hasNanny, evidence.isNannyRecorded) = (true, true)
    let verdict = evidence.verdict
    #expect(verdict.cause == cause, "\(verdict)")
    #expect(!verdict.explanation.isEmpty)
    #expect((verdict.missing != nil) == (cause == .unknown))
    // Whatever decided it is named.
    #expect(!verdict.evidence.isEmpty)
    #expect(verdict.evidence.allSatisfy { seq in evidence.facts.contains { $0.seq == seq } })
  }

  @Test func `without a nanny nothing tells a killed worker from one out of memory`() {
    let verdict = Self.verdict(
      nanny: false, limit: 100 << 20, memory: [50 << 20, 90 << 20], Self.lost)
    #expect(verdict.cause == .unknown)
    #expect(
      verdict.explanation
        == "killed or out of memory: cannot tell without a nanny; its memory was last 90 MiB of "
        + "100 MiB, growing by 40 MiB/s")
    #expect(verdict.missing?.hasPrefix("a nanny") == true)
  }

  @Test func `SIGKILL near the limit is undecided where the kernel's count is unknown`() {
    #expect(
      Self.verdict(limit: 100, memory: [95], Self.lost, Self.exit(-9, kills: nil)).cause
        == .unknown)
    #expect(
      Self.verdict(limit: 100, memory: [20], Self.lost, Self.exit(-9, kills: nil)).cause == .killed)
    #expect(Self.verdict(limit: 100, memory: [95], Self.lost, Self.exit(-9)).cause == .killed)
  }

  @Test func `a worker that recorded its own end was not killed at once`() {
    #expect(
      Self.verdict(nanny: false, Self.lost, .teardown(signal: 15)).explanation
        == "its process got SIGTERM and ended")
    #expect(Self.verdict(nanny: false, Self.lost, .teardown(signal: nil)).cause == .closed)
  }

  @Test func `a nanny that was not recorded is what is missing`() {
    #expect(Self.verdict(isRecorded: false, Self.lost).missing == "a recorded nanny")
    #expect(Self.verdict(nanny: nil, Self.lost).missing == "a nanny that is recorded")
    #expect(Self.verdict(Self.lost).missing?.contains("manager of its host") == true)
  }

  @Test func `a worker that the scheduler expected to leave has closed`() {
    #expect(
      Self.verdict(.removed(stimulus: "anything", isExpected: true)).cause == .closed)
  }

  @Test func `without anything that says so nothing is concluded`() {
    #expect(EndEvidence().verdict.cause == .unknown)
    #expect(EndEvidence().growth == nil && EndEvidence().lastShare == nil)
  }

  // MARK: - What the manager of its host said

  private static func said(
    _ manager: ManagerReport.Manager, _ reason: String, _ object: String = "pod a/b",
    time: Int64 = 0, exit: Int64? = nil, failed: String? = nil, workers: Int64 = 1
  ) -> EndFact.Kind {
    .manager(
      ManagerFact(
        manager, object, reason, time: time, exitCode: exit, failedNode: failed, workers: workers))
  }

  @Test(arguments: [
    ([lost, said(.kubernetes, "OOMKilled")], EndVerdict.Cause.outOfMemory),
    ([lost, said(.kubernetes, "Evicted")], .evicted),
    ([lost, said(.kubernetes, "Preempted")], .preempted),
    ([lost, said(.kubernetes, "DeadlineExceeded")], .walltime),
    ([lost, said(.kubernetes, "NodeNotReady")], .hostGone),
    ([lost, said(.slurm, "TIMEOUT")], .walltime), ([lost, said(.slurm, "PREEMPTED")], .preempted),
    ([lost, said(.slurm, "OUT_OF_MEMORY")], .outOfMemory),
    ([lost, said(.slurm, "CANCELLED")], .stopped),
    // Which node failed, it does not say.
    ([lost, said(.slurm, "NODE_FAIL")], .stopped),
    ([lost, said(.slurm, "NODE_FAIL", failed: "n1")], .hostGone),
    // A signal is how a manager ends a process.
    (
      [
        .nannyKill(reason: "signal-15"), .closing(reason: "signal-15"), lost,
        said(.kubernetes, "Evicted"),
      ], .evicted
    ),
    ([lost, exit(-9), said(.kubernetes, "OOMKilled")], .outOfMemory),
    ([lost, .teardown(signal: 15), said(.slurm, "TIMEOUT")], .walltime),
    (
      [.heartbeatTimeout(seconds: 5), lost, said(.slurm, "NODE_FAIL", failed: "n1")], .hostGone
    ),
    // What ended by itself was not ended.
    ([lost, exit(7), said(.kubernetes, "Evicted")], .exited),
    ([lost, exit(-11), said(.kubernetes, "OOMKilled")], .crashed),
    // What the scheduler has let go, a manager may remove.
    (
      [.removed(stimulus: "retire-workers-1", isExpected: true), said(.kubernetes, "Killing")],
      .retired
    ),
    (
      [.schedulerClosing(byClient: true, reason: nil), lost, said(.kubernetes, "Killing")],
      .shutdown
    ),
    (
      [.schedulerClosing(byClient: false, reason: nil), lost, said(.kubernetes, "Killing")],
      .shutdown
    ),
    (
      [.schedulerClosing(byClient: false, reason: "signal-15"), lost, said(.slurm, "TIMEOUT")],
      .walltime
    ),
    // The first comes first.
    (
      [
        lost, said(.kubernetes, "TaintManagerEviction", time: 9),
        said(.kubernetes, "NodeNotReady", time: 5),
      ], .hostGone
    ),
    ([lost, said(.kubernetes, "OOMKilled", workers: 2)], .unknown),
    (
      [lost, said(.kubernetes, "OOMKilled", workers: 2), said(.kubernetes, "Evicted", time: 3)],
      .evicted
    ),
    ([lost, said(.kubernetes, "Error", exit: 137)], .killed),
    ([lost, said(.kubernetes, "Error", exit: 139)], .crashed),
    ([lost, said(.kubernetes, "Error", exit: 3)], .exited),
    ([lost, exit(-9), said(.kubernetes, "Error", exit: 3)], .killed),
    // What only a later version knows.
    ([lost, said(.kubernetes, "Teleported")], .unknown),
  ])
  func `the word of a manager decides what the log leaves open`(
    kinds: [EndFact.Kind], cause: EndVerdict.Cause
  ) {
    var evidence = EndEvidence()
    evidence.facts = kinds.enumerated().map { EndFact(Int64($0 + 1), Int64($0), $1) }
    (evidence.hasNanny, evidence.isNannyRecorded) = (true, true)
    #expect(evidence.verdict.cause == cause, "\(evidence.verdict)")
    #expect(!evidence.verdict.evidence.isEmpty)
    #expect((evidence.verdict.missing != nil) == (cause == .unknown))
  }

  private static func silent(
    restart: Int64?, end: String? = nil, left: Int64, _ kinds: EndFact.Kind...
  ) -> EndVerdict {
    var evidence = EndEvidence()
    evidence.facts = kinds.enumerated().map { EndFact(Int64($0 + 1), Int64($0) * 100, $1) }
    (evidence.hasNanny, evidence.isNannyRecorded) = (true, true)
    evidence.hostRestart = restart
    evidence.left = left * 1_000_000_000
    let job: [Value.Entry] =
      end.map {
        [
          .init(.string("SLURM_JOB_ID"), .string("7")),
          .init(.string("SLURM_JOB_END_TIME"), .string($0)),
        ]
      } ?? []
    evidence.identity = HostIdentity(
      seq: 1, .object(["hostname": .string("n1"), "job": .dict(job)]), isOfNanny: false)
    return evidence.verdict
  }

  @Test func `a host that was started again is gone only if nothing else says why`() {
    let timeout = EndFact.Kind.heartbeatTimeout(seconds: 5)
    #expect(Self.silent(restart: 9, left: 1, timeout, Self.lost).cause == .hostGone)
    #expect(Self.silent(restart: 9, left: 1, timeout, Self.lost).evidence == [1, 9])
    #expect(Self.silent(restart: nil, left: 1, timeout, Self.lost).cause == .heartbeatLost)
    #expect(
      Self.silent(restart: 9, left: 1, timeout, Self.lost, Self.exit(-9)).cause == .heartbeatLost)
    // Its connection was closed: by a process that ended, before the host did or with it.
    let open = Self.silent(restart: 9, left: 1, Self.lost)
    #expect(open.cause == .unknown && open.evidence == [1, 9])
  }

  @Test(arguments: [(-6, false), (-5, true), (0, true), (90, true), (91, false)])
  func `a worker that ends with its job has reached the time limit`(after: Int64, isLimit: Bool) {
    let left = 1_000_000 + after
    let verdict = Self.silent(
      restart: nil, end: "1000000", left: left, Self.lost, .closing(reason: "signal-15"))
    #expect(verdict.cause == (isLimit ? .walltime : .killed), "\(verdict)")
    #expect(
      Self.silent(restart: nil, end: "1000000", left: left, Self.lost).cause
        == (isLimit ? .walltime : .unknown))
    // It ended itself.
    #expect(
      Self.silent(restart: nil, end: "1000000", left: left, Self.lost, Self.exit(7)).cause
        == .exited)
    #expect(
      Self.silent(
        restart: nil, end: "1000000", left: left, Self.lost,
        .removed(stimulus: "retire-workers-1", isExpected: true)
      ).cause == .retired)
    #expect(Self.silent(restart: nil, end: "x", left: left, Self.lost).cause == .unknown)
  }
}
