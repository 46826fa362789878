import Testing

@testable import EventLog
@testable import LogAnalysis

/// Which advice follows from the figures of a run, on literals: 100 s of threads while tasks were
/// unfinished, so that 20 s are worth a warning and 5 s a note.
@Suite struct AdviceRulesTests {
  private static let second: Int64 = 1_000_000_000

  private static func facts(_ change: (inout AdviceFacts) -> Void) -> AdviceFacts {
    var facts = AdviceFacts()
    facts.idle.active = 100 * second
    facts.idle.threads = 4
    facts.events = 1000
    change(&facts)
    return facts
  }

  private static func advice(_ change: (inout AdviceFacts) -> Void) -> [Advice] {
    AdviceRules(facts(change), AdviceThresholds()).all
  }

  private static func told(_ change: (inout AdviceFacts) -> Void) -> [String] {
    advice(change).map { "\($0.severity.rawValue) \($0.kind.rawValue) \($0.subject ?? "-")" }
  }

  @Test func `a run without cost gets no advice`() {
    #expect(Self.told { _ in } == [])
  }

  // MARK: - Costs of time

  @Test(
    arguments: [
      (20.0, "warning transfers -"), (19.9, "note transfers -"), (5, "note transfers -"),
      (4.9, nil),
    ] as [(Double, String?)])
  func `a cost is a warning or a note by its share`(seconds: Double, expected: String?) {
    let told = Self.told { $0.time.split[.transfer] = Int64(seconds * 1e9) }
    #expect(told == [expected].compactMap { $0 })
  }

  @Test(
    arguments: [
      (5.0, "warning transfers -"), (4.9, "note transfers -"), (1, "note transfers -"), (0.9, nil),
    ] as [(Double, String?)])
  func `a short run's cost is a warning or a note by its seconds`(
    seconds: Double, expected: String?
  ) {
    let told = Self.told {
      $0.idle.active = 6 * Self.second
      $0.time.split[.transfer] = Int64(seconds * 1e9)
    }
    #expect(told == [expected].compactMap { $0 })
  }

