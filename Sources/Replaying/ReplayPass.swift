import BrokerMessages
import EventLog
import LogAnalysis
import TaskLogPlugin

/// One way through the events of a run.
final class ReplayPass {
  /// How many events come between two looks at whether it is to go on.
  private static let stride: Int64 = 1 << 12
  /// How often it is looked at while nothing is due.
  private static let pause = Duration.milliseconds(100)

  private let reader: LogReader
  private let run: RunInfo
  private let options: ReplayOptions
  private let factories: [(factory: PluginFactory, options: [String: String])]
  private let call: ActiveCall
  private let keeper: CheckpointManager?
  private var outside: ExternalPlugins

  private var sources: [SourceInfo] = []
  /// What makes times of different sources comparable; plugins see each source's own.
  private var clocks = ClockOffsets()
  /// By the number of the source in the file. Sources whose plugins are not to be called have none.
  private var replays: [Int64: SourceReplay] = [:]
  private var selection: Selection
  // Nothing that is called for an event comes back here.
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
    keeper =
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
    sources = try reader.sources(of: run)
    clocks = try reader.clockOffsets(of: run)
    try outside.begin(run, sources)
    let cursor = try await cursor()
    let before = cursor.count
    let end = try await takeAll(cursor, progress)
    // They start also where nothing was chosen, as beside a scheduler that does nothing.
    for replay in ordered where replay.isScheduler && !replay.hasBegun && end == .complete {
      await replay.begin(&failures)
    }
    let reports = reports
    for replay in replays.values { if let failure = replay.failure { throw failure } }
    let said = try outside.finish()
    failures.append(said.failures, count: said.failureCount)
    return Replayer.Result(
      events: cursor.count, before: before, chosen: options.isPartial ? chosen : cursor.count,
      reports: reports + said.reports, failures: failures.first,
      failureCount: failures.count,
      verifications: ordered.flatMap(\.verifications) + said.verifications,
      notices: said.notices + (keeper?.notices ?? []), lines: said.lines, end: end,
      unknown: unknown, mismatchCount: replays.values.reduce(0) { $0 + $1.mismatchCount },
      drift: said.drift,
      missing: try reader.missing(of: run), pruned: try reader.pruned(of: run),
      excluded: try reader.excluded(of: run).reduce(0) { $0 + $1.events },
      damaged: cursor.damagedCount,
      outOfOrder: cursor.outOfOrderCount)
  }

  /// Begins at the last checkpoint that is good, or at the beginning.
  private nonisolated(nonsending) func cursor() async throws -> EventCursor {
    if let keeper {
      for position in try keeper.candidates() {
        guard let checkpoint = try keeper.checkpoint(at: position, sources: sources) else {
          continue
        }
        do {
          if let cursor = try await cursor(from: checkpoint) { return cursor }
        } catch let error as RestoreFailure {
          keeper.refuse(position, error.cause)
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

  /// A plugin could not take back what it has saved.
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
          try await replay.goOn(
            behind: state.sourceSeq,
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
      of: run, order: .causal, wanted: wanted, goingOnFrom: checkpoint.place, readsAhead: true)
    // The order of one source alone is another matter than that of several.
    return cursor.isCausal == checkpoint.place.isCausal ? cursor : nil
  }

  /// A source has come.
  private nonisolated(nonsending) func join(_ info: SourceInfo) async throws {
    sourceCount += 1
    guard selection.chooses(info.source) else { return }
    let replay = try SourceReplay(
      info, of: run, reader: reader, factories: factories, call: call,
      verifies: options.verifies)
    replays[info.number] = replay
    // Where only a part is chosen, plugins start with it.
    if replay.isScheduler, options.from == nil { await replay.begin(&failures) }
  }

  /// Where no plugin is, nothing has to be looked up.
  private var wanted: Set<Int64> {
    let wanted = sources.filter { info in
      let replay = replays[info.number]
      return replay?.isIdle == false || outside.wants(info, isChosen: replay != nil)
    }
    return Set(wanted.map(\.number))
  }

  /// What plugins looked at and could not see.
  private var unknown: [UnavailableState] {
    let all = Set(replays.values.flatMap(\.unknown))
    return UnavailableState.allCases.filter(all.contains)
  }

  private var ordered: [SourceReplay] {
    replays.keys.sorted().compactMap { replays[$0] }
  }

  private var reports: [Replayer.Report] {
    let replays = ordered.filter { $0.isScheduler || $0.hasBegun || options.from == nil }
    return factories.indices.flatMap { index in replays.compactMap { $0.report(of: index) } }
  }

  // MARK: - Events

  private nonisolated(nonsending) func takeAll(
    _ cursor: EventCursor, _ progress: ((Int64) -> Void)?
  ) async throws -> Replayer.End {
    var follower =
      options.follows ? Follower(reader: reader, run: run, patience: options.patience) : nil
    let isPlain = selection.isEverything && outside.isEmpty && pacer == nil
    var nextLook = Self.stride
    var source: Int64 = .min
    var replay: SourceReplay?
    var savesNext = false
    while true {
      while let recorded = try cursor.nextEvent() {
        if cursor.count >= nextLook {
          nextLook = cursor.count + Self.stride
          progress?(cursor.count)
          if isCancelled() { return .cancelled }
          if selection.isOver(of: sourceCount), follower == nil { return .complete }
          savesNext = savesNext || keeper?.isDue(cursor) ?? false
        }
        // Events of one source often lie together.
        if recorded.source != source {
          source = recorded.source
          replay = replays[source]
        }
        if isPlain {
          if let replay, try !replay.take(recorded, &failures) {
            try await replay.takeAwaiting(recorded, &failures)
          }
        } else if try await !takeChosen(recorded, replay, progress, cursor) {
          return .cancelled
        }
        if replay?.isIdle ?? true, isDone { return .done }
        if options.failsFast, failures.count + outside.failureCount > 0 { return .failed }
        if savesNext, let place = cursor.place {
          savesNext = false
          try save(place)
        }
      }
      if let keeper, keeper.isDueAtEnd(cursor), let place = cursor.place { try save(place) }
      try outside.flush()
      progress?(cursor.count)
      guard let news = try await follower?.next(cursor, isCancelled) else { return .complete }
      if news.isCancelled { return .cancelled }
      clocks = try reader.clockOffsets(of: run)
      for info in news.sources {
        try outside.join(info)
        sources.append(info)
        try await join(info)
      }
      cursor.want(wanted)
    }
  }

  /// - Returns: false when the replay was cancelled.
  private nonisolated(nonsending) func takeChosen(
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
      } else if try !replay.take(recorded, &failures) {
        try await replay.takeAwaiting(recorded, &failures)
      }
    }
    try outside.take(recorded, isSelected: isChosen)
    return true
  }

  /// What has failed is not saved, and so is told again.
  private func save(_ place: ResumePoint) throws {
    guard failures.count == 0 else { return }
    try keeper?.save(place, ordered.filter { !$0.names.isEmpty })
  }

  /// Whether somebody wanted to be called, and nobody does any more.
  private var isDone: Bool {
    guard outside.isDone, replays.values.allSatisfy(\.isIdle),
      outside.hasStopped || replays.values.contains(where: \.hasStopped)
    else { return false }
    // A worker that is still to join will have plugins of its own.
    return !options.follows || !factories.contains { $0.factory.type is any WorkerPlugin.Type }
  }

  // MARK: - Time

  /// Waits until an event is due.
  ///
  /// - Returns: false when the replay was cancelled.
  private nonisolated(nonsending) func wait(
    for recorded: RecordedEvent, _ progress: ((Int64) -> Void)?, _ cursor: EventCursor
  ) async throws -> Bool {
    guard let due = pacer?.due(clocks.time(of: recorded)) else { return true }
    let moment = started.advanced(by: .nanoseconds(due))
    guard moment > clock.now else { return true }
    // What has been given so far must not wait for what comes.
    try outside.flush()
    while true {
      progress?(cursor.count)
      if isCancelled() { return false }
      let left = clock.now.duration(to: moment)
      guard left > .zero else { return true }
      do {
        try await Task.sleep(for: min(left, Self.pause))
      } catch {
        return false
      }
    }
  }
}
