import EventLog
import TaskLogPlugin

/// The plugins on one source, the scheduler or a worker, and the state that they see.
final class SourceReplay {
  private enum Target {
    case scheduler(Scheduler, StateBuilder<SchedulerState>, [any SchedulerPlugin])
    case worker(Worker, StateBuilder<WorkerState>, [any WorkerPlugin])
  }

  let address: String
  private let target: Target
  /// The names of the plugins, and the place of each in the order of adding.
  private let names: [(name: String, index: Int)]
  /// The places of those that still want to be called.
  private var wanting: [Int]
  private let watcher: (any CallWatcher)?
  /// One for each plugin, when it is to be compared with what was noted of it.
  private var verifiers: [Verifier] = []
  private(set) var hasBegun = false
  /// Whether a plugin has said that it has seen enough.
  private(set) var hasStopped = false
  /// Whether events have come before the plugins were to be called.
  private var hasPassed = false

  /// - Throws: what a plugin's initializer throws.
  init(
    _ info: SourceInfo, of run: RunInfo, reader: LogReader,
    factories: [(factory: PluginFactory, options: [String: String])], watcher: (any CallWatcher)?,
    verifies: Bool
  ) throws {
    let source = info.source
    address = source.address
    self.watcher = watcher
    var names: [(String, Int)] = []
    let history = { try reader.events(of: info) }
    let unknown = run.unknownFacts(of: source.kind, missing: try reader.missing(of: info))
    if source.kind == .scheduler {
      var plugins: [any SchedulerPlugin] = []
      for (index, (factory, options)) in factories.enumerated() {
        guard let type = factory.type as? any SchedulerPlugin.Type else { continue }
        plugins.append(try type.init(options: options))
        names.append((factory.name, index))
      }
      let builder = StateBuilder(
        make: { SchedulerState(unknown: unknown) }, apply: { $0.apply($1) },
        settle: { $0.settle() },
        history: history)
      let scheduler = Scheduler(id: source.id) { builder.look() }
      target = .scheduler(scheduler, builder, plugins)
    } else {
      var plugins: [any WorkerPlugin] = []
      for (index, (factory, options)) in factories.enumerated() {
        guard let type = factory.type as? any WorkerPlugin.Type else { continue }
        plugins.append(try type.init(options: options))
        names.append((factory.name, index))
      }
      let builder = StateBuilder(
        make: { WorkerState(unknown: unknown) }, apply: { $0.apply($1) }, settle: { $0.settle() },
        history: history)
      let worker = Worker(id: source.id, address: source.address, name: source.name) {
        builder.look()
      }
      target = .worker(worker, builder, plugins)
    }
    self.names = names
    wanting = Array(names.indices)
    if verifies {
      verifiers = names.map { _, index in
        Verifier(
          plugin: String(describing: factories[index].factory.type),
          worker: source.kind == .worker ? source.address : nil)
      }
    }
  }

  /// Whether there is nobody to call, now or ever.
  var isIdle: Bool { wanting.isEmpty }

  var isScheduler: Bool {
    if case .scheduler = target { return true }
    return false
  }

  /// Why the state that a plugin looked at could not be rebuilt.
  var failure: (any Error)? {
    switch target {
    case .scheduler(_, let builder, _): builder.failure
    case .worker(_, let builder, _): builder.failure
    }
  }

  /// How many events did not fit the state; 0 when nobody looked at it.
  var misfits: Int {
    switch target {
    case .scheduler(_, let builder, _): builder.state?.misfits ?? 0
    case .worker(_, let builder, _): builder.state?.misfits ?? 0
    }
  }

  /// What the state does not know; nothing when nobody looked at it.
  var unknown: [UnknownFact] {
    switch target {
    case .scheduler(_, let builder, _): builder.state?.unknown ?? []
    case .worker(_, let builder, _): builder.state?.unknown ?? []
    }
  }

  /// What a plugin has to say, by its place in the order of adding.
  func report(of index: Int) -> Replayer.Report? {
    guard let place = names.firstIndex(where: { $0.index == index }) else { return nil }
    return .init(plugin: names[place].name, worker: worker, report: report(at: place))
  }

  private func report(at place: Int) -> Value {
    switch target {
    case .scheduler(_, _, let plugins): plugins[place].report()
    case .worker(_, _, let plugins): plugins[place].report()
    }
  }

