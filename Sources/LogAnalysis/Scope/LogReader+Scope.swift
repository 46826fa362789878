import EventLog
import LogFormat
import TaskLogPlugin

extension LogReader {
  /// The part of a run that a filter selects; `nil` if it selects everything.
  ///
  /// - Throws: `ScopeError`, `LogError`.
  package func scope(of run: RunInfo, _ filter: ScopeFilter) throws -> RunScope? {
    guard !filter.isEmpty else { return nil }
    return try translating { try ScopeResolver(self, run, filter).scope() }
  }
}

private struct ScopeResolver {
  let reader: LogReader
  let run: RunInfo
  let filter: ScopeFilter
  let lives: WorkerLives

  init(_ reader: LogReader, _ run: RunInfo, _ filter: ScopeFilter) throws {
    self.reader = reader
    self.run = run
    self.filter = filter
    lives = try reader.workerLives(of: run)
  }

  func scope() throws -> RunScope {
    let window = TimeWindow(
      try filter.since.map { try reader.time(of: $0, in: run, ifNone: .max) } ?? .min,
      try filter.until.map { try reader.time(of: $0, in: run, ifNone: .min) } ?? .max)
    // A bound that no event reaches is after or before all of the run.
    if window.start > window.stop, window.start != .max, window.stop != .min {
      throw ScopeError.reversed(run: run.number)
    }
    let workers = filter.workers.isEmpty ? nil : try includedWorkers()
    let range = try reader.range(of: run)
    var reasons: [RunScope.EmptyReason] = []
    if let workers, !workers.contains(true) { reasons.append(.noWorker) }
    let candidateTasks = try range.flatMap { try candidates($0, &reasons) }
    var scan = try ScopeScan(
      reader, run, candidates: candidateTasks, lives: lives, isWorkerIncluded: workers, window)
    let (start, stop) = (run.started, try reader.timeOfLastEvent(in: run) ?? run.started)
    if let range { try scan.scan(run, range, until: stop) }
    if window.isBounded, window.start > window.stop || !window.overlaps(start, stop) {
      reasons.append(.noTime(start: start, stop: stop))
    }
    let isEmpty = scan.selected.count == 0
    return RunScope(
      tasks: scan.selected, isWorkerIncluded: workers, lives: lives,
      selectsTasks: candidateTasks != nil, window: window,
      share: RunScope.Share(
        tasks: scan.selected.count, allTasks: scan.all.count,
        workers: workers.map { $0.count { $0 } }, allWorkers: lives.lives.count,
        time: window.isBounded ? Self.part(window, start, stop) : nil,
        emptyBecause: isEmpty
          ? reasons.first ?? .noTask : nil))
  }

  private static func part(_ window: TimeWindow, _ start: Int64, _ stop: Int64) -> Double {
    guard window.start <= window.stop, let part = window.part(start, stop) else { return 0 }
    return stop > start ? Double(part.stop - part.start) / Double(stop - start) : 1
  }

  /// By index of a worker, whether its address or name matches.
  private func includedWorkers() throws -> [Bool] { lives.matching(filter.workers) }

  /// The keys whose prefix, client, job and span match; `nil` for all.
  private func candidates(
    _ range: ClosedRange<Int64>, _ reasons: inout [RunScope.EmptyReason]
  ) throws -> RowIDSet? {
    var candidates: RowIDSet?
    if !filter.prefixes.isEmpty {
      let found = try keys(ofPrefixes: filter.prefixes.map(TextPattern.init))
      if found.count == 0 { reasons.append(.noPrefix) }
      candidates = found
    }
    guard !filter.clients.isEmpty || !filter.jobs.isEmpty || !filter.spans.isEmpty else {
      return candidates
    }
    var scan = try SubmissionScan(reader, filter)
    try scan.scan(run, range)
    if let found = scan.ofClients {
      guard !scan.clients.isEmpty else { throw ScopeError.noClients(run: run.number) }
      if found.count == 0 { reasons.append(.noClient(known: scan.clients.sorted())) }
      candidates = candidates?.intersection(found) ?? found
    }
    if let found = scan.ofJobs {
      guard !scan.jobs.isEmpty else { throw ScopeError.noJobs(run: run.number) }
      if found.count == 0 { reasons.append(.noJob(known: scan.jobs.sorted())) }
      candidates = candidates?.intersection(found) ?? found
    }
    if let found = scan.inSpans {
      guard !scan.spans.isEmpty else { throw ScopeError.noSpans(run: run.number) }
      if found.count == 0 { reasons.append(.noSpan(known: scan.spans.sorted())) }
      candidates = candidates?.intersection(found) ?? found
    }
    return candidates
  }

  private func keys(ofPrefixes patterns: [TextPattern]) throws -> RowIDSet {
    // A log may have as many keys as tasks, and few prefixes.
    var isWanted: [Int64: Bool] = [:]
    var found = RowIDSet()
    let select = try reader.connection.prepare("SELECT id, prefix FROM key")
    while try select.step() {
      let prefix = select.integer(1)
      let matches =
        try isWanted[prefix] ?? patterns.anyMatches(reader.texts.element(prefix) ?? "")
      isWanted[prefix] = matches
      if matches { _ = found.insert(select.integer(0)) }
    }
    return found
  }
}

extension LogReader {
  /// The time of a point by the scheduler's clock.
  ///
  /// - Parameter none: the time if there is no such event: `.max` for the first one from a seq on, else the
  ///   last one up to it.
  package func time(of point: PointInTime, in run: RunInfo, ifNone none: Int64) throws -> Int64 {
    switch point {
    case .time(let time), .event(_, let time): return time
    case .end: return .max
    case .seq(let seq):
      return try translating {
        // The events of workers arrive late, so only those of the scheduler divide the time.
        let (sign, order) = none == .max ? (">=", "ASC") : ("<=", "DESC")
        let select = try connection.prepare(
          """
          SELECT event.time, event.source, event.source_seq FROM event
          JOIN source ON source.id = event.source AND source.run = ? AND source.kind = 'scheduler'
          WHERE event.seq \(sign) ? ORDER BY event.seq \(order) LIMIT 1
          """)
        try select.bind(1, run.number)
        try select.bind(2, seq)
        guard try select.step() else { return none }
        return try clockOffsets(of: run).time(
          select.integer(0), source: select.integer(1), sourceSeq: select.integer(2))
      }
    }
  }
}

extension WorkerLives {
  /// By index of a worker, whether its name, its address or a pattern of addresses is among some texts.
  package func matching(_ texts: [String]) -> [Bool] {
    let patterns = texts.map(TextPattern.init)
    // Names are JSON; one that is a number is typed as in JSON.
    let names = texts + texts.map { JSONWriter.text(.string($0)) }
    return lives.map { life in
      patterns.anyMatches(life.address) || names.contains { $0.sameBytes(as: life.name) }
    }
  }
}
