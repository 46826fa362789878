import EventLog
import TaskLogPlugin

/// The plugins on one source, the scheduler or a worker, and the state that they see.
final class SourceReplay {
  let info: SourceInfo
  let isScheduler: Bool
  private let target: any ReplayTarget
  /// The names of the plugins, and the place of each in the order of adding.
  let names: [(name: String, index: Int)]
  /// The places of those that still want to be called. Nothing that is called changes it meanwhile.
  @exclusivity(unchecked) private var wanting: [Int]
  private let call: ActiveCall
  /// What `call` knows each plugin by.
  private let labels: [UInt64]
  /// One for each plugin, when it is to be compared with what was noted of it.
  @exclusivity(unchecked) private var verifiers: [Verifier] = []
  @exclusivity(unchecked) private(set) var hasBegun = false
  /// Whether a plugin has said that it has seen enough.
  private(set) var hasStopped = false
  /// Whether events have come before the plugins were to be called.
  private var hasPassed = false

  /// - Throws: what a plugin's initializer throws.
  init(
    _ info: SourceInfo, of run: RunInfo, reader: LogReader,
    factories: [(factory: PluginFactory, options: [String: String])], call: ActiveCall,
    verifies: Bool
  ) throws {
    let source = info.source
    self.info = info
    self.call = call
    var names: [(String, Int)] = []
    var labels: [UInt64] = []
    let owner = source.kind == .scheduler ? "the scheduler" : "worker \(source.address)"
    func made<P: Plugin>(_ type: P.Type, _ index: Int) throws -> P {
      let label = call.label("plugin '\(factories[index].factory.name)' on \(owner)")
      labels.append(label)
      names.append((factories[index].factory.name, index))
      call.begin(label, .initializing)
      defer { call.end() }
      return try type.init(options: factories[index].options)
    }
    let history = { try reader.events(of: info) }
    let unknown = run.unknownFacts(of: source.kind, missing: try reader.missing(of: info))
    isScheduler = source.kind == .scheduler
    if isScheduler {
      var plugins: [any SchedulerPlugin] = []
      for (index, (factory, _)) in factories.enumerated() {
        guard let type = factory.type as? any SchedulerPlugin.Type else { continue }
        plugins.append(try made(type, index))
      }
      target = SchedulerTarget(
        id: source.id, unknown: unknown, history: history, plugins: plugins)
    } else {
      var plugins: [any WorkerPlugin] = []
      for (index, (factory, _)) in factories.enumerated() {
        guard let type = factory.type as? any WorkerPlugin.Type else { continue }
        plugins.append(try made(type, index))
      }
      target = WorkerTarget(source, unknown: unknown, history: history, plugins: plugins)
    }
    self.names = names
    self.labels = labels
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

  /// Why the state that a plugin looked at could not be rebuilt.
  var failure: (any Error)? { target.failure }

  private var address: String { info.source.address }

  /// How many events did not fit the state; 0 when nobody looked at it.
  var mismatchCount: Int { target.mismatchCount }

  /// What the state does not know; nothing when nobody looked at it.
  var unknown: [UnavailableState] { target.unknown }

  /// What a plugin has to say, by its place in the order of adding.
  func report(of index: Int) -> Replayer.Report? {
    guard let place = names.firstIndex(where: { $0.index == index }) else { return nil }
    return .init(plugin: names[place].name, worker: worker, report: report(at: place))
  }

  private func report(at place: Int) -> Value {
    call.begin(labels[place], .reporting)
    defer { call.end() }
    return target.plugins[place].report()
  }

  /// Starts the plugins on a scheduler, sets them up on a worker.
  nonisolated(nonsending) func begin(_ failures: inout FailureList) async {
    hasBegun = true
    for place in wanting {
      call.begin(labels[place], isScheduler ? .starting : .settingUp)
      do {
        try await target.begin(place)
      } catch {
        note(error, of: place, nil, &failures)
      }
    }
    call.end()
  }

  // MARK: - Checkpoints

  /// The last event that plugins were called with; nothing when there was none.
  var present: Int64? {
    let present = target.present
    return hasBegun && present != 0 ? present : nil
  }

  /// What the plugins have in themselves.
  ///
  /// - Throws: what a plugin's `checkpoint()` throws.
  func checkpoints() throws -> [Checkpoint.Instance] {
    try names.indices.compactMap { place in
      guard let plugin = target.plugins[place] as? any Checkpointing else { return nil }
      call.begin(labels[place], .checkpointing)
      defer { call.end() }
      return Checkpoint.Instance(
        source: info.source.id, plugin: names[place].index, isDone: !wanting.contains(place),
        state: try plugin.checkpoint())
    }
  }

  /// The state that plugins have looked at; nothing without, or when it has more tasks than so many.
  func savedState(limit: Int) -> Value? { target.saved(limit: limit) }

  /// Begins behind an event that an earlier replay has ended with, with what the plugins had then.
  ///
  /// - Parameter state: the state that they had looked at.
  /// - Throws: what a plugin's `restore(_:)` throws, `SavedStateError`.
  nonisolated(nonsending) func goOn(
    behind sourceSeq: Int64, with saved: [Checkpoint.Instance], _ state: Value?,
    _ failures: inout FailureList
  ) async throws {
    try target.goOn(behind: sourceSeq, with: state)
    if !hasBegun { await begin(&failures) }
    for place in names.indices {
      guard let plugin = target.plugins[place] as? any Checkpointing,
        let instance = saved.first(where: { $0.plugin == names[place].index })
      else { throw CheckpointError.unknown }
      call.begin(labels[place], .restoring)
      defer { call.end() }
      try plugin.restore(instance.state)
      if instance.isDone {
        hasStopped = true
        wanting.removeAll { $0 == place }
      }
    }
  }

  // MARK: - Events

  /// Takes in an event that plugins are not called with.
  ///
  /// - Throws: `LogError` when the state that a plugin looked at could not be rebuilt.
  func pass(_ recorded: RecordedEvent) throws {
    hasPassed = true
    target.advance(recorded)
    target.finishEvent()
    if let failure = target.failure { throw failure }
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
    target.advance(recorded)
    callPlugins(recorded, &failures)
    target.finishEvent()
    if let failure = target.failure { throw failure }
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
    target.advance(recorded)
    if !hasBegun { await begin(&failures) }
    switch recorded.event.hook {
    case .beforeClose, .close, .teardown: await callAwaiting(recorded, &failures)
    default: callPlugins(recorded, &failures)
    }
    target.finishEvent()
    for place in verifiers.indices { verifiers[place].take(recorded) { report(at: place) } }
    if let failure = target.failure { throw failure }
  }

  /// How what was noted of the plugins here compares.
  var verifications: [Verification] { verifiers.compactMap(\.verification) }

  private func callPlugins(_ recorded: RecordedEvent, _ failures: inout FailureList) {
    for place in wanting {
      call.begin(labels[place], recorded.event.hook, seq: recorded.seq)
      do {
        try target.call(place, recorded.event)
      } catch {
        note(error, of: place, recorded, &failures)
      }
    }
    call.end()
  }

  private nonisolated(nonsending) func callAwaiting(
    _ recorded: RecordedEvent, _ failures: inout FailureList
  ) async {
    for place in wanting {
      call.begin(labels[place], recorded.event.hook, seq: recorded.seq)
      do {
        try await target.callAwaiting(place, recorded.event.hook)
      } catch {
        note(error, of: place, recorded, &failures)
      }
    }
    call.end()
  }

  private var worker: String? { isScheduler ? nil : address }

  /// A hook has thrown.
  private func note(
    _ error: any Error, of place: Int, _ recorded: RecordedEvent?, _ failures: inout FailureList
  ) {
    if error is StopReplay {
      hasStopped = true
      return wanting.removeAll { $0 == place }
    }
    failures.append(
      .init(
        plugin: names[place].name, worker: worker, seq: recorded?.seq,
        hook: recorded?.event.hook.name ?? (isScheduler ? "start" : "setup"),
        event: recorded?.event.summaryText, error: String(describing: error)))
  }
}