  /// Starts the plugins on a scheduler, sets them up on a worker.
  nonisolated(nonsending) func begin(_ failures: inout FailureList) async {
    hasBegun = true
    for place in wanting {
      watcher?.willCall(names[place].name, on: worker, with: nil)
      do {
        switch target {
        case .scheduler(let scheduler, _, let plugins):
          try await plugins[place].start(scheduler: scheduler)
        case .worker(let worker, _, let plugins): try await plugins[place].setup(worker: worker)
        }
      } catch {
        note(error, of: place, nil, &failures)
      }
    }
    watcher?.haveCalled()
  }

  // MARK: - Events

  /// Takes in an event that plugins are not called with.
  ///
  /// - Throws: `LogError` when the state that a plugin looked at could not be rebuilt.
  func pass(_ recorded: RecordedEvent) throws {
    hasPassed = true
    advance(recorded)
    finishEvent()
    if let failure { throw failure }
  }

  /// Takes in the next event of the source, unless a hook has to be awaited for it.
  ///
  /// - Returns: whether it has been taken in; if not, `takeAwaiting` does it.
  /// - Throws: as `pass`.
  func take(_ recorded: RecordedEvent, _ failures: inout FailureList) throws -> Bool {
    switch recorded.event.hook {
    case .beforeClose, .close, .teardown: return false
    default: if !hasBegun || !verifiers.isEmpty { return false }
    }
    advance(recorded)
    call(recorded, &failures)
    finishEvent()
    if let failure { throw failure }
    return true
  }

  /// Takes in an event for which hooks have to be awaited.
  ///
  /// - Throws: as `pass`.
  nonisolated(nonsending) func takeAwaiting(
    _ recorded: RecordedEvent, _ failures: inout FailureList
  ) async throws {
    // A plugin is set up on a worker that says in its first event what it is.
    if !hasBegun, isScheduler || hasPassed { await begin(&failures) }
    advance(recorded)
    if !hasBegun { await begin(&failures) }
    switch recorded.event.hook {
    case .beforeClose, .close, .teardown: await callAwaiting(recorded, &failures)
    default: call(recorded, &failures)
    }
    finishEvent()
    for place in verifiers.indices { verifiers[place].take(recorded) { report(at: place) } }
    if let failure { throw failure }
  }

  /// How what was noted of the plugins here compares.
  var verifications: [Verification] { verifiers.compactMap(\.verification) }

  private func advance(_ recorded: RecordedEvent) {
    switch target {
    case .scheduler(_, let builder, _): builder.advance(recorded)
    case .worker(_, let builder, _): builder.advance(recorded)
    }
  }

  private func finishEvent() {
    switch target {
    case .scheduler(_, let builder, _): builder.finishEvent()
    case .worker(_, let builder, _): builder.finishEvent()
    }
  }

  private func call(_ recorded: RecordedEvent, _ failures: inout FailureList) {
    for place in wanting {
      watcher?.willCall(names[place].name, on: worker, with: recorded)
      do {
        switch target {
        case .scheduler(let scheduler, _, let plugins):
          try plugins[place].call(recorded.event, scheduler: scheduler)
        case .worker(_, _, let plugins): try plugins[place].call(recorded.event)
        }
      } catch {
        note(error, of: place, recorded, &failures)
      }
    }
    watcher?.haveCalled()
  }

  private nonisolated(nonsending) func callAwaiting(
    _ recorded: RecordedEvent, _ failures: inout FailureList
  ) async {
    for place in wanting {
      watcher?.willCall(names[place].name, on: worker, with: recorded)
      do {
        switch (target, recorded.event.hook) {
        case (.scheduler(_, _, let plugins), .beforeClose):
          try await plugins[place].beforeClose()
        case (.scheduler(_, _, let plugins), .close): try await plugins[place].close()
        case (.worker(let worker, _, let plugins), .teardown):
          try await plugins[place].teardown(worker: worker)
        default: break
        }
      } catch {
        note(error, of: place, recorded, &failures)
      }
    }
    watcher?.haveCalled()
  }

  private var worker: String? { isScheduler ? nil : address }

  /// A hook has thrown.
  private func note(
    _ error: any Error, of place: Int, _ recorded: RecordedEvent?, _ failures: inout FailureList
  ) {
    if error is PluginDone {
      hasStopped = true
      return wanting.removeAll { $0 == place }
    }
    failures.append(
      .init(
        plugin: names[place].name, worker: worker, seq: recorded?.seq,
        hook: recorded?.event.hook.name ?? (isScheduler ? "start" : "setup"),
        event: recorded?.event.inWords, error: String(describing: error)))
  }
}
