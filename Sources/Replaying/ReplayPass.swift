import BrokerMessages
import EventLog
import LogAnalysis
import TaskLogPlugin

/// One pass over the events of a run.
final class ReplayPass {
  /// The number of events between two checks for cancellation.
  private static let stride: Int64 = 1 << 12
  /// The interval of those checks while no event is due.
  private static let pause = Duration.milliseconds(100)

  private let reader: LogReader
  private let run: RunInfo
  private let options: ReplayOptions
  private let factories: [(factory: PluginFactory, options: [String: String])]
  private let call: ActiveCall
  private let manager: CheckpointManager?
  private var outside: ExternalPlugins

  private var sources: [SourceInfo] = []
  /// Makes times of different sources comparable; plugins see each source's own.
  private var clocks = ClockOffsets()
  /// By the row ID of the source. Sources whose plugins are not called have no entry.
  private var replays: [Int64: SourceReplay] = [:]
  private var selection: Selection
  // Nothing called for an event accesses this again.
  @exclusivity(unchecked) private var failures = FailureList()
  private var chosen: Int64 = 0
  private var sourceCount = 0
  private var pacer: Pacer?
  private let isCancelled: () -> Bool
  private let clock = ContinuousClock()
  private let started: ContinuousClock.Instant

  init(
    reader: LogReader, run: RunInfo, options: ReplayOptions,
    factories: [(factory: PluginFactory, options: [String: String])],
    outside: [any ExternalPlugin], call: ActiveCall, isCancelled: @escaping () -> Bool
  ) throws {
    self.reader = reader
    self.run = run
    self.options = options
    self.factories = factories
    self.call = call
    manager =
      outside.isEmpty
      ? CheckpointManager(options, reader: reader, run: run, factories: factories) : nil
    self.isCancelled = isCancelled
    self.outside = ExternalPlugins(outside)
    selection = Selection(options)
    pacer = options.speed.map { Pacer(speed: $0) }
    started = clock.now
  }

  nonisolated(nonsending) func replay(
    progress: ((Int64) -> Void)?
  ) async throws -> Replayer.Result {
    // What commands have added since, no plugin saw.
    sources = try reader.sources(of: run).filter { $0.source.kind != .command }
    clocks = try reader.clockOffsets(of: run)
    try outside.begin(run, sources)
    let cursor = try await cursor()
    let before = cursor.count
    let end = try await replayAll(cursor, progress)
    // Plugins start even if nothing was selected, as with a live scheduler that does nothing.
    for replay in ordered where replay.isScheduler && !replay.hasBegun && end == .complete {
      await replay.begin(&failures)
    }
    let reports = reports
    for replay in replays.values { if let failure = replay.failure { throw failure } }
    let result = try outside.finish()
    failures.append(result.failures, count: result.failureCount)
    return Replayer.Result(
      events: cursor.count, before: before, chosen: options.isPartial ? chosen : cursor.count,
      reports: reports + result.reports, failures: failures.first,
      failureCount: failures.count,
      verifications: ordered.flatMap(\.verifications) + result.verifications,
      notices: result.notices + (manager?.notices ?? []), lines: result.lines, end: end,
      unknown: unknown, mismatchCount: replays.values.reduce(0) { $0 + $1.mismatchCount },
      drift: result.drift,
      missing: try reader.missing(of: run), pruned: try reader.pruned(of: run),
      excluded: try reader.excluded(of: run).reduce(0) { $0 + $1.events },
      damaged: cursor.damagedCount,
      outOfOrder: cursor.outOfOrderCount)
  }

  /// Starts from the last valid checkpoint, or from the beginning.
  private nonisolated(nonsending) func cursor() async throws -> EventCursor {
    if let manager {
      for position in try manager.candidates() {
        guard let checkpoint = try manager.checkpoint(at: position, sources: sources) else {
          continue
        }
        do {
          if let cursor = try await cursor(from: checkpoint) { return cursor }
        } catch let error as RestoreFailure {
          manager.refuse(position, error.cause)
        }
        replays = [:]
        failures = FailureList()
        sourceCount = 0
      }
    }
    for info in sources { try await join(info) }
    return try reader.events(
      of: run, order: .causal, wanted: wanted, isFollowed: options.follows, readsAhead: true)
  }

  /// A plugin could not restore its saved state.
  private struct RestoreFailure: Error {
    var cause: any Error
  }

  private nonisolated(nonsending) func cursor(
    from checkpoint: Checkpoint
  ) async throws -> EventCursor? {
    let states = Dictionary(checkpoint.sources.map { ($0.id, $0) }) { first, _ in first }
    for info in sources {
      sourceCount += 1
      let replay = try SourceReplay(
        info, of: run, reader: reader, factories: factories, call: call, verifies: false)
      replays[info.number] = replay
      if let state = states[info.source.id] {
        do {
          try await replay.resume(
            after: state.sourceSeq,
            with: checkpoint.instances.filter { $0.source == state.id },
            checkpoint.states[state.id], &failures)
        } catch {
          throw RestoreFailure(cause: error)
        }
      } else if replay.isScheduler {
        await replay.begin(&failures)
      }
    }
    let cursor = try reader.events(
      of: run, order: .causal, wanted: wanted, resumingFrom: checkpoint.place, readsAhead: true)
    // The order of a single source differs from that of several.
    return cursor.isCausal == checkpoint.place.isCausal ? cursor : nil
  }