  @Test func `warnings come first, then what cost the most`() {
    let told = Self.told {
      $0.time.split[.transfer] = 6 * Self.second
      $0.time.split[.paused] = 30 * Self.second
      $0.time.split[.deserializing] = 40 * Self.second
      $0.idle.betweenTasks = 90 * Self.second
    }
    #expect(
      told == [
        "warning deserializing -", "warning paused-workers -", "note idle-cluster -",
        "note transfers -",
      ])
  }

  @Test(arguments: [
    (ThreadTime.Class.deserializing, Advice.Kind.deserializing), (.paused, .pausedWorkers),
    (.disk, .spilling),
  ])
  func `time that threads waited is a cost`(kind: ThreadTime.Class, expected: Advice.Kind) {
    let advice = Self.advice { $0.time.split[kind] = 30 * Self.second }
    #expect(advice.map(\.kind) == [expected])
    #expect(advice.first?.cost == 30 * Self.second)
    #expect(Self.told { $0.time.split[kind] = 4 * Self.second } == [])
  }

  // MARK: - Tasks

  private static func prefix(_ name: String, _ tasks: Int64, seconds: Double) -> RunSummary.Prefix {
    var prefix = RunSummary.Prefix()
    (prefix.name, prefix.tasks, prefix.done) = (name, tasks, tasks)
    prefix.computeSeconds = seconds * Double(tasks)
    return prefix
  }

  @Test func `many small tasks that threads wait for are too small`() {
    func told(_ count: Int64, _ seconds: Double, wait: Int64 = 30) -> [String] {
      Self.told {
        $0.summary.prefixes = [Self.prefix("inc", count, seconds: seconds)]
        $0.time.split[.schedulerLag] = wait * Self.second
      }
    }
    #expect(told(100, 0.019) == ["warning small-tasks inc"])
    #expect(told(99, 0.019) == [])
    #expect(told(100, 0.02) == [])
    #expect(told(100, 0.019, wait: 4) == [])
  }

  @Test func `small tasks are blamed for their part of the time between tasks`() {
    let advice = Self.advice {
      $0.summary.prefixes = [
        Self.prefix("inc", 300, seconds: 0.001), Self.prefix("sum", 100, seconds: 2),
      ]
      $0.time.split[.schedulerLag] = 40 * Self.second
    }
    #expect(advice.map(\.cost) == [30 * Self.second])
  }

  @Test func `threads without tasks are too few tasks`() {
    #expect(Self.told { $0.idle.tooFewTasks = 20 * Self.second } == ["warning few-tasks -"])
    #expect(Self.told { $0.idle.tooFewTasks = 4 * Self.second } == [])
  }

  @Test(arguments: [(3, "warning straggler nap"), (4, "warning skewed-prefix nap")])
  func `few stragglers are named as such, many are a skewed prefix`(tasks: Int, expected: String) {
    func told(_ cost: Int64) -> [String] {
      Self.told {
        $0.idle.stragglers = [
          .init(
            prefix: "nap", tasks: tasks, longest: 90 * Self.second, median: Self.second,
            cost: cost * Self.second)
        ]
      }
    }
    #expect(told(20) == [expected])
    #expect(told(4) == [])
  }

  @Test func `threads that idle while tasks are ready on other workers are an imbalance`() {
    #expect(Self.told { $0.idle.imbalance = 20 * Self.second } == ["warning imbalance -"])
    #expect(Self.told { $0.idle.imbalance = 4 * Self.second } == [])
  }

  @Test func `stealing is blamed if it moved for longer than it computed`() {
    func told(transfer: Int64, compute: Int64) -> [String] {
      Self.told { $0.scan.stolen = (9, transfer * Self.second, compute * Self.second) }
    }
    #expect(told(transfer: 30, compute: 10) == ["warning stealing -"])
    #expect(told(transfer: 30, compute: 30) == [])
  }

  // MARK: - Failures

  @Test func `each failed task is worth a warning`() {
    #expect(Self.told { $0.scan.failed = 1 } == ["warning failed-tasks -"])
  }

  @Test(
    arguments: [
      (AdviceFigures.Retries(tasks: 9, succeeded: 9, attempts: 9, all: 10), "always-retried inc"),
      (.init(tasks: 8, succeeded: 8, attempts: 8, all: 10), "hidden-errors inc"),
      (.init(tasks: 2, succeeded: 2, attempts: 4, all: 2), "hidden-errors inc"),
      // It failed for good: that is no secret.
      (.init(tasks: 3, succeeded: 0, attempts: 3, all: 3), nil), (.init(all: 3), nil),
    ] as [(AdviceFigures.Retries, String?)])
  func `retries that succeed hide errors`(retries: AdviceFigures.Retries, expected: String?) {
    let told = Self.told { $0.scan.retries = ["inc": retries] }
    #expect(told == [expected.map { "warning \($0)" }].compactMap { $0 })
  }

  private static func end(_ cause: EndVerdict.Cause, tasks: Int = 1) -> WorkerEnd {
    var end = WorkerEnd(address: "tcp://w:1", life: 1, name: "0", seq: 9, time: 0)
    end.evidence.facts = [
      EndFact(9, 0, .removed(stimulus: "handle-worker-cleanup-1", isExpected: false))
    ]
    end.verdict = EndVerdict(cause, "")
    for _ in 0..<tasks { end.processing.add("k", atMost: 9) }
    return end
  }

  @Test func `a worker that ended unexpectedly with work is lost, and its work is the cost`() {
    let advice = Self.advice {
      $0.ends = [Self.end(.outOfMemory)]
      $0.scan.lost = ["handle-worker-cleanup-1": (2, 1, 7 * Self.second)]
    }
    #expect(advice.map(\.kind) == [.lostWorkers])
    #expect(advice.first?.cost == 7 * Self.second)
    #expect(Self.told { $0.ends = [Self.end(.outOfMemory, tasks: 0)] } == [])
  }

  @Test(arguments: [
    EndVerdict.Cause.shutdown, .retired, .scaledDown, .restarted, .closed, .nannyClosed, .lifetime,
    .stopped,
  ])
  func `a worker that was meant to end is not lost`(cause: EndVerdict.Cause) {
    #expect(Self.told { $0.ends = [Self.end(cause)] } == [])
  }

  // MARK: - Memory

  private static func measured(
    _ metric: WorkerSample.Metric, _ value: Double, limit: Int64 = 1000, threads: Int64 = 2
  ) -> ResourceUse {
    var use = ResourceUse()
    use.lives.add(
      WorkerLife(
        address: "tcp://w:1", number: 1, firstSeq: 0, serverID: nil, name: "0",
        nthreads: threads, source: nil, joined: nil, left: nil, gone: nil))
    use.memoryLimits = [0: limit]
    var sample = WorkerSample(worker: 0, time: 0)
    sample[metric] = value
    use.rows = [ResourceUse.Row(worker: 0, time: nil)]
    use.rows[0].add(sample)
    return use
  }

  @Test(
    arguments: [
      (900.0, "warning memory-near-limit tcp://w:1"), (899, "note memory-near-limit tcp://w:1"),
      (800, "note memory-near-limit tcp://w:1"), (799, nil),
    ] as [(Double, String?)])
  func `memory near the limit is worth advice by its share`(bytes: Double, expected: String?) {
    let told = Self.told { $0.resources = Self.measured(.memory, bytes) }
    #expect(told == [expected].compactMap { $0 })
    #expect(Self.told { $0.resources = Self.measured(.memory, bytes, limit: 0) } == [])
  }

  @Test(
    arguments: [
      (1000, 500, "warning large-result x"), (1000, 250, "note large-result x"), (1000, 249, nil),
      (0, 1 << 30, "note large-result x"), (0, 1 << 30 - 1, nil),
    ] as [(Int64, Int64, String?)])
  func `a large result is worth advice by its share of a worker's memory`(
    limit: Int64, bytes: Int64, expected: String?
  ) {
    let told = Self.told {
      $0.resources = Self.measured(.cpu, 1, limit: limit)
      $0.scan.largest = ("x-1", "x", bytes)
    }
    #expect(told == [expected].compactMap { $0 })
  }

  @Test(
    arguments: [(100, true, "warning"), (100, false, "note"), (99, true, nil)]
      as [(Int64, Bool, String?)])
  func `results that nothing needs are a warning if memory was short`(
    mean: Int64, isShort: Bool, expected: String?
  ) {
    let told = Self.told {
      $0.resources = Self.measured(.memory, isShort ? 800 : 700)
      ($0.held.count, $0.held.mean, $0.held.most, $0.held.prefix) = (3, mean, 400, "read")
    }
    #expect(
      told.filter { !$0.contains("memory-near") }
        == [expected.map { "\($0) held-results read" }].compactMap { $0 })
  }

  @Test func `what is held is counted from the last use, while tasks are unfinished`() {
    func result(_ start: Int64, _ stop: Int64, _ bytes: Int64, _ prefix: String) -> HeldResult {
      HeldResult(key: 1, start: start, stop: stop, bytes: bytes, prefix: prefix)
    }
    let held = HeldResults(
      [result(2, 6, 10, "a"), result(5, .max, 30, "b"), result(40, 50, 99, "c")],
      while: [.init(0, 8), .init(10, 20)])
    #expect(held.count == 2)
    #expect(held.most == 40)
    // 10 × 4 + 30 × 13 in 18.
    #expect(held.mean == 24)
    #expect(held.longest == 13)
    #expect(held.prefix == "b")
  }

  @Test func `transfers name the prefixes between which most bytes moved`() {
    let advice = Self.advice {
      $0.time.split[.transfer] = 30 * Self.second
      $0.edge = TransferEdge(from: "read", to: "join", bytes: 3 << 20, all: 4 << 20)
    }
    #expect(
      advice.first?.finding.hasSuffix(
        ", most of 4.0 MiB from tasks of prefix 'read' to those of 'join' (75 %).") == true,
      "\(advice)")
  }

  @Test func `spilled bytes are the size of the advice about disk`() {
    let advice = Self.advice {
      $0.resources = Self.measured(.spilled, 700)
      $0.time.split[.disk] = 30 * Self.second
    }
    #expect(advice.map(\.bytes) == [700])
    #expect(Self.told { $0.resources = Self.measured(.spilled, 700) } == [])
  }

  // MARK: - Scheduler, clients, workers

  @Test func `a scheduler is busy if its loop was late and threads waited for it`() {
    func told(late: Double, wait: Int64) -> [String] {
      Self.told {
        $0.load = [SchedulerLoad(time: 0, late: late), SchedulerLoad(time: 1, late: nil)]
        $0.time.split[.schedulerLag] = wait * Self.second
      }
    }
    #expect(told(late: 0.1, wait: 20) == ["warning scheduler-busy -"])
    #expect(told(late: 0.09, wait: 20) == [])
    #expect(told(late: 0.1, wait: 4) == [])
  }

  @Test(arguments: [(0.1, "scheduler-busy"), (0.09, "worker-busy")])
  func `tasks that are on their way wait for the scheduler if its loop is late`(
    late: Double, expected: String
  ) {
    let told = Self.told {
      $0.load = [SchedulerLoad(time: 0, late: late)]
      $0.time.split[.ready] = 30 * Self.second
      $0.sent = 30 * Self.second
    }
    #expect(told == ["warning \(expected) -"])
  }

  @Test func `what only unknown clocks say of a worker is not said`() {
    let told = Self.told {
      $0.clocks = [("w", 0, Self.second)]
      $0.time.split[.ready] = 30 * Self.second
      $0.sent = 30 * Self.second
    }
    #expect(told == ["note clock-offsets w"])
    // Nor is a task that waits for a resource its worker's fault.
    #expect(
      Self.told {
        $0.time.split[.ready] = 30 * Self.second
        $0.constrained = 30 * Self.second
      } == [])
  }

  @Test func `tasks that lie ready with a free thread blame the worker, unless they are small`() {
    func told(_ count: Int64) -> [String] {
      Self.told {
        $0.summary.prefixes = [Self.prefix("inc", count, seconds: 0.001)]
        $0.time.split[.ready] = 30 * Self.second
      }
    }
    #expect(told(99) == ["warning worker-busy -"])
    #expect(told(100) == ["warning small-tasks inc"])
  }

  @Test func `what stolen tasks fetched is not blamed twice`() {
    let told = Self.told {
      $0.scan.stolen = (9, 30 * Self.second, 10 * Self.second)
      $0.scan.fetched = (40 * Self.second, 30 * Self.second)
      $0.time.split[.transfer] = 60 * Self.second
    }
    #expect(told == ["warning stealing -", "note transfers -"])
  }

  @Test func `a large graph costs all threads the time of the scheduler`() {
    func told(_ seconds: Int64) -> [String] {
      Self.told { $0.scan.graphs = (1, 1000, seconds * Self.second, seconds * Self.second) }
    }
    #expect(told(5) == ["warning large-graph -"])
    #expect(told(1) == [])
  }

  @Test(
    arguments: [
      (100_000_000, 10_000_000, "warning large-arguments -"),
      (99_999_999, 10_000_000, "note large-arguments -"), (900_000_000, 9_999_999, nil),
    ] as [(Int64, Int64, String?)])
  func `graphs with data in them are worth advice by their bytes`(
    bytes: Int64, largest: Int64, expected: String?
  ) {
    let told = Self.told { $0.scan.arguments = (90, bytes, largest) }
    #expect(told == [expected].compactMap { $0 })
  }

  @Test(
    arguments: [
      (5.0, 10, "warning"), (4.9, 9.8, "note"), (5, 10.1, "note"), (5, 25.1, nil), (0.9, 1, nil),
    ] as [(Double, Double, String?)])
  func `a client waits by its seconds and by their share`(
    waited: Double, unfinished: Double, expected: String?
  ) {
    let told = Self.told {
      $0.waitingClients = [
        WaitingClient(
          client: "c", waited: Int64(waited * 1e9), unfinished: Int64(unfinished * 1e9))
      ]
    }
    #expect(told == [expected.map { "\($0) waiting-clients c" }].compactMap { $0 })
  }

  /// Two workers with a thread each; one client has both from 0 to 10, the other waits from 2 on.
  private static func clients(busyUntil end: Int64 = 10) -> ThreadTimeInput {
    var input = ThreadTimeInput()
    input.tasks = [.init(prefix: "x", client: "a"), .init(prefix: "x", client: "b")]
    input.workers = [
      .init("1", threads: 1, present: [.init(0, 20)]),
      .init("2", threads: 1, present: [.init(0, 20)]),
    ]
    input.workers[0].work = [.init(0, 10, task: 0), .init(12, 14, task: 1)]
    input.workers[1].work = [.init(0, end, task: 0)]
    input.unfinishedOfClients = ["a": [.init(0, 10)], "b": [.init(2, 14)]]
    return input
  }

  @Test func `a client waits while the tasks of others have all threads`() {
    #expect(
      WaitingClient.all(Self.clients()) == [WaitingClient(client: "b", waited: 8, unfinished: 12)])
    #expect(
      WaitingClient.all(Self.clients(busyUntil: 6)) == [
        WaitingClient(client: "b", waited: 4, unfinished: 12)
      ])
  }

  @Test func `a client alone waits for no other one`() {
    var input = Self.clients()
    input.unfinishedOfClients["a"] = nil
    #expect(WaitingClient.all(input) == [])
  }

  @Test func `workers that leave are missed while tasks wait for a thread`() {
    var thresholds = AdviceThresholds()
    thresholds.imbalanceSeconds = 0
    var input = ThreadTimeInput()
    input.unfinished = [.init(0, 100)]
    input.known = input.unfinished
    input.workers = [
      .init("1", threads: 1, present: [.init(0, 100)]),
      .init("2", threads: 4, present: [.init(0, 10)]),
      .init("3", threads: 3, present: [.init(50, 100)]),
    ]
    #expect(IdleThreads(input, thresholds).left == (0, 0))
    input.workers[0].ready = [.init(20, 60)]
    #expect(IdleThreads(input, thresholds).left == (30 * 4 + 10 * 1, 4))
    #expect(
      Self.told { $0.idle.left = (90 * Self.second, 4) } == ["note leaving-workers -"])
  }

  @Test func `the prefix that held threads without computing is blamed for a held GIL`() {
    func told(_ share: Double, threads: Int64 = 2, seconds: Int64 = 30) -> [String] {
      Self.told {
        $0.resources = Self.measured(.gil, share, threads: threads)
        $0.time.prefixes.add("inc", .notCPU, seconds * Self.second)
        $0.time.prefixes.add("sum", .cpu, 90 * Self.second)
      }
    }
    #expect(told(0.5) == ["warning held-gil inc"])
    #expect(told(0.49) == [])
    #expect(told(0.9, threads: 1) == [])
    #expect(told(0.9, seconds: 4) == [])
  }

  @Test func `tasks that wait for a lock in their threads name it`() {
    func told(_ seconds: Int64) -> [String] {
      Self.told {
        $0.time.locks.add("lock a", .lock, seconds * Self.second)
        $0.time.locks.add("event b", .lock, Self.second)
      }
    }
    #expect(told(20) == ["warning lock-waits lock a"])
    #expect(told(4) == [])
  }

  @Test func `a cluster without tasks, and workers that join late, are worth a note at most`() {
    #expect(Self.told { $0.idle.betweenTasks = 900 * Self.second } == ["note idle-cluster -"])
    #expect(Self.told { $0.idle.betweenTasks = 4 * Self.second } == [])
    #expect(
      Self.told { $0.idle.late = (1, 90 * Self.second, 90 * Self.second) } == [
        "note late-workers -"
      ]
    )
    #expect(Self.told { $0.idle.late = (1, 4 * Self.second, 4 * Self.second) } == [])
  }

  @Test func `a clock that is not known well is worth a note`() {
    func told(_ uncertainty: Int64) -> [String] {
      Self.told { $0.clocks = [("w", 0, uncertainty), ("v", 9 * Self.second, 0)] }
    }
    #expect(told(Self.second / 10) == ["note clock-offsets w"])
    #expect(told(Self.second / 10 - 1) == [])
  }

  @Test func `missing events are worth a note, many a warning`() {
    #expect(Self.told { $0.missing = 11 } == ["warning gaps -"])
    #expect(Self.told { $0.missing = 1 } == ["note gaps -"])
  }
}
