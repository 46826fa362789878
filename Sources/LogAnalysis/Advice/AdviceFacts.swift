import EventLog

/// What advice is derived from: figures of one run, or of a part of it. All times are nanoseconds.
struct AdviceFacts: Sendable {
  /// The number of the run in the log.
  var run: Int64 = 1
  var time = ThreadTime()
  /// The parts of `ThreadTime.Class.ready` in which tasks were on their way to their worker, and in which
  /// they waited for a resource there.
  var sent: Int64 = 0
  var constrained: Int64 = 0
  var idle = IdleThreads()
  var summary = RunSummary()
  var scan = AdviceFigures()
  var resources = ResourceUse()
  var load: [SchedulerLoad] = []
  var ends: [WorkerEnd] = []
  /// How long the tasks of each client waited for those of others.
  var waitingClients: [WaitingClient] = []
  var held = HeldResults()
  /// The prefixes between which most bytes moved; `nil` if transfers cost little.
  var edge: TransferEdge?
  /// The workers whose clocks were off: the label, the offset and the uncertainty.
  var clocks: [(worker: String, offset: Int64, uncertainty: Int64)] = []
  /// The number of events, and of those that are missing.
  var events: Int64 = 0
  var missing: Int64 = 0
}

extension LogReader {
  /// What is worth knowing about a run: warnings first, then what cost the most.
  ///
  /// - Parameter scope: the part of the run; `nil` for all of it. If it selects tasks, idle time is no
  ///   part of it.
  /// - Throws: `LogError`.
  package func advice(
    of run: RunInfo, in scope: RunScope? = nil, _ thresholds: AdviceThresholds = AdviceThresholds()
  ) throws -> [Advice] {
    let facts = try translating { try adviceFacts(of: run, scope, thresholds) }
    return AdviceRules(facts, thresholds).all
  }

  private func adviceFacts(
    of run: RunInfo, _ scope: RunScope?, _ thresholds: AdviceThresholds
  ) throws -> AdviceFacts {
    var facts = AdviceFacts()
    facts.run = run.number
    var threads = try ThreadTimeScan(self, run, scope, [.clients])
    let input = try threads.scan(intervals: 1, splitsComputing: true)
    facts.time = ThreadTimeSweep.split(input)
    facts.sent = Self.ready(facts.time, without: \.sent, input)
    facts.constrained = Self.ready(facts.time, without: \.constrained, input)
    facts.idle = IdleThreads(input, thresholds)
    facts.waitingClients = WaitingClient.all(input)
    var summary = try SummaryScan(self, run, scope)
    facts.summary = try summary.summary()
    facts.ends = try workerEnds(of: run, in: scope)
    var scan = try AdviceScan(self, run, scope, facts.ends)
    facts.scan = try scan.figures()
    if AdviceRules(facts, thresholds).severity(ofCost: facts.time.split[.transfer]) != nil {
      facts.edge = try scan.largestEdge()
    }
    if !(scope?.selectsTasks ?? false) {
      facts.held = HeldResults(
        try scan.heldResults(atLeast: thresholds.heldSeconds),
        while: input.unfinished.compactMap { $0.part(of: input.window) }.merged())
    }
    if scope?.selectsTasks ?? false {
      // What a worker or the scheduler measures of itself is of all tasks.
      facts.ends.removeAll { end in end.removalStimulus.map { facts.scan.lost[$0] == nil } ?? true }
    } else {
      facts.resources = try resourceUse(of: run, in: scope)
      facts.load = try schedulerLoad(of: run, in: scope)
    }
    let (clocks, lives) = (try clockOffsets(of: run), try workerLives(of: run))
    for (index, life) in lives.lives.enumerated() where scope?.includes(worker: index) ?? true {
      guard let clock = life.source.flatMap({ clocks.last(ofSource: $0) }) else { continue }
      facts.clocks.append((lives.label(index), clock.offset, clock.uncertainty))
    }
    if let range = try range(of: run) { facts.events = range.upperBound - range.lowerBound + 1 }
    facts.missing = try gaps(of: run).reduce(0) { $0 + max(0, $1.count) }
    return facts
  }

  /// The part of `ThreadTime.Class.ready` for which intervals of a kind alone are responsible.
  private static func ready(
    _ time: ThreadTime,
    without intervals: WritableKeyPath<
      ThreadTimeInput.Worker, [ThreadTimeInput.Interval]
    >, _ input: ThreadTimeInput
  ) -> Int64 {
    var input = input
    for place in input.workers.indices { input.workers[place][keyPath: intervals] = [] }
    return max(0, time.split[.ready] - ThreadTimeSweep.split(input).split[.ready])
  }
}