  /// Adds a source.
  private nonisolated(nonsending) func join(_ info: SourceInfo) async throws {
    sourceCount += 1
    guard selection.chooses(info.source) else { return }
    let replay = try SourceReplay(
      info, of: run, reader: reader, factories: factories, call: call,
      verifies: options.verifies)
    replays[info.number] = replay
    // If only a part is selected, plugins start with it.
    if replay.isScheduler, options.from == nil { await replay.begin(&failures) }
  }

  /// The sources with plugins; events of others need not be decoded.
  private var wanted: Set<Int64> {
    let wanted = sources.filter { info in
      let replay = replays[info.number]
      return replay?.isIdle == false || outside.needs(info, isChosen: replay != nil)
    }
    return Set(wanted.map(\.number))
  }

  /// State that plugins accessed but that is unavailable.
  private var unknown: [UnavailableState] {
    let unavailable = Set(replays.values.flatMap(\.unknown))
    return UnavailableState.allCases.filter(unavailable.contains)
  }

  private var ordered: [SourceReplay] {
    replays.keys.sorted().compactMap { replays[$0] }
  }

  private var reports: [Replayer.Report] {
    let replays = ordered.filter { $0.isScheduler || $0.hasBegun || options.from == nil }
    return factories.indices.flatMap { index in replays.compactMap { $0.report(of: index) } }
  }

  // MARK: - Events

  private nonisolated(nonsending) func replayAll(
    _ cursor: EventCursor, _ progress: ((Int64) -> Void)?
  ) async throws -> Replayer.End {
    var follower =
      options.follows ? Follower(reader: reader, run: run, patience: options.patience) : nil
    let isPlain = selection.isEverything && outside.isEmpty && pacer == nil
    var nextCheck = Self.stride
    var source: Int64 = .min
    var replay: SourceReplay?
    var savesNext = false
    while true {
      while let recorded = try cursor.nextEvent() {
        if cursor.count >= nextCheck {
          nextCheck = cursor.count + Self.stride
          progress?(cursor.count)
          if isCancelled() { return .cancelled }
          if selection.isOver(of: sourceCount), follower == nil { return .complete }
          savesNext = savesNext || manager?.isDue(cursor) ?? false
        }
        // Events of one source are often consecutive.
        if recorded.source != source {
          source = recorded.source
          replay = replays[source]
        }
        if isPlain {
          if let replay, try !replay.process(recorded, &failures) {
            try await replay.processAwaiting(recorded, &failures)
          }
        } else if try await !replaySelected(recorded, replay, progress, cursor) {
          return .cancelled
        }
        if replay?.isIdle ?? true, isDone { return .done }
        if options.failsFast, failures.count + outside.failureCount > 0 { return .failed }
        if savesNext, let point = cursor.place {
          savesNext = false
          try save(point)
        }
      }
      if let manager, manager.isDueAtEnd(cursor), let point = cursor.place { try save(point) }
      try outside.flush()
      progress?(cursor.count)
      guard let news = try await follower?.next(cursor, isCancelled) else { return .complete }
      if news.isCancelled { return .cancelled }
      clocks = try reader.clockOffsets(of: run)
      for info in news.sources where info.source.kind != .command {
        try outside.join(info)
        sources.append(info)
        try await join(info)
      }
      cursor.want(wanted)
    }
  }

  /// - Returns: `false` if the replay was cancelled.
  private nonisolated(nonsending) func replaySelected(
    _ recorded: RecordedEvent, _ replay: SourceReplay?, _ progress: ((Int64) -> Void)?,
    _ cursor: EventCursor
  ) async throws -> Bool {
    let isChosen =
      replay != nil
      && (selection.isEverything || selection.takes(recorded, at: clocks.time(of: recorded)))
    if isChosen {
      chosen += 1
      if pacer != nil, try await !wait(for: recorded, progress, cursor) { return false }
    }
    if let replay {
      if !isChosen {
        try replay.pass(recorded)
      } else if try !replay.process(recorded, &failures) {
        try await replay.processAwaiting(recorded, &failures)
      }
    }
    try outside.process(recorded, isSelected: isChosen)
    return true
  }

  /// A replay with failures is not saved, so that a later replay reports them again.
  private func save(_ point: ResumePoint) throws {
    guard failures.count == 0 else { return }
    try manager?.save(point, ordered.filter { !$0.names.isEmpty })
  }

  /// Whether there were active plugins and none is left.
  private var isDone: Bool {
    guard outside.isDone, replays.values.allSatisfy(\.isIdle),
      outside.hasStopped || replays.values.contains(where: \.hasStopped)
    else { return false }
    // A worker that joins later will have its own plugins.
    return !options.follows || !factories.contains { $0.factory.type is any WorkerPlugin.Type }
  }

  // MARK: - Time

  /// Waits until an event is due.
  ///
  /// - Returns: `false` if the replay was cancelled.
  private nonisolated(nonsending) func wait(
    for recorded: RecordedEvent, _ progress: ((Int64) -> Void)?, _ cursor: EventCursor
  ) async throws -> Bool {
    guard let due = pacer?.due(clocks.time(of: recorded)) else { return true }
    let moment = started.advanced(by: .nanoseconds(due))
    guard moment > clock.now else { return true }
    // Buffered events must not wait for later ones.
    try outside.flush()
    while true {
      progress?(cursor.count)
      if isCancelled() { return false }
      let remaining = clock.now.duration(to: moment)
      guard remaining > .zero else { return true }
      do {
        try await Task.sleep(for: min(remaining, Self.pause))
      } catch {
        return false
      }
    }
  }
}
